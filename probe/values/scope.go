package values

import (
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"slowpath/probe/die"
	"slowpath/probe/location"
	"slowpath/probe/spec"
	"slowpath/probe/symbols"
	"slowpath/probe/types"
	"slowpath/uprobe/fetch"
)

// variable is a parameter or a variable that is visible at a site.
type variable struct {
	name      string
	entry     *dwarf.Entry // has the location
	origin    *dwarf.Entry // has name and type: entry, or its abstract origin
	parameter bool
	result    bool // a result of a Go function
	depth     int  // of its block: an inner variable hides an outer one
	copy      dwarf.Offset
}

// scope has what is visible at a site.
type scope struct {
	reader    *Reader
	site      *symbols.Site
	unit      *location.Unit
	function  *dwarf.Entry
	variables []variable
}

// noDebug is the error of a site without debug information.
func (r *Reader) noDebug(site *symbols.Site) error {
	return fmt.Errorf("%s of %s has no debug information, so its variables are unknown; name registers, %%rdi, or arguments by number, $arg1, or build it with -g", site.Name, r.object.Path)
}

// scopeOf reads the variables that are visible at a site.
func (r *Reader) scopeOf(site *symbols.Site) (s *scope, err error) {
	defer func() {
		if p := recover(); p != nil {
			s, err = nil, fmt.Errorf("the debug information of %s is damaged (%v)", r.object.Path, p)
		}
	}()
	if r.data == nil || site.DIE() == 0 {
		return nil, r.noDebug(site)
	}
	s = &scope{reader: r, site: site, unit: r.unit(site.Unit()), function: die.At(r.data, site.DIE())}
	if s.function == nil {
		return nil, r.noDebug(site)
	}
	reader := die.NewReader(r.data)
	reader.Seek(s.function.Offset)
	reader.Next()
	if s.function.Children {
		s.collect(reader, 0, 0)
	}
	s.orderByDeclaration()
	return s, nil
}

// maxVariables is the maximum number of variables of a function that are read, maxBlocks
// of the depth of its blocks.
const (
	maxVariables = 1 << 14
	maxBlocks    = 64
)

// collect reads the children of a DIE up to their end.
func (s *scope) collect(reader *die.Reader, depth int, copy dwarf.Offset) {
	for len(s.variables) < maxVariables {
		e, err := reader.Next()
		if err != nil || e == nil || e.Tag == 0 {
			return
		}
		switch e.Tag {
		case dwarf.TagFormalParameter, dwarf.TagVariable:
			s.add(e, depth, copy)
		case dwarf.TagLexDwarfBlock, dwarf.TagInlinedSubroutine:
			inner := copy
			if e.Tag == dwarf.TagInlinedSubroutine {
				inner = e.Offset
			}
			if e.Children && s.covers(e) && depth < maxBlocks {
				s.collect(reader, depth+1, inner)
				continue
			}
		}
		if e.Children {
			reader.SkipChildren(e)
		}
	}
}

// covers reports whether a block has the site's address. A block without ranges does.
func (s *scope) covers(e *dwarf.Entry) bool {
	if e.Offset == s.site.Copy {
		return true
	}
	ranges, err := s.reader.data.Ranges(e)
	if err != nil || len(ranges) == 0 {
		return e.Tag == dwarf.TagLexDwarfBlock
	}
	return slices.ContainsFunc(ranges, func(r [2]uint64) bool { return r[0] <= s.site.Address && s.site.Address < r[1] })
}

func (s *scope) add(e *dwarf.Entry, depth int, copy dwarf.Offset) {
	v := variable{entry: e, origin: s.reader.origin(e), parameter: e.Tag == dwarf.TagFormalParameter, depth: depth, copy: copy}
	v.name, _ = v.origin.Val(dwarf.AttrName).(string)
	for _, from := range []*dwarf.Entry{e, v.origin} {
		if result, _ := from.Val(dwarf.AttrVarParam).(bool); result {
			v.result, v.parameter = true, false
		}
	}
	s.variables = append(s.variables, v)
}

// origin follows DW_AT_abstract_origin and DW_AT_specification to the DIE with the name.
func (r *Reader) origin(e *dwarf.Entry) *dwarf.Entry {
	for range 8 {
		offset, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
		if !ok {
			offset, ok = e.Val(dwarf.AttrSpecification).(dwarf.Offset)
		}
		next := e
		if ok {
			next = die.At(r.data, offset)
		}
		if !ok || next == nil {
			return e
		}
		e = next
	}
	return e
}

// orderByDeclaration sorts the parameters of the function as its abstract instance has
// them, and adds those that the concrete instance leaves out: the calling convention
// depends on all of them.
func (s *scope) orderByDeclaration() {
	offset, ok := s.function.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
	if !ok {
		return
	}
	reader := die.NewReader(s.reader.data)
	reader.Seek(offset)
	abstract, err := reader.Next()
	if err != nil || abstract == nil || !abstract.Children {
		return
	}
	var ordered []variable
	for len(ordered) < maxVariables {
		e, err := reader.Next()
		if err != nil || e == nil || e.Tag == 0 {
			break
		}
		if e.Tag == dwarf.TagFormalParameter {
			ordered = append(ordered, s.concrete(e))
		}
		if e.Children {
			reader.SkipChildren(e)
		}
	}
	for _, v := range s.variables {
		if v.depth > 0 || !v.parameter && !v.result {
			ordered = append(ordered, v)
		}
	}
	s.variables = ordered
}

