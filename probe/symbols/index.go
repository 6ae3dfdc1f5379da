package symbols

import (
	"cmp"
	"debug/dwarf"
	"slices"

	"slowpath/probe/die"
)

// Unit is a compilation unit of the debug information.
type Unit struct {
	// Entry is its DIE.
	Entry *dwarf.Entry
	// Offset is the offset of the DIE in .debug_info.
	Offset dwarf.Offset
	// Language is DW_AT_language.
	Language int64
	// Name is DW_AT_name: the source file, or a Go package.
	Name string
}

// Values of DW_AT_language that matter (DWARF 5, table 7.17).
const (
	LanguageGo   = 0x16
	LanguageRust = 0x1c
)

// subprogram is a DW_TAG_subprogram.
type subprogram struct {
	unit      *Unit
	offset    dwarf.Offset
	name      string
	scope     string // of namespaces and classes, with a :: at its end
	linkage   string
	origin    dwarf.Offset // of DW_AT_abstract_origin or DW_AT_specification, or 0
	hasCode   bool
	low, high uint64 // of the part with the entry
	line      int    // of the declaration
}

// inlined is a DW_TAG_inlined_subroutine with code.
type inlined struct {
	unit   *Unit
	offset dwarf.Offset
	origin dwarf.Offset
	entry  uint64
	ranges [][2]uint64
	depth  int // in the tree of DIEs: the innermost copy has the greatest
	// callFile and callLine are where the function would be called. callFile is an index
	// of the unit's files.
	callFile, callLine int
}

// index has the functions of the debug information.
type index struct {
	subprograms []*subprogram
	byOffset    map[dwarf.Offset]*subprogram
	copies      []*inlined
	units       []*Unit
}

// maxDepth is the maximum depth of the tree of DIEs, maxEntries of the number of DIEs.
const (
	maxDepth   = 256
	maxEntries = 200 << 20
)

// readIndex reads all DIEs once. It returns nil without debug information. After damage it
// has what comes before.
func (o *Object) readIndex() *index {
	data := o.DWARF()
	if data == nil {
		return nil
	}
	b := &indexer{data: data, index: &index{byOffset: map[dwarf.Offset]*subprogram{}}}
	guarded(b.run)
	return b.index
}

// indexer walks the tree of DIEs.
type indexer struct {
	*index
	data  *dwarf.Data
	unit  *Unit
	scope []string // the qualified name of each open DIE
}

func (b *indexer) run() error {
	for r, n := die.NewReader(b.data), 0; n < maxEntries; n++ {
		e, err := r.Next()
		if err != nil || e == nil {
			return err
		}
		if e.Tag == 0 {
			b.scope = b.scope[:max(0, len(b.scope)-1)]
			continue
		}
		inner := b.visit(e)
		if !e.Children {
			continue
		}
		if skipped(e.Tag) || len(b.scope) >= maxDepth {
			r.SkipChildren(e)
			continue
		}
		b.scope = append(b.scope, inner)
	}
	return nil
}

// skipped reports whether a DIE has no functions among its children.
func skipped(t dwarf.Tag) bool {
	switch t {
	case dwarf.TagEnumerationType, dwarf.TagArrayType, dwarf.TagSubroutineType, dwarf.TagCallSite, dwarf.Tag(0x4109):
		return true
	}
	return false
}

// visit records a DIE and returns the scope of its children.
func (b *indexer) visit(e *dwarf.Entry) string {
	scope := ""
	if len(b.scope) > 0 {
		scope = b.scope[len(b.scope)-1]
	}
	name, _ := e.Val(dwarf.AttrName).(string)
	switch e.Tag {
	case dwarf.TagCompileUnit, dwarf.TagPartialUnit:
		language, _ := e.Val(dwarf.AttrLanguage).(int64)
		b.unit = &Unit{Entry: e, Offset: e.Offset, Language: language, Name: name}
		b.units = append(b.units, b.unit)
		b.scope = b.scope[:0]
		return ""
	case dwarf.TagNamespace, dwarf.TagClassType, dwarf.TagStructType, dwarf.TagUnionType, dwarf.TagInterfaceType, dwarf.TagModule:
		if name == "" {
			return scope
		}
		return scope + name + "::"
	case dwarf.TagSubprogram:
		b.addSubprogram(e, scope, name)
	case dwarf.TagInlinedSubroutine:
		b.addCopy(e)
	}
	return scope
}

func (b *indexer) addSubprogram(e *dwarf.Entry, scope, name string) {
	if b.unit == nil {
		return
	}
	if b.unit.Language == LanguageGo {
		scope = ""
	}
	s := &subprogram{unit: b.unit, offset: e.Offset, name: name, scope: scope}
	s.linkage, _ = e.Val(dwarf.AttrLinkageName).(string)
	if s.origin, _ = e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset); s.origin == 0 {
		s.origin, _ = e.Val(dwarf.AttrSpecification).(dwarf.Offset)
	}
	if line, ok := e.Val(dwarf.AttrDeclLine).(int64); ok && line > 0 && line < 1<<31 {
		s.line = int(line)
	}
	if ranges := b.ranges(e); len(ranges) > 0 {
		entry := entryOf(e, ranges)
		s.hasCode, s.low, s.high = true, entry, entry
		for _, r := range ranges {
			if r[0] <= entry && entry < r[1] {
				s.high = r[1]
			}
		}
	}
	b.subprograms = append(b.subprograms, s)
	b.byOffset[s.offset] = s
}

