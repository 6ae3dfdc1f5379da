package function

import (
	"cmp"
	"io"
	"slices"
	"sort"
)

// symbol is a function of the symbol table.
type symbol struct {
	start uint64 // file offset
	size  uint32
	name  uint32 // offset in the string table
}

// symbols are the functions with a size, sorted by start. Of those that have the same start,
// it has the longest.
type symbols struct {
	all   []symbol
	names uint64 // file offset of the string table
}

// readSymbols reads .symtab, or .dynsym of a file that has no other.
func (i *Image) readSymbols(all sections) (symbols, error) {
	table := all.ofKind(symtab)
	if table == nil {
		table = all.ofKind(dynsym)
	}
	if table == nil || uint64(table.link) >= uint64(len(all)) {
		return symbols{}, nil
	}
	r, err := i.file.stream(table.offset, table.size)
	if err != nil {
		return symbols{}, err
	}
	s := symbols{names: all[table.link].offset}
	var entry [24]byte
	for range table.size / uint64(len(entry)) {
		if _, err := io.ReadFull(r, entry[:]); err != nil {
			return symbols{}, err
		}
		if f, ok := i.functionSymbol(&entry); ok {
			if len(s.all) == maxFunctions {
				return symbols{}, errTooMany
			}
			s.all = append(s.all, f)
		}
	}
	s.sort()
	return s, nil
}

// functionSymbol returns an Elf64_Sym that is a function of this file.
func (i *Image) functionSymbol(entry *[24]byte) (symbol, bool) {
	const function, indirect, undefined = 2, 10, 0
	kind := entry[4] & 15
	if kind != function && kind != indirect || le.Uint16(entry[6:]) == undefined {
		return symbol{}, false
	}
	e, ok := i.extent(le.Uint64(entry[8:]), le.Uint64(entry[16:]))
	if !ok || e.End-e.Start > 1<<31 {
		return symbol{}, false
	}
	return symbol{start: e.Start, size: uint32(e.End - e.Start), name: le.Uint32(entry[:])}, true
}

func (s *symbols) sort() {
	slices.SortFunc(s.all, func(a, b symbol) int {
		return cmp.Or(cmp.Compare(a.start, b.start), -cmp.Compare(a.size, b.size), cmp.Compare(a.name, b.name))
	})
	s.all = slices.Clip(slices.CompactFunc(s.all, func(a, b symbol) bool { return a.start == b.start }))
}

// at returns the innermost function that contains an offset.
func (s *symbols) at(offset uint64) (symbol, bool) {
	const nesting = 32 // functions within a function, of assembly
	n := sort.Search(len(s.all), func(n int) bool { return s.all[n].start > offset })
	for back := 0; back < nesting && n > 0; back++ {
		n--
		if offset-s.all[n].start < uint64(s.all[n].size) {
			return s.all[n], true
		}
	}
	return symbol{}, false
}

func (s *symbols) name(f file, of symbol) (string, error) {
	return f.text(s.names + uint64(of.name))
}