// concrete returns the variable whose abstract origin is e, or one without a location.
func (s *scope) concrete(e *dwarf.Entry) variable {
	for _, v := range s.variables {
		if origin, _ := v.entry.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset); origin == e.Offset && v.depth == 0 {
			return v
		}
	}
	before := len(s.variables)
	s.add(e, 0, 0)
	v := s.variables[before]
	s.variables = s.variables[:before]
	return v
}

// parameters returns the parameters of the function itself, or its results if results is
// wanted.
func (s *scope) parameters(wanted parameterKind) (found []variable) {
	for _, v := range s.variables {
		if v.depth == 0 && (wanted == inputs && v.parameter || wanted == outputs && v.result) {
			found = append(found, v)
		}
	}
	return found
}

// parameterKind selects parameters.
type parameterKind uint8

const (
	inputs  parameterKind = iota // values that the caller passes
	outputs                      // results of a Go function
)

// wanted returns the variables that FUNC(*) means: the parameters at an entry, and at a
// line also the other variables of the function.
func (s *scope) wanted() (found []variable) {
	for _, v := range s.variables {
		switch {
		case v.name == "" || v.result:
		case s.site.CopyEntry && s.site.Copy != 0:
			if v.copy == s.site.Copy && v.parameter {
				found = append(found, v)
			}
		case s.atEntry():
			if v.depth == 0 && v.parameter {
				found = append(found, v)
			}
		case v.copy == s.site.Copy:
			found = append(found, v)
		}
	}
	return found
}

// atEntry reports whether the arguments are where the calling convention puts them.
func (s *scope) atEntry() bool { return s.site.Entry && !(s.site.CopyEntry && s.site.Copy != 0) }

// lookup returns the innermost variable with a name. Its error names those that exist.
func (s *scope) lookup(name string) (variable, error) {
	best := -1
	for i, v := range s.variables {
		if v.name == name && (best < 0 || v.depth >= s.variables[best].depth && !(s.atEntry() && s.variables[best].parameter)) {
			best = i
		}
	}
	if best >= 0 {
		return s.variables[best], nil
	}
	if v, ok := s.global(name); ok {
		return v, nil
	}
	var names []string
	for _, v := range s.wanted() {
		names = append(names, v.name)
	}
	if len(names) == 0 {
		return variable{}, fmt.Errorf("%s has no variable %s, and no parameters", s.site.Name, name)
	}
	if near := spec.Pattern(name).Nearest(names, 3); len(near) > 0 {
		names = near
	}
	return variable{}, fmt.Errorf("%s has no variable %s; there are %s", s.site.Name, name, strings.Join(names, ", "))
}

// global returns a variable outside functions: of the unit, or of any other.
func (s *scope) global(name string) (variable, bool) {
	reader := die.NewReader(s.reader.data)
	qualified := name
	for _, begin := range []dwarf.Offset{s.site.Unit().Offset, 0} {
		reader.Seek(begin)
		for first := true; ; first = false {
			e, err := reader.Next()
			if err != nil || e == nil || begin != 0 && !first && e.Tag == dwarf.TagCompileUnit {
				break
			}
			found, _ := e.Val(dwarf.AttrName).(string)
			if e.Tag == dwarf.TagVariable && (found == qualified || strings.HasSuffix(found, "."+name)) && e.Val(dwarf.AttrLocation) != nil {
				return variable{name: name, entry: e, origin: s.reader.origin(e)}, true
			}
			if e.Children && e.Tag != dwarf.TagCompileUnit && e.Tag != dwarf.TagNamespace {
				reader.SkipChildren(e)
			}
		}
	}
	return variable{}, false
}

// typeOf returns the type of a variable.
func (s *scope) typeOf(v variable) *types.Type { return s.reader.types.Of(v.origin) }

// place returns where a variable is at the site.
func (s *scope) place(v variable) (place, error) {
	t := s.typeOf(v)
	at, err := s.byDebugInformation(v)
	if err == nil {
		return place{t, at}, nil
	}
	if !s.atEntry() || v.depth > 0 || !v.parameter || s.site.Unit().Language == symbols.LanguageRust {
		return place{t, nil}, fmt.Errorf("%s of %s cannot be read: %w", v.name, s.site.Name, err)
	}
	at, conventionErr := s.byConvention(v)
	if conventionErr != nil {
		return place{t, nil}, fmt.Errorf("%s of %s cannot be read: %w", v.name, s.site.Name, conventionErr)
	}
	return place{t, at}, nil
}

// errFrame is the error of a variable in a frame that does not exist at the entry yet.
var errFrame = errors.New("the frame of the function does not exist yet")

