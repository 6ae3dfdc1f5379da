// Package types reads the types of variables from DWARF, as far as values are printed:
// structures one level deep, strings and slices of Go, Rust and C++ by their headers.
//
// debug/dwarf has a reader of types too, but it drops what matters here: references, how a
// class is passed, and the run-time type of a type of Go.
package types

import (
	"debug/dwarf"
	"strings"

	"slowpath/probe/die"
)

// Kind is the kind of a type.
type Kind uint8

// The kinds.
const (
	// Unknown is a type that this package does not read.
	Unknown Kind = iota
	// Void is the type of nothing.
	Void
	// Int and Uint are integers of Size bytes.
	Int
	Uint
	// Bool is a truth value.
	Bool
	// Char is a character of one byte. Wider characters are Uint.
	Char
	// Float is a floating-point number of 4, 8 or 16 bytes.
	Float
	// Complex is two floating-point numbers.
	Complex
	// Pointer and Reference are addresses of an Element.
	Pointer
	Reference
	// Function is code; in Go the address of a closure.
	Function
	// Struct has Fields, Union too.
	Struct
	Union
	// Array has Count elements.
	Array
	// Enum is an integer with names.
	Enum
	// String is a header of a pointer and a length: Go's string, Rust's &str, C++'s
	// std::string.
	String
	// Slice is a header of a pointer and a length of Elements.
	Slice
	// Interface is an interface of Go: a word for the type, and a pointer.
	Interface
)

// Type is a type. It is read when it is needed, because types refer to each other.
type Type struct {
	Kind Kind
	// Name is the name in the source, or empty.
	Name string
	// Size is the number of bytes.
	Size int64
	// Count is the number of elements of an Array, -1 if it is unknown.
	Count int64
	// Names are the values of an Enum.
	Names map[int64]string
	// Signed is true for an Enum of signed integers.
	Signed bool
	// ByReference is true for a class of C++ that is passed by its address.
	ByReference bool
	// Empty is true for an interface without methods: its first word is the type.
	Empty bool
	// PointerAt and LengthAt are the offsets of the pointer and the length in a String or
	// a Slice.
	PointerAt, LengthAt int64

	reader  *Reader
	element dwarf.Offset // 0 for none
	offset  dwarf.Offset
	fields  []Field
	read    bool // fields is complete
}

// Field is a field of a structure.
type Field struct {
	Name   string
	Offset int64
	Type   *Type
	// BitSize is the number of bits of a bit field, else 0. BitOffset counts from bit 0 of
	// the byte at Offset.
	BitSize, BitOffset int64
	// Base is true for a base class.
	Base bool
}

// LengthOffset is the offset of the second word of the usual headers: the length of a
// String or a Slice, or the pointer of an Interface.
const LengthOffset = 8

// Reader reads types.
type Reader struct {
	data    *dwarf.Data
	known   map[dwarf.Offset]*Type
	runtime map[uint64]string // see RuntimeName
	base    uint64
	depth   int // of the types that are being read
}

// NewReader returns a reader of the types in data. base is the address of the symbol
// runtime.types of a Go program, from which newer versions of Go count.
func NewReader(data *dwarf.Data, base uint64) *Reader {
	return &Reader{data: data, known: map[dwarf.Offset]*Type{}, base: base}
}

// unknown is the type of what cannot be read.
var unknown = &Type{Kind: Unknown}

// Of returns the type that DW_AT_type of an entry names. An entry without one is void.
func (r *Reader) Of(e *dwarf.Entry) *Type {
	switch offset := e.Val(dwarf.AttrType).(type) {
	case nil:
		return &Type{Kind: Void}
	case dwarf.Offset:
		return r.At(offset)
	}
	return unknown
}

// maxChain is the maximum number of typedefs and qualifiers around a type.
const maxChain = 64

// At returns the type at an offset. Damage gives a type of the kind Unknown.
func (r *Reader) At(offset dwarf.Offset) *Type {
	if t := r.known[offset]; t != nil {
		return t
	}
	if r.depth == maxDepth {
		return unknown
	}
	r.depth++
	defer func() { r.depth-- }()
	r.known[offset] = unknown // of a damaged type that has itself as a part
	t := r.resolve(offset)
	r.known[offset] = t
	return t
}

// maxDepth is the maximum depth of structures in structures.
const maxDepth = 256

