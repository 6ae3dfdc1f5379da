package function

import (
	"errors"
	"io"
	"sort"
	"strings"
)

// goTable is the table of functions in a program of Go 1.18 or newer
// (runtime/symtab.go: pcHeader, functab). It stays in the file: a lookup reads one block of it.
type goTable struct {
	text  uint64 // address that the entries are relative to
	count uint64
	// blocks has the first entry of each block.
	blocks []uint32
	// File offsets: of the table of functions, of their data, of their names.
	functions, data, names uint64
}

var errGoTable = errors.New("the header does not make sense")

// goTable returns the section with the table, or nil.
func (s sections) goTable() *section {
	for n := range s {
		if strings.HasSuffix(s[n].name, ".gopclntab") && s[n].kind != nobits {
			return &s[n]
		}
	}
	return nil
}

// missing reports whether the file is Go's but has no table, so that every function may be
// Go's.
func (g *goTable) missing(i *Image) bool { return i.isGo && g.count == 0 }

// readGoTable reads the header of the table. A file without one has no functions in it.
func (i *Image) readGoTable(h header, all sections) (goTable, error) {
	s := all.goTable()
	if s == nil {
		return goTable{}, nil
	}
	const words = 8
	head, err := i.file.bytes(s.offset, 8+8*words)
	if err != nil {
		return goTable{}, err
	}
	const go118, go120 = 0xfffffff0, 0xfffffff1
	if magic := le.Uint32(head); magic != go118 && magic != go120 || head[7] != 8 {
		return goTable{}, nil // Go 1.17 or older: see missing
	}
	word := func(n int) uint64 { return le.Uint64(head[8+8*n:]) }
	g := goTable{count: word(0), text: word(2), names: word(3), functions: word(7)}
	// A function has two words of 32 bits, and an end follows.
	if g.count > maxFunctions*8 || g.names > s.size || g.functions > s.size || 8*g.count+4 > s.size-g.functions {
		return goTable{}, errGoTable
	}
	g.names += s.offset
	g.functions += s.offset
	g.data = g.functions
	if err := g.readBlocks(i.file); err != nil {
		return goTable{}, err
	}
	if g.text == 0 {
		g.text = i.goText(g, h, all)
	}
	if g.text == 0 {
		return goTable{}, nil
	}
	return g, nil
}

// goText finds the address of runtime.text, which Go 1.26 does not store in the header. It
// returns 0 if it finds none.
func (i *Image) goText(g goTable, h header, all sections) uint64 {
	const textWord = 22 // runtime/symtab.go, moduledata.text
	if s := all.named(".go.module"); s != nil {
		if word, err := i.file.bytes(s.offset+8*textWord, 8); err == nil && i.isFirst(g, le.Uint64(word)) {
			return le.Uint64(word)
		}
	}
	// A program without C code begins with it, and is entered at one of its functions.
	s := all.named(".text")
	if s == nil {
		return 0
	}
	g.text = s.address
	if f, err := g.at(i, h.entry); err != nil || !strings.HasPrefix(f.Name, "_rt0_") {
		return 0
	}
	return g.text
}

// isFirst reports whether text can be the beginning of the functions.
func (i *Image) isFirst(g goTable, text uint64) bool {
	g.text = text
	first, err := g.entry(i.file, 0)
	if err != nil {
		return false
	}
	_, ok := i.offset(first)
	return ok && text != 0
}

// entry returns the address of function n, or the end if n is the count.
func (g *goTable) entry(f file, n uint64) (uint64, error) {
	b, err := f.bytes(g.functions+8*n, 4)
	if err != nil {
		return 0, err
	}
	return g.text + uint64(le.Uint32(b)), nil
}

// blockLength is the number of functions in a block of the table.
const blockLength = 64

// readBlocks reads the first entry of each block.
func (g *goTable) readBlocks(f file) error {
	r, err := f.stream(g.functions, 8*g.count)
	if err != nil {
		return err
	}
	var entry [8]byte
	g.blocks = make([]uint32, 0, g.count/blockLength+1)
	for n := range g.count {
		if _, err := io.ReadFull(r, entry[:]); err != nil {
			return err
		}
		if n%blockLength == 0 {
			g.blocks = append(g.blocks, le.Uint32(entry[:]))
		}
	}
	return nil
}

// at returns the function that contains an address.
func (g *goTable) at(i *Image, address uint64) (Function, error) {
	n, e, err := g.find(i, address)
	if err != nil {
		return Function{}, err
	}
	name, err := g.name(i.file, n)
	return Function{Start: e.Start, End: e.End, Name: name, Go: true}, err
}

// find returns the number and the extent of the function that contains an address.
func (g *goTable) find(i *Image, address uint64) (uint64, Extent, error) {
	relative := address - g.text
	b := sort.Search(len(g.blocks), func(n int) bool { return uint64(g.blocks[n]) > relative })
	if b == 0 {
		return 0, Extent{}, ErrUnknown
	}
	first := uint64(b-1) * blockLength
	length := min(blockLength, g.count-first)
	block, err := i.file.bytes(g.functions+8*first, 8*length+4) // with the entry after the block
	if err != nil {
		return 0, Extent{}, err
	}
	entry := func(n int) uint64 { return uint64(le.Uint32(block[8*n:])) }
	n := sort.Search(int(length)+1, func(n int) bool { return entry(n) > relative })
	if n == 0 || n > int(length) {
		return 0, Extent{}, ErrUnknown
	}
	e, ok := i.extent(g.text+entry(n-1), entry(n)-entry(n-1))
	if !ok {
		return 0, Extent{}, ErrUnknown
	}
	return first + uint64(n-1), e, nil
}

func (g *goTable) name(f file, n uint64) (string, error) {
	place, err := f.bytes(g.functions+8*n+4, 4)
	if err != nil {
		return "", err
	}
	data, err := f.bytes(g.data+uint64(le.Uint32(place))+4, 4) // _func.nameOff
	if err != nil {
		return "", err
	}
	return f.text(g.names + uint64(le.Uint32(data)))
}
