package events

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"slowpath/trace"
)

// field is a field of a record. Its offset follows from those before it.
type field struct {
	cType  string
	name   string
	size   int // in bytes; 4 for a __data_loc
	signed bool
}

// Kinds of fields (Linux: __field, __array and __string of TRACE_EVENT).
func integer(name string) field { return field{"int", name, 4, true} }
func pid(name string) field     { return field{"pid_t", name, 4, true} }
func comm(name string) field    { return field{"char[]", name, commSize, true} }
func short(name string) field   { return field{"short", name, 2, true} }
func long(name string) field    { return field{"long", name, 8, true} }
func u64(name string) field     { return field{"u64", name, 8, false} }
func word(name string) field    { return field{"unsigned long", name, 8, false} }
func half(name string) field    { return field{"unsigned int", name, 4, false} }
func text(name string) field    { return field{"__data_loc char[]", name, 4, true} }

// commSize is TASK_COMM_LEN.
const commSize = 16

// isArray reports whether the field is an array of characters in the record, and isText
// whether it is a string behind the fields.
func (f *field) isArray() bool { return f.cType == "char[]" }
func (f *field) isText() bool  { return strings.HasPrefix(f.cType, "__data_loc") }

// alignment returns the alignment of the field in bytes.
func (f *field) alignment() int {
	if f.isArray() {
		return 1
	}
	return f.size
}

// schema is the layout of a record with its text.
type schema struct {
	fields []trace.Field
	kinds  []field
	size   int // of the fields, in bytes
	parts  []part
}

// part is a piece of the text: a literal, and then the value of a field if verb is not 0.
type part struct {
	literal string
	field   int
	verb    byte // of printf: d, u, x or s; 0 for none
	width   int  // of a number, filled with zeros
	show    func(value uint64) string
}

// newSchema lays out a row's fields and parses its text.
func newSchema(r *row) *schema {
	s := &schema{kinds: r.fields, size: trace.CommonSize}
	greatest := 1
	for i := range r.fields {
		f := &r.fields[i]
		a := f.alignment()
		greatest = max(greatest, a)
		s.size = (s.size + a - 1) / a * a
		placed := trace.Field{Type: f.cType, Name: f.name, Offset: s.size, Size: f.size, Signed: f.signed}
		if f.isArray() {
			placed.Length = f.size
		}
		s.fields = append(s.fields, placed)
		s.size += f.size
	}
	s.size = (s.size + greatest - 1) / greatest * greatest
	s.parts = parseText(r.text)
	for i := range s.parts {
		if p := &s.parts[i]; p.verb != 0 {
			p.show = r.shows[r.fields[p.field].name]
		}
	}
	return s
}

// parseText splits a printf format into its parts. The verbs are d, u, x and s, with an
// optional width and length modifier. The fields follow in order.
func parseText(format string) (parts []part) {
	next := 0
	for {
		before, rest, found := strings.Cut(format, "%")
		if !found {
			return append(parts, part{literal: before})
		}
		end := strings.IndexAny(rest, "duxs")
		width, _ := strconv.Atoi(strings.TrimRight(rest[:end], "hlL"))
		parts = append(parts, part{literal: before, field: next, verb: rest[end], width: width})
		next++
		format = rest[end+1:]
	}
}

// printFormat returns what the file format shows behind "print fmt: ".
func (s *schema) printFormat(r *row) string {
	if r.printFormat != "" {
		return r.printFormat
	}
	b := new(strings.Builder)
	b.WriteString(strconv.Quote(r.text))
	for i := range s.kinds {
		form := ", REC->%s"
		if s.kinds[i].isText() {
			form = ", __get_str(%s)"
		}
		fmt.Fprintf(b, form, s.kinds[i].name)
	}
	return b.String()
}

// value is the value of a field: a number, or the text of an array or string.
type value struct {
	number uint64
	text   string
}

func number[N ~int | ~int32 | ~int16 | ~int64 | ~uint32 | ~uint64 | ~uint8](n N) value {
	return value{number: uint64(n)}
}

func name(s string) value { return value{text: s} }

// encode appends a record with the values of all fields to dst, which is empty. Strings
// are cut so that the record has at most trace.MaxRecord bytes.
func (s *schema) encode(dst []byte, values []value) []byte {
	dst = append(dst, make([]byte, s.size)...)
	for i := range s.fields {
		f, v := &s.fields[i], &values[i]
		switch at := dst[f.Offset:]; {
		case s.kinds[i].isArray():
			copy(at[:f.Size-1], v.text)
		case s.kinds[i].isText():
			cut := v.text[:min(len(v.text), trace.MaxRecord-len(dst)-1)]
			binary.LittleEndian.PutUint32(at, uint32(len(dst))|uint32(len(cut)+1)<<16)
			dst = append(append(dst, cut...), 0)
		case f.Size == 2:
			binary.LittleEndian.PutUint16(at, uint16(v.number))
		case f.Size == 4:
			binary.LittleEndian.PutUint32(at, uint32(v.number))
		default:
			binary.LittleEndian.PutUint64(at, v.number)
		}
	}
	return dst
}

// print appends the text of a record, which may have any contents and length.
func (s *schema) print(dst, record []byte) []byte {
	for i := range s.parts {
		p := &s.parts[i]
		dst = append(dst, p.literal...)
		switch {
		case p.verb == 0:
		case p.show != nil:
			dst = append(dst, p.show(s.load(record, p.field))...)
		case p.verb == 's':
			dst = append(dst, s.loadText(record, p.field)...)
		case p.verb == 'u':
			dst = strconv.AppendUint(dst, s.load(record, p.field), 10)
		case p.verb == 'x':
			dst = strconv.AppendUint(dst, s.load(record, p.field), 16)
		default:
			dst = fmt.Appendf(dst, "%0*d", p.width, int64(s.load(record, p.field)))
		}
	}
	return dst
}

// load returns the number in a field, with its sign extended. What the record lacks is 0.
func (s *schema) load(record []byte, i int) uint64 {
	f := &s.fields[i]
	var b [8]byte
	if f.Offset < len(record) {
		copy(b[:min(f.Size, 8)], record[f.Offset:])
	}
	n := binary.LittleEndian.Uint64(b[:])
	if shift := 64 - 8*f.Size; f.Signed && shift > 0 {
		return uint64(int64(n<<shift) >> shift)
	}
	return n
}

// loadText returns the text in a field, up to the first NUL.
func (s *schema) loadText(record []byte, i int) string {
	at, size := s.fields[i].Offset, s.fields[i].Size
	if s.kinds[i].isText() {
		place := uint32(s.load(record, i))
		at, size = int(place&0xffff), int(place>>16)
	}
	if at >= len(record) {
		return ""
	}
	t, _, _ := strings.Cut(string(record[at:min(at+size, len(record))]), "\x00")
	return t
}