// resolve follows typedefs and qualifiers and reads the type behind them.
func (r *Reader) resolve(offset dwarf.Offset) (t *Type) {
	defer func() {
		if recover() != nil {
			t = unknown
		}
	}()
	name := ""
	for range maxChain {
		e := die.At(r.data, offset)
		if e == nil {
			return unknown
		}
		if name == "" {
			name, _ = e.Val(dwarf.AttrName).(string)
		}
		if !transparent(e.Tag) {
			return r.read(e, name)
		}
		next, ok := e.Val(dwarf.AttrType).(dwarf.Offset)
		if !ok {
			return &Type{Kind: Void, Name: name}
		}
		offset = next
	}
	return unknown
}

// transparent reports whether a DIE only gives another name or a qualifier to a type.
func transparent(t dwarf.Tag) bool {
	switch t {
	case dwarf.TagTypedef, dwarf.TagConstType, dwarf.TagVolatileType, dwarf.TagRestrictType, dwarf.TagAtomicType, dwarf.TagPackedType, dwarf.TagImmutableType:
		return true
	}
	return false
}

// kinds has the kinds that follow from the tag.
var kinds = map[dwarf.Tag]Kind{
	dwarf.TagPointerType: Pointer, dwarf.TagReferenceType: Reference, dwarf.TagRvalueReferenceType: Reference,
	dwarf.TagStructType: Struct, dwarf.TagClassType: Struct, dwarf.TagUnionType: Union, dwarf.TagArrayType: Array,
	dwarf.TagEnumerationType: Enum, dwarf.TagSubroutineType: Function, dwarf.TagUnspecifiedType: Void,
	dwarf.TagPtrToMemberType: Uint,
}

// pointerSize is the size of an address.
const pointerSize = 8

// read reads the type that a DIE describes.
func (r *Reader) read(e *dwarf.Entry, name string) *Type {
	t := &Type{Kind: kinds[e.Tag], Name: name, reader: r, offset: e.Offset}
	t.Size, _ = e.Val(dwarf.AttrByteSize).(int64)
	t.element, _ = e.Val(dwarf.AttrType).(dwarf.Offset)
	if t.Size < 0 {
		return unknown
	}
	switch t.Kind {
	case Pointer, Reference, Function:
		t.Size = pointerSize
	case Unknown:
		if e.Tag == dwarf.TagBaseType {
			t.readBase(e)
		}
	case Uint:
		if t.Size == 0 {
			t.Size = pointerSize
		}
	case Array:
		t.readArray(e)
	case Enum:
		t.readEnum()
	case Struct:
		convention, _ := e.Val(dwarf.AttrCalling).(int64)
		t.ByReference = convention == passByReference
		own, _ := e.Val(dwarf.AttrName).(string)
		t.recogniseHeader(own)
	}
	return t
}

// passByReference is DW_CC_pass_by_reference (DWARF 5, table 7.18).
const passByReference = 4

// Encodings of base types (DWARF 5, table 7.11).
const (
	encodingAddress      = 0x01
	encodingBoolean      = 0x02
	encodingComplexFloat = 0x03
	encodingFloat        = 0x04
	encodingSigned       = 0x05
	encodingSignedChar   = 0x06
	encodingUnsigned     = 0x07
	encodingUnsignedChar = 0x08
	encodingUTF          = 0x10
)

func (t *Type) readBase(e *dwarf.Entry) {
	encoding, _ := e.Val(dwarf.AttrEncoding).(int64)
	switch encoding {
	case encodingBoolean:
		t.Kind = Bool
	case encodingComplexFloat:
		t.Kind = Complex
	case encodingFloat:
		t.Kind = Float
	case encodingSigned:
		t.Kind = Int
	case encodingUnsigned, encodingAddress, encodingUTF:
		t.Kind = Uint
	case encodingSignedChar, encodingUnsignedChar:
		t.Kind = Char
		if strings.HasPrefix(t.Name, "unsigned") || strings.HasPrefix(t.Name, "uint") || t.Name == "u8" {
			t.Kind = Uint
		} else if strings.HasPrefix(t.Name, "int") || t.Name == "i8" {
			t.Kind = Int
		}
	}
}

// children calls f for each child of the type's DIE until it returns false.
func (t *Type) children(f func(e *dwarf.Entry) bool) {
	reader := die.NewReader(t.reader.data)
	reader.Seek(t.offset)
	if e, err := reader.Next(); err != nil || e == nil || !e.Children {
		return
	}
	const most = 1 << 14
	for range most {
		e, err := reader.Next()
		if err != nil || e == nil || e.Tag == 0 || !f(e) {
			return
		}
		if e.Children {
			reader.SkipChildren(e)
		}
	}
}

