package values

import (
	"slowpath/probe/location"
	"slowpath/probe/types"
	"slowpath/uprobe/fetch"
)

// node says how a value is decoded from captures.
type node struct {
	typ     *types.Type
	source  source
	missing string // why there is no value

	bitSize, bitOffset int64

	text     int    // the capture of a string's characters, or none
	length   source // of a string or a slice
	children []child
	target   *node // what a pointer points to
	opaque   bool  // a structure that is too deep to be shown
}

// child is a field, or an element, which has no name.
type child struct {
	name string
	node *node
}

// compiler makes nodes.
type compiler struct {
	*captures
	goLanguage bool
	budget     budget
}

// levels is how many levels of structures are shown.
const levels = 1

// node returns the node of a value. depth is the number of levels of structures that are
// still shown.
func (c *compiler) node(p place, depth int) *node {
	c.budget = maxTypes
	return c.from(p, c.value(p.at, p.typ.Size), depth)
}

// from returns the node of a value whose bytes are captured.
func (c *compiler) from(p place, s source, depth int) *node {
	n := &node{typ: p.typ, source: s, text: none}
	if !c.budget.spend() {
		n.missing = "its type has too many parts"
		return n
	}
	switch p.typ.Kind {
	case types.Unknown:
		n.missing = "its type is unknown"
	case types.Pointer, types.Reference:
		c.pointer(n, p, depth)
	case types.Struct, types.Union:
		c.structure(n, p, depth)
	case types.Array:
		c.array(n, p, depth)
	case types.String:
		c.header(n, p)
	case types.Slice:
		c.slice(n, p, depth)
	case types.Interface:
		c.dynamic(n, p)
	}
	return n
}

// pointer captures the string or the structure behind a pointer.
func (c *compiler) pointer(n *node, p place, depth int) {
	t := p.typ.Element()
	steps, ok := p.at.Number()
	if !ok {
		return
	}
	switch {
	case t.Kind == types.Char && !c.goLanguage:
		n.text = c.captures.text(steps)
	case depth > 0 && (t.Kind == types.Struct || t.Kind == types.Union) && t.Size > 0,
		depth > 0 && p.typ.Kind == types.Reference && t.Size > 0 && !addressed(t),
		depth > 0 && (t.Kind == types.String || t.Kind == types.Slice):
		target := place{t, location.At(steps)}
		n.target = c.from(target, c.value(target.at, t.Size), depth)
	}
}

// structure adds the fields.
func (c *compiler) structure(n *node, p place, depth int) {
	if depth <= 0 {
		n.opaque = true
		return
	}
	c.fields(n, p, n.source, depth)
}

func (c *compiler) fields(n *node, p place, s source, depth int) {
	for _, f := range p.typ.Fields() {
		if len(n.children) == maxFields || !c.budget.spend() {
			return
		}
		part, bytes := p.part(f.Type, f.Offset), s.part(f.Offset, f.Type.Size)
		if f.Base {
			c.fields(n, part, bytes, depth)
			continue
		}
		if f.BitSize > 0 {
			bits := &node{typ: f.Type, text: none, bitSize: f.BitSize, bitOffset: f.BitOffset}
			bits.source = s.part(f.Offset, (f.BitOffset+f.BitSize+7)/8)
			n.children = append(n.children, child{f.Name, bits})
			continue
		}
		n.children = append(n.children, child{f.Name, c.from(part, bytes, depth-1)})
	}
}

// array adds the first elements. An array of characters is shown as a string.
func (c *compiler) array(n *node, p place, depth int) {
	t := p.typ.Element()
	if t.Kind == types.Char {
		return
	}
	for i := int64(0); i < min(max(p.typ.Count, 0), maxElements) && t.Size > 0; i++ {
		part := p.part(t, i*t.Size)
		n.children = append(n.children, child{node: c.from(part, n.source.part(i*t.Size, t.Size), depth-1)})
	}
}

// header captures the characters of a string with a length.
func (c *compiler) header(n *node, p place) {
	n.length = n.source.part(p.typ.LengthAt, eightbyte)
	address, okAddress := p.at.Part(p.typ.PointerAt, eightbyte).Number()
	length, okLength := p.at.Part(p.typ.LengthAt, eightbyte).Number()
	if okAddress && okLength {
		n.text = c.counted(address, length, 1, maxText)
	}
}

// maxStrings is the number of strings that are read from a slice of strings.
const maxStrings = 4

// slice captures the first elements.
func (c *compiler) slice(n *node, p place, depth int) {
	n.length = n.source.part(p.typ.LengthAt, eightbyte)
	t := p.typ.Element()
	address, okAddress := p.at.Part(p.typ.PointerAt, eightbyte).Number()
	length, okLength := p.at.Part(p.typ.LengthAt, eightbyte).Number()
	if depth <= 0 || t.Size <= 0 || t.Size > maxBytes || !okAddress || !okLength {
		return
	}
	count := min(maxElements, maxBytes/t.Size)
	if t.Kind == types.String {
		count = maxStrings
	}
	all := c.counted(address, length, t.Size, int(count*t.Size))
	for i := range count {
		element := place{t, location.At(location.Add(address, i*t.Size))}
		bytes := source{{capture: all, from: i * t.Size, size: t.Size}}
		n.children = append(n.children, child{node: c.from(element, bytes, depth-1)})
	}
}

// dynamic captures the word that tells the type in an interface of Go.
func (c *compiler) dynamic(n *node, p place) {
	word, ok := p.at.Part(p.typ.PointerAt, eightbyte).Number()
	if !ok {
		return
	}
	n.length = n.source.part(0, eightbyte)
	if !p.typ.Empty {
		const typeOfTable = 8 // internal/abi.ITab.Type
		at := c.memory(location.Add(word, typeOfTable), eightbyte)
		n.length = source{{capture: at, size: eightbyte}}
	}
}

// baseTypes are the types that an argument may have by name (spec.Types).
var baseTypes = map[string]*types.Type{
	"u8": {Kind: types.Uint, Size: 1}, "u16": {Kind: types.Uint, Size: 2}, "u32": {Kind: types.Uint, Size: 4}, "u64": {Kind: types.Uint, Size: 8},
	"s8": {Kind: types.Int, Size: 1}, "s16": {Kind: types.Int, Size: 2}, "s32": {Kind: types.Int, Size: 4}, "s64": {Kind: types.Int, Size: 8},
	"x8": hexadecimal(1), "x16": hexadecimal(2), "x32": hexadecimal(4), "x64": hexadecimal(8),
	"char": {Kind: types.Char, Size: 1}, "bool": {Kind: types.Bool, Size: 1},
}

// hexadecimal returns the type of a number that is shown like an address.
func hexadecimal(size int64) *types.Type { return &types.Type{Kind: types.Pointer, Size: size} }

// named returns the node of a value with a type of baseTypes, or of a string.
func (c *compiler) named(typ string, at location.Location) *node {
	if typ == "string" {
		n := &node{typ: hexadecimal(eightbyte), source: c.value(at, eightbyte), text: none}
		if steps, ok := at.Number(); ok {
			n.text = c.captures.text(steps)
		}
		return n
	}
	t := baseTypes[typ]
	return &node{typ: t, source: c.value(at, t.Size), text: none}
}

// missing returns the node of a value that cannot be read.
func missing(reason string) *node {
	return &node{typ: &types.Type{Kind: types.Void}, text: none, missing: reason}
}

// registerSteps returns the steps for a register.
func registerSteps(r fetch.Register) []fetch.Step {
	return []fetch.Step{{Op: fetch.LoadRegister, Register: r}}
}