// byDebugInformation returns the location that the debug information has.
func (s *scope) byDebugInformation(v variable) (location.Location, error) {
	pc := s.site.Address
	if s.atEntry() {
		pc = s.site.Function.Address
	}
	if at, ok := constant(v, s.typeOf(v).Size); ok {
		return at, nil
	}
	expression, err := s.expression(v.entry, pc)
	if err != nil {
		return nil, err
	}
	if s.atEntry() && !s.callerFrame(expression) {
		return nil, errFrame
	}
	return location.Evaluate(expression, s.context(pc))
}

// constant returns the value of a variable that the compiler has replaced by a constant
// (DW_AT_const_value).
func constant(v variable, size int64) (location.Location, bool) {
	var b []byte
	switch value := v.entry.Val(dwarf.AttrConstValue).(type) {
	case int64:
		b = binary.LittleEndian.AppendUint64(nil, uint64(value))
	case uint64:
		b = binary.LittleEndian.AppendUint64(nil, value)
	case []byte:
		b = value
	default:
		return nil, false
	}
	if int64(len(b)) < size {
		return nil, false
	}
	return location.Location{{Kind: location.Constant, Bytes: b}}, true
}

// expression returns the location expression of a variable for an address.
func (s *scope) expression(e *dwarf.Entry, pc uint64) ([]byte, error) {
	field := e.AttrField(dwarf.AttrLocation)
	if field == nil {
		return nil, location.ErrMissing
	}
	switch value := field.Val.(type) {
	case []byte:
		return value, nil
	case int64:
		return s.unit.Expression(uint64(value), pc)
	case uint64: // DW_FORM_loclistx
		offset, err := s.unit.Indexed(value)
		if err != nil {
			return nil, err
		}
		return s.unit.Expression(offset, pc)
	}
	return nil, location.ErrMissing
}

// slot is an expression that consists of an offset from the frame base, and perhaps a
// dereference.
type slot struct {
	offset int64
	// address is true if the slot has the address of the variable: the caller passes a
	// class of C++ by its address.
	address bool
}

// slotOf returns the slot that an expression describes. It reports false for another
// expression.
func slotOf(expression []byte) (slot, bool) {
	const fbreg, deref = 0x91, 0x06
	if len(expression) < 2 || expression[0] != fbreg {
		return slot{}, false
	}
	var s slot
	shift := 0
	for i, b := range expression[1:] {
		if shift < 64 {
			s.offset |= int64(b&0x7f) << shift
		}
		shift += 7
		if b&0x80 != 0 {
			continue
		}
		if shift < 64 && b&0x40 != 0 {
			s.offset |= -1 << shift
		}
		rest := expression[i+2:]
		s.address = len(rest) == 1 && rest[0] == deref
		return s, len(rest) == 0 || s.address
	}
	return slot{}, false
}

// callerFrame reports whether an expression is right at the entry of a function. An offset
// from the frame base is right there only for what the caller has pushed: with the CFA as
// the base and a positive offset. GCC describes optimised code by lists, so a single
// expression with a negative offset is a slot that the prologue fills.
func (s *scope) callerFrame(expression []byte) bool {
	const callFrameCFA = 0x9c
	at, ok := slotOf(expression)
	if !ok {
		return true
	}
	base, _ := s.frameBase()
	return len(base) == 1 && base[0] == callFrameCFA && at.offset >= 0
}

// passed returns the type of a parameter as the caller passes it: GCC says only in the
// location of a parameter of unoptimised code that its class is passed by its address.
func (s *scope) passed(v variable) *types.Type {
	t := s.typeOf(v)
	expression, err := s.expression(v.entry, s.site.Function.Address)
	if err != nil || t.ByReference {
		return t
	}
	if at, ok := slotOf(expression); ok && at.address {
		byAddress := *t
		byAddress.ByReference = true
		return &byAddress
	}
	return t
}

// frameBase returns DW_AT_frame_base of the function.
func (s *scope) frameBase() ([]byte, error) {
	switch base := s.function.Val(dwarf.AttrFrameBase).(type) {
	case []byte:
		return base, nil
	case int64:
		return s.unit.Expression(uint64(base), s.site.Address)
	}
	return nil, location.ErrMissing
}

// context returns what location expressions at pc refer to.
func (s *scope) context(pc uint64) *location.Context {
	base, _ := s.frameBase()
	return &location.Context{
		FrameBase: base,
		CFA:       func() ([]fetch.Step, error) { return s.reader.cfa(pc) },
		Static:    s.static,
		Address:   s.unit.Address,
		Entry:     s.site.Entry,
	}
}

// static returns the steps for an address of the ELF file: the kernel knows where the file
// is mapped from the address that was hit.
func (s *scope) static(address uint64) []fetch.Step {
	offset, err := s.site.Offset()
	if err != nil {
		return []fetch.Step{{Op: fetch.Immediate, Value: int64(address)}}
	}
	return []fetch.Step{{Op: fetch.FileOffset, Value: int64(offset + address - s.site.Address)}}
}