func (t *Type) readArray(e *dwarf.Entry) {
	t.Count = -1
	dimensions := 0
	t.children(func(e *dwarf.Entry) bool {
		if e.Tag != dwarf.TagSubrangeType {
			return true
		}
		dimensions++
		count, ok := e.Val(dwarf.AttrCount).(int64)
		if !ok {
			if upper, found := e.Val(dwarf.AttrUpperBound).(int64); found {
				count, ok = upper+1, true
			}
		}
		switch {
		case !ok || count < 0 || count > 1<<20 && dimensions > 1 || count > 1<<40:
			t.Count = -1
		case dimensions == 1:
			t.Count = count
		case t.Count >= 0 && t.Count < 1<<40:
			t.Count *= count // an array of arrays is shown as one
		}
		return true
	})
	if element := t.Element(); t.Size == 0 && t.Count > 0 && element.Size > 0 && t.Count < 1<<40/element.Size {
		t.Size = t.Count * element.Size
	}
}

func (t *Type) readEnum() {
	t.Names = map[int64]string{}
	t.children(func(e *dwarf.Entry) bool {
		name, _ := e.Val(dwarf.AttrName).(string)
		if value, ok := e.Val(dwarf.AttrConstValue).(int64); ok && e.Tag == dwarf.TagEnumerator {
			if _, known := t.Names[value]; !known {
				t.Names[value] = name
			}
			t.Signed = t.Signed || value < 0
		}
		return true
	})
	if t.Size == 0 {
		t.Size = 4
	}
}

// Element returns the type of the elements, or of what a pointer points to.
func (t *Type) Element() *Type {
	if t.reader == nil || t.element == 0 {
		return &Type{Kind: Void}
	}
	return t.reader.At(t.element)
}

// Fields returns the fields of a structure. A base class is a field.
func (t *Type) Fields() []Field {
	if t.read || t.reader == nil || t.Kind != Struct && t.Kind != Union && t.Kind != String && t.Kind != Slice && t.Kind != Interface {
		return t.fields
	}
	t.read = true
	defer func() { recover() }() // a damaged file: the fields so far count
	t.children(func(e *dwarf.Entry) bool {
		if e.Tag != dwarf.TagMember && e.Tag != dwarf.TagInheritance {
			return true
		}
		if e.Val(dwarf.AttrExternal) != nil || e.Val(dwarf.AttrConstValue) != nil {
			return true // a static member
		}
		f := Field{Type: t.reader.Of(e)}
		f.Name, _ = e.Val(dwarf.AttrName).(string)
		if e.Tag == dwarf.TagInheritance {
			f.Name, f.Base = f.Type.Name, true
		}
		f.Offset = memberOffset(e)
		readBits(&f, e)
		t.fields = append(t.fields, f)
		return true
	})
	return t.fields
}

// memberOffset returns DW_AT_data_member_location: a constant, or DW_OP_plus_uconst.
func memberOffset(e *dwarf.Entry) int64 {
	switch v := e.Val(dwarf.AttrDataMemberLoc).(type) {
	case int64:
		return v
	case []byte:
		const plusUconst = 0x23
		if len(v) > 1 && v[0] == plusUconst {
			n, shift := int64(0), 0
			for _, b := range v[1:] {
				n |= int64(b&0x7f) << shift
				shift += 7
			}
			return n
		}
	}
	return 0
}

// readBits reads the place of a bit field (DWARF 5, 5.7.6; DWARF 3 counts from the most
// significant bit of the storage unit).
func readBits(f *Field, e *dwarf.Entry) {
	size, ok := e.Val(dwarf.AttrBitSize).(int64)
	if !ok || size <= 0 || size > 64 {
		return
	}
	f.BitSize = size
	if at, ok := e.Val(dwarf.AttrDataBitOffset).(int64); ok && at >= 0 {
		f.Offset, f.BitOffset = at/8, at%8
	} else if at, ok := e.Val(dwarf.AttrBitOffset).(int64); ok {
		unit := f.Type.Size
		if n, ok := e.Val(dwarf.AttrByteSize).(int64); ok {
			unit = n
		}
		low := unit*8 - at - size
		if low >= 0 {
			f.Offset, f.BitOffset = f.Offset+low/8, low%8
		}
	}
}