func (b *indexer) addCopy(e *dwarf.Entry) {
	origin, _ := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
	ranges := b.ranges(e)
	if origin == 0 || len(ranges) == 0 || b.unit == nil {
		return
	}
	c := &inlined{unit: b.unit, offset: e.Offset, origin: origin, entry: entryOf(e, ranges), ranges: ranges, depth: len(b.scope)}
	if file, ok := e.Val(dwarf.AttrCallFile).(int64); ok && file >= 0 && file < 1<<31 {
		c.callFile = int(file)
	}
	if line, ok := e.Val(dwarf.AttrCallLine).(int64); ok && line > 0 && line < 1<<31 {
		c.callLine = int(line)
	}
	b.copies = append(b.copies, c)
}

// entryOf returns the address of the entry: DW_AT_entry_pc, or the first address of the
// first range.
func entryOf(e *dwarf.Entry, ranges [][2]uint64) uint64 {
	switch pc := e.Val(dwarf.AttrEntrypc).(type) {
	case uint64:
		return pc
	case int64: // DWARF 5: an offset from the first address
		return ranges[0][0] + uint64(pc)
	}
	return ranges[0][0]
}

// ranges returns the address ranges of a DIE that are not empty.
func (b *indexer) ranges(e *dwarf.Entry) (kept [][2]uint64) {
	if e.Val(dwarf.AttrLowpc) == nil && e.Val(dwarf.AttrRanges) == nil {
		return nil
	}
	all, err := b.data.Ranges(e)
	if err != nil {
		return nil
	}
	for _, r := range all {
		if r[0] < r[1] {
			kept = append(kept, r)
		}
	}
	return kept
}

// names returns the names of a subprogram. The name may be in the DIE of its declaration
// or of its abstract instance.
func (x *index) names(s *subprogram) (qualified, plain, linkage string) {
	for depth := 0; s != nil && depth < 8; depth++ {
		if plain == "" && s.name != "" {
			plain, qualified = s.name, s.scope+s.name
		}
		if s.origin != 0 && s.scope == "" && qualified == plain {
			// A definition outside its class: the declaration has the scope.
			if d := x.byOffset[s.origin]; d != nil && d.name != "" {
				plain, qualified = d.name, d.scope+d.name
			}
		}
		if linkage == "" {
			linkage = s.linkage
		}
		s = x.byOffset[s.origin]
	}
	return qualified, plain, linkage
}

// copiesOf returns the inlined copies of the functions with a name that match accepts.
func (x *index) copiesOf(match func(names ...string) bool) (found []*inlined) {
	wanted := map[dwarf.Offset]bool{}
	for _, c := range x.copies {
		want, known := wanted[c.origin]
		if !known {
			if s := x.byOffset[c.origin]; s != nil {
				qualified, plain, linkage := x.names(s)
				want = match(qualified, plain, linkage)
			}
			wanted[c.origin] = want
		}
		if want {
			found = append(found, c)
		}
	}
	return found
}

// covering returns the inlined copies that have the address, the innermost first.
func (x *index) covering(address uint64) (found []*inlined) {
	for _, c := range x.copies {
		if slices.ContainsFunc(c.ranges, func(r [2]uint64) bool { return r[0] <= address && address < r[1] }) {
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b *inlined) int { return cmp.Compare(b.depth, a.depth) })
	return found
}

// Call is a function that has an instruction, and the line in it.
type Call struct {
	// Function is the name of the function, empty if it is unknown.
	Function string
	// Inlined is true for a function that is inlined into the next one.
	Inlined bool
	// File and Line are the line of the instruction or, for a function with another one
	// inlined into it, the line of the call.
	File string
	Line int
}

// Calls returns the functions that have an instruction: inlined copies, the innermost
// first, and the function with the code. Its time is proportional to the number of inlined
// copies in the file.
func (o *Object) Calls(address uint64) (calls []Call) {
	file, line := o.Line(address)
	x := o.index()
	if x != nil {
		for _, c := range x.covering(address) {
			qualified, _, linkage := x.names(x.byOffset[c.origin])
			calls = append(calls, Call{Function: cmp.Or(qualified, linkage), Inlined: true, File: file, Line: line})
			file, line = o.fileOf(c.unit, c.callFile), c.callLine
		}
	}
	last := Call{File: file, Line: line}
	if f := o.FunctionAt(address); f != nil {
		last.Function = f.Name()
	}
	return append(calls, last)
}

// fileOf returns the path of a file of a unit, or an empty text.
func (o *Object) fileOf(u *Unit, index int) (name string) {
	guarded(func() error {
		r, err := o.DWARF().LineReader(u.Entry)
		if err != nil || r == nil {
			return err
		}
		if files := r.Files(); index < len(files) && files[index] != nil {
			name = files[index].Name
		}
		return nil
	})
	return name
}
