package filter

import (
	"encoding/binary"
)

// Thread is the thread whose record is filtered.
type Thread interface {
	// Comm returns the thread's name.
	Comm() string
}

// Filter is a parsed expression. It is constant.
type Filter struct {
	text    string
	program []branch
}

// branch is a step of a program: it evaluates a predicate, and goes to the step after
// target if the result is when. Otherwise it goes to the next step. The last two steps
// have no predicate: they are the results true and false.
type branch struct {
	predicate *predicate
	target    int
	when      bool
}

// String returns the expression as it was written.
func (f *Filter) String() string { return f.text }

// Match reports whether a record of the thread, on the CPU with the given number, matches
// the filter. record may have any length: a field beyond its end is 0 or empty. It does
// not sleep.
func (f *Filter) Match(t Thread, cpu int, record []byte) bool {
	at := 0
	for ; f.program[at].predicate != nil; at++ {
		step := &f.program[at]
		if step.predicate.match(t, cpu, record) == step.when {
			at = step.target
		}
	}
	return f.program[at].target == 1
}

// predicate is one comparison.
type predicate struct {
	field    *Field
	kind     kind
	operator operator
	value    uint64  // of a number
	pattern  pattern // of a text
	not      bool
}

func (p *predicate) match(t Thread, cpu int, record []byte) bool {
	switch p.kind {
	case processor:
		return p.compareSigned(int64(cpu), int64(int32(p.value)))
	case threadName:
		return p.pattern.match(t.Comm()) != p.not
	case staticString:
		return p.pattern.match(text(part(record, p.field.Offset, p.field.Size))) != p.not
	case dynamicString:
		return p.pattern.match(dynamic(record, p.field.Offset)) != p.not
	case number:
		return p.matchNumber(record)
	}
	return false
}

// part returns the bytes of a record, as far as the record has them.
func part(record []byte, at, size int) []byte {
	if at < 0 || at > len(record) {
		return nil
	}
	if size == 0 {
		return record[at:]
	}
	return record[at:min(at+size, len(record))]
}

// text returns the bytes up to the first NUL.
func text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// dynamic returns the text to which a __data_loc field points.
func dynamic(record []byte, at int) string {
	location := uint32(load(part(record, at, 4)))
	if location>>16 == 0 {
		return ""
	}
	return text(part(record, int(location&0xffff), int(location>>16)))
}

// load returns the number in up to 8 bytes.
func load(b []byte) uint64 {
	var whole [8]byte
	copy(whole[:], b)
	return binary.LittleEndian.Uint64(whole[:])
}

func (p *predicate) matchNumber(record []byte) bool {
	size := p.field.Size
	if size != 1 && size != 2 && size != 4 && size != 8 {
		return false // an array of numbers matches nothing, as on Linux
	}
	unused := 64 - 8*size
	have, want := load(part(record, p.field.Offset, size))<<unused, p.value<<unused
	switch {
	case p.operator == bitAnd:
		return have&want != 0
	case p.field.Signed:
		return p.compareSigned(int64(have), int64(want))
	}
	return compare(p.operator, have, want)
}

func (p *predicate) compareSigned(have, want int64) bool { return compare(p.operator, have, want) }

func compare[T int64 | uint64](o operator, have, want T) bool {
	switch o {
	case equal:
		return have == want
	case notEqual:
		return have != want
	case less:
		return have < want
	case lessOrEqual:
		return have <= want
	case greater:
		return have > want
	case greaterOrEqual:
		return have >= want
	}
	return false
}