// recogniseHeader makes a string, a slice or an interface of a structure that has the
// fields of one. own is the name of the structure itself, without typedefs.
func (t *Type) recogniseHeader(own string) {
	names := t.fieldNames()
	if !headers[names] {
		if strings.HasPrefix(own, "basic_string<char,") && t.Size == 32 {
			t.Kind, t.LengthAt = String, LengthOffset // libstdc++
		}
		return
	}
	fields := t.Fields()
	switch names {
	case "str len":
		t.Kind, t.LengthAt = String, LengthOffset
	case "array len cap":
		t.Kind, t.LengthAt, t.element = Slice, LengthOffset, fields[0].Type.element
	case "data_ptr length", "length data_ptr": // Rust
		if fields[0].Offset+fields[1].Offset != LengthOffset {
			return
		}
		t.Kind, t.LengthAt, t.element = Slice, LengthOffset, pointerField(fields).element
		if strings.HasSuffix(t.Name, "str") {
			t.Kind = String
		}
	case "buf len", "len buf":
		t.recogniseVector(own)
	case "vec":
		if vector := fields[0].Type; own == "String" && vector.Kind == Slice && vector.Element().Size == 1 {
			t.Kind, t.PointerAt, t.LengthAt = String, fields[0].Offset+vector.PointerAt, fields[0].Offset+vector.LengthAt
		}
	case "tab data":
		t.Kind = Interface
	case "_type data":
		t.Kind, t.Empty = Interface, true
	}
}

// headers are the names of the fields of headers.
var headers = map[string]bool{
	"str len": true, "array len cap": true, "data_ptr length": true, "length data_ptr": true, "buf len": true, "len buf": true,
	"vec": true, "tab data": true, "_type data": true,
}

// mostHeaderFields is the greatest number of fields of a header.
const mostHeaderFields = 3

// fieldNames returns the names of the fields with spaces between them, as far as a header
// has fields. It does not read their types.
func (t *Type) fieldNames() string {
	var names []string
	t.children(func(e *dwarf.Entry) bool {
		if e.Tag == dwarf.TagMember {
			name, _ := e.Val(dwarf.AttrName).(string)
			names = append(names, name)
		}
		return len(names) <= mostHeaderFields
	})
	return strings.Join(names, " ")
}

// recogniseVector makes a slice of a Vec of Rust: the pointer is deep inside of buf.
func (t *Type) recogniseVector(own string) {
	if !strings.HasPrefix(own, "Vec<") {
		return
	}
	element := t.templateParameter()
	for _, f := range t.fields {
		switch f.Name {
		case "len":
			t.LengthAt = f.Offset
		case "buf":
			budget := maxDepth
			at, ok := firstPointer(f.Type, &budget)
			if !ok || element == 0 {
				return
			}
			t.PointerAt, t.Kind, t.element = f.Offset+at, Slice, element
		}
	}
}

// templateParameter returns the first type parameter of a type, 0 if there is none.
func (t *Type) templateParameter() (parameter dwarf.Offset) {
	t.children(func(e *dwarf.Entry) bool {
		if offset, ok := e.Val(dwarf.AttrType).(dwarf.Offset); ok && e.Tag == dwarf.TagTemplateTypeParameter {
			parameter = offset
		}
		return parameter == 0
	})
	return parameter
}

// firstPointer returns the offset of the first pointer in a structure and those in it. It
// looks at no more types than the budget allows.
func firstPointer(t *Type, budget *int) (offset int64, ok bool) {
	*budget--
	if t.Kind == Pointer {
		return 0, true
	}
	if t.Kind != Struct {
		return 0, false
	}
	for _, f := range t.Fields() {
		if *budget <= 0 {
			return 0, false
		}
		if at, ok := firstPointer(f.Type, budget); ok {
			return f.Offset + at, true
		}
	}
	return 0, false
}

// pointerField returns the type of the field of a Rust slice that points to the data.
func pointerField(fields []Field) *Type {
	for i := range fields {
		if fields[i].Name == "data_ptr" {
			return fields[i].Type
		}
	}
	return unknown
}

// attrGoRuntimeType is DW_AT_go_runtime_type: the address of the type's descriptor.
const attrGoRuntimeType = dwarf.Attr(0x2904)

// RuntimeName returns the name of the type of Go whose descriptor is at an address of the
// ELF file, or an empty text.
func (r *Reader) RuntimeName(address uint64) string {
	if r.runtime == nil {
		r.runtime = map[uint64]string{}
		r.readRuntime()
	}
	return r.runtime[address]
}

func (r *Reader) readRuntime() {
	defer func() { recover() }() // a damaged file: the names so far count
	reader := die.NewReader(r.data)
	for {
		e, err := reader.Next()
		if err != nil || e == nil {
			return
		}
		if e.Children && e.Tag != dwarf.TagCompileUnit {
			reader.SkipChildren(e)
		}
		address, _ := e.Val(attrGoRuntimeType).(uint64)
		if offset, ok := e.Val(attrGoRuntimeType).(int64); ok && offset > 0 {
			address = uint64(offset)
		}
		if address == 0 {
			continue
		}
		if address < r.base {
			address += r.base
		}
		if name, _ := e.Val(dwarf.AttrName).(string); r.runtime[address] == "" {
			r.runtime[address] = name
		}
	}
}
