package symbols

import (
	"cmp"
	"debug/elf"
	"debug/gosym"
	"slices"
	"strings"
)

// Function is a function with code of its own.
type Function struct {
	// Names are its names, the name for the output first: symbols, the qualified name of
	// the debug information, the linkage name.
	Names []string
	// Address is the virtual address in the ELF file.
	Address uint64
	// Size is the number of bytes, 0 if it is unknown.
	Size uint64
	// Go is true for a function that the Go compiler has made.
	Go bool
	// Indirect is true for an IFUNC: the symbol is a function that selects the
	// implementation when the program starts.
	Indirect bool
	// Source is the source file that the symbol table names for a local function.
	Source string

	debug *subprogram // nil without debug information
}

// Name returns the name for the output.
func (f *Function) Name() string { return f.Names[0] }

// addName appends a name that the function does not have yet.
func (f *Function) addName(name string) {
	if name != "" && !slices.Contains(f.Names, name) {
		f.Names = append(f.Names, name)
	}
}

// table has the functions sorted by address.
type table struct {
	functions []*Function
	stripped  bool // there is no .symtab
}

// collector joins what several sources say about functions.
type collector struct {
	object    *Object
	byAddress map[uint64]*Function
}

// at returns the function at an address. It returns nil if no code is there.
func (c *collector) at(address uint64) *Function {
	if f := c.byAddress[address]; f != nil {
		return f
	}
	if _, err := c.object.Offset(address); err != nil {
		return nil
	}
	f := &Function{Address: address, Go: c.object.Go}
	c.byAddress[address] = f
	return f
}

func (o *Object) readFunctions() *table {
	c := &collector{object: o, byAddress: map[uint64]*Function{}}
	t := &table{stripped: o.file.Section(".symtab") == nil}
	c.addSymbols(o.file.Symbols)
	c.addSymbols(o.file.DynamicSymbols)
	if o.debug != nil && o.debug != o.file {
		c.addSymbols(o.debug.Symbols)
		t.stripped = false
	}
	if o.Go && t.stripped {
		c.addLineTable()
	}
	if x := o.index(); x != nil {
		c.addDebug(x)
	}
	for _, f := range c.byAddress {
		if len(f.Names) > 0 {
			t.functions = append(t.functions, f)
		}
	}
	slices.SortFunc(t.functions, func(a, b *Function) int { return cmp.Compare(a.Address, b.Address) })
	t.fillSizes()
	return t
}

// fillSizes lets a function without a size end at the next one.
func (t *table) fillSizes() {
	for i, f := range t.functions {
		if f.Size == 0 && i+1 < len(t.functions) {
			f.Size = t.functions[i+1].Address - f.Address
		}
	}
}

// goMarkers are symbols of the Go linker in the text section that are no functions.
var goMarkers = map[string]bool{"runtime.text": true, "runtime.etext": true, "go:buildid": true}

// addSymbols adds the functions of a symbol table.
func (c *collector) addSymbols(read func() ([]elf.Symbol, error)) {
	var symbols []elf.Symbol
	guarded(func() (err error) { symbols, err = read(); return err })
	source := ""
	for i := range symbols {
		s := &symbols[i]
		kind := elf.ST_TYPE(s.Info)
		if kind == elf.STT_FILE {
			source = s.Name
			continue
		}
		if kind != elf.STT_FUNC && kind != elf.STT_GNU_IFUNC || s.Section == elf.SHN_UNDEF || s.Name == "" {
			continue
		}
		if c.object.Go && goMarkers[s.Name] {
			continue
		}
		f := c.at(s.Value)
		if f == nil {
			continue
		}
		name, _, _ := strings.Cut(s.Name, "@")
		if c.object.Go {
			name = s.Name
		}
		f.addName(name)
		f.Size = max(f.Size, s.Size)
		f.Indirect = f.Indirect || kind == elf.STT_GNU_IFUNC
		if elf.ST_BIND(s.Info) == elf.STB_LOCAL && f.Source == "" {
			f.Source = source
		}
	}
}

// addLineTable adds the functions in .gopclntab, which every Go program has.
func (c *collector) addLineTable() {
	content, _ := c.object.Section(".gopclntab")
	if content == nil {
		content, _ = c.object.Section(".data.rel.ro.gopclntab")
	}
	_, text := c.object.Section(".text")
	guarded(func() error {
		names, err := gosym.NewTable(nil, gosym.NewLineTable(content, text))
		if err != nil {
			return err
		}
		for i := range names.Funcs {
			g := &names.Funcs[i]
			if f := c.at(g.Entry); f != nil && g.End > g.Entry {
				f.addName(g.Name)
				f.Size = max(f.Size, g.End-g.Entry)
			}
		}
		return nil
	})
}

// addDebug adds the names of the debug information.
func (c *collector) addDebug(x *index) {
	for _, s := range x.subprograms {
		if !s.hasCode {
			continue
		}
		f := c.at(s.low)
		if f == nil {
			continue
		}
		if f.debug == nil {
			f.debug = s
		}
		f.Go = s.unit.Language == LanguageGo
		if s.high > s.low && f.Size == 0 {
			f.Size = s.high - s.low
		}
		qualified, plain, linkage := x.names(s)
		// A readable name comes before a mangled one.
		if qualified != "" && len(f.Names) > 0 && strings.HasPrefix(f.Names[0], "_") && (f.Names[0] == linkage || strings.HasPrefix(f.Names[0], "_Z") || strings.HasPrefix(f.Names[0], "_R")) {
			f.Names = append([]string{qualified}, f.Names...)
		}
		f.addName(qualified)
		f.addName(plain)
		f.addName(linkage)
	}
}

// FunctionAt returns the function that has the address, or nil.
func (o *Object) FunctionAt(address uint64) *Function {
	all := o.functions().functions
	i, found := slices.BinarySearchFunc(all, address, func(f *Function, a uint64) int { return cmp.Compare(f.Address, a) })
	if found {
		return all[i]
	}
	if i == 0 || address-all[i-1].Address >= all[i-1].Size {
		return nil
	}
	return all[i-1]
}
