package function

import (
	"errors"
	"sort"
	"strings"
)

// goTable is the table of functions in a program of Go 1.18 or newer
// (runtime/symtab.go: pcHeader, functab). It stays in the file: a lookup reads some
// twenty entries.
type goTable struct {
	text  uint64 // address that the entries are relative to
	count uint64
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
	if g.text == 0 {
		g.text = i.goText(g, h, all)
	}
	if g.text == 0 {
		g.count = 0
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

// at returns the function that contains an address.
func (g *goTable) at(i *Image, address uint64) (Function, error) {
	var failed error
	n := sort.Search(int(g.count), func(n int) bool {
		a, err := g.entry(i.file, uint64(n))
		if err != nil {
			failed = err
		}
		return a > address
	})
	if failed != nil {
		return Function{}, failed
	}
	if n == 0 {
		return Function{}, ErrUnknown
	}
	return g.function(i, uint64(n-1), address)
}

// function returns function n, if it contains the address.
func (g *goTable) function(i *Image, n, address uint64) (Function, error) {
	start, err := g.entry(i.file, n)
	if err != nil {
		return Function{}, err
	}
	end, err := g.entry(i.file, n+1)
	if err != nil {
		return Function{}, err
	}
	e, ok := i.extent(start, end-start)
	if !ok || address-start >= end-start {
		return Function{}, ErrUnknown
	}
	name, err := g.name(i.file, n)
	return Function{Start: e.Start, End: e.End, Name: name, Go: true}, err
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
