// Package fetch evaluates the fetch arguments of a probe: it reads registers and
// memory of a program at a hit, and stores the values as bytes of a record.
//
// An Argument is plain data. The definitions of uprobe_events are compiled to it
// (Documentation/trace/uprobetracer.rst of Linux), and so are the arguments that the
// host command resolves by debug information. The record has the layout that the
// event's format file describes: a fixed part with one field for each argument, and a
// dynamic part with strings, to which the fields point.
package fetch

import (
	"encoding/binary"

	"slowpath/arch/amd64"
)

// Op is what a Step does with the number that is evaluated.
type Op uint8

// The operations. The first step of an argument sets the number, the others change it.
const (
	// Immediate sets the number to Value.
	Immediate Op = iota
	// LoadRegister sets it to the register Register.
	LoadRegister
	// StackPointer sets it to RSP.
	StackPointer
	// StackSlot sets it to the word of 8 bytes with index Value on the stack: 0 is the
	// word at RSP. A slot that cannot be read is 0, as on Linux.
	StackSlot
	// ReturnValue sets it to the value that the function has returned (RAX).
	ReturnValue
	// FileOffset sets it to the address at which the byte Value of the probed file is
	// mapped, if the file's mappings have the same distance to the file as the one that
	// was hit.
	FileOffset
	// Add adds Value.
	Add
	// Dereference replaces the number, an address, by the 8 bytes there.
	Dereference
	// Comm stands for the thread's name. It is the only step of an argument of the kind
	// String.
	Comm
	// Literal stands for Text. It is the only step of an argument of the kind String.
	Literal
)

// Step is one step of an evaluation.
type Step struct {
	Op       Op
	Register Register `json:",omitempty"`
	Value    int64    `json:",omitempty"`
	Text     string   `json:",omitempty"`
}

// Kind says what an argument is.
type Kind uint8

// The kinds.
const (
	// Integer is a number of Size bytes, little-endian.
	Integer Kind = iota
	// String is a text with a NUL at its end.
	String
	// SymbolString is the name of the symbol at the number, as text. The kernel knows no
	// symbols of programs, so it is the number in hexadecimal, as on Linux.
	SymbolString
	// Bytes is a range of memory: its address is the number, its length the result of
	// Length, but at most Max bytes.
	Bytes
)

// Base says how an integer is printed.
type Base uint8

// The bases.
const (
	Decimal Base = iota
	Hexadecimal
	// Symbol prints the number as an address: 0x and hexadecimal digits.
	Symbol
)

// Argument is one fetch argument. It is plain data, and constant after it was made. The
// zero value is an unsigned integer of size 0, which stores nothing.
type Argument struct {
	// Name is the field's name.
	Name string
	// Text is the argument as its definition gave it, without the name. It has no
	// effect.
	Text string `json:",omitempty"`
	// Steps are evaluated in their order.
	Steps []Step
	// InMemory says that the result of the steps is the address of an integer, or of a
	// string. Otherwise the result is the integer itself. For an array of strings it is
	// the address of an array of pointers.
	InMemory bool `json:",omitempty"`
	Kind     Kind
	// Size of an integer in bytes: 1, 2, 4 or 8.
	Size   int  `json:",omitempty"`
	Signed bool `json:",omitempty"`
	Base   Base `json:",omitempty"`
	// BitSize and BitOffset select bits of an integer. BitSize 0 selects all.
	BitSize   int `json:",omitempty"`
	BitOffset int `json:",omitempty"`
	// Count is the number of elements of an array of integers or strings in memory. 0
	// means no array.
	Count int `json:",omitempty"`
	// Length has the steps for the length of Bytes, and Max its maximum. If Length is
	// empty, the length is Max.
	Length []Step `json:",omitempty"`
	// Unit is the number of bytes that Length counts as one: the size of an element. 0
	// means 1.
	Unit int `json:",omitempty"`
	Max  int `json:",omitempty"`
}

// Memory is the memory of the program that was hit.
type Memory interface {
	// Load reads len(dst) bytes at a user address. An error means that they cannot be
	// read. It may sleep.
	Load(address uint64, dst []byte) error
}

// Hit is what arguments are evaluated from. It is valid during the hit. Several goroutines
// must not use it at the same time.
type Hit struct {
	Frame  *amd64.Frame
	Memory Memory
	// FileBase is the address at which the first byte of the file would be mapped: the
	// probed address less the probe's offset.
	FileBase uint64
	// Comm is the thread's name.
	Comm string

	// scratch is what Memory reads into. It is here because a variable would be allocated
	// for each read.
	scratch [chunk]byte
}

// locationSize is the size of a field that points into the dynamic part
// (__data_loc): the offset from the beginning of the record in the low 16 bits, the
// length in the high 16 bits.
const locationSize = 4

// Dynamic reports whether the argument has data in the dynamic part of the record.
func (a *Argument) Dynamic() bool { return a.Kind != Integer }

// FixedSize returns the number of bytes that the argument has in the fixed part.
func (a *Argument) FixedSize() int {
	size := a.Size
	if a.Dynamic() {
		size = locationSize
	}
	return size * max(a.Count, 1)
}

// Location is the field of a dynamic argument (__data_loc in a format file).
type Location uint32

// Offset returns the offset of the data from the beginning of the record.
func (l Location) Offset() int { return int(l & 0xffff) }

// Length returns the length of the data. It includes the NUL of a string. 0 means that
// the data could not be read.
func (l Location) Length() int { return int(l >> 16) }

// LocationAt returns the location at an offset of the record.
func LocationAt(record []byte, at int) Location {
	return Location(binary.LittleEndian.Uint32(record[at:]))
}

// Fetch stores the argument into a record. The fixed part of the argument begins at the
// offset at; it must be zero. Dynamic data is appended to the record, which grows to at
// most limit bytes; what does not fit is cut. limit is below 64 KiB. Fetch returns the
// record. What cannot be read is 0, and a string or range gets the length 0. It may
// sleep.
func (a *Argument) Fetch(h *Hit, record []byte, at, limit int) []byte {
	switch a.Kind {
	case Integer:
		a.fetchInteger(h, record[at:at+a.FixedSize()])
		return record
	case Bytes:
		return a.fetchBytes(h, record, at, limit)
	}
	return a.fetchStrings(h, record, at, limit)
}

// fetchInteger stores an integer or an array of integers.
func (a *Argument) fetchInteger(h *Hit, field []byte) {
	value, ok := h.evaluate(a.Steps)
	if !ok {
		return
	}
	if !a.InMemory {
		a.store(field, value)
		return
	}
	for i := range max(a.Count, 1) {
		element := field[i*a.Size:][:a.Size]
		if h.Memory.Load(value+uint64(i*a.Size), element) != nil {
			clear(element)
			continue
		}
		if a.BitSize > 0 {
			a.store(element, load(element))
		}
	}
}

// store stores a value of a.Size bytes, reduced to the bits that the argument selects.
func (a *Argument) store(field []byte, value uint64) {
	if a.BitSize > 0 {
		value = value >> a.BitOffset & (1<<a.BitSize - 1)
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], value)
	copy(field, b[:a.Size])
}

// load returns the number in up to 8 bytes.
func load(field []byte) uint64 {
	var b [8]byte
	copy(b[:], field)
	return binary.LittleEndian.Uint64(b[:])
}

// evaluate returns the result of the steps. It reports false if memory could not be
// read.
func (h *Hit) evaluate(steps []Step) (value uint64, ok bool) {
	for i := range steps {
		if value, ok = h.step(&steps[i], value); !ok {
			return 0, false
		}
	}
	return value, true
}

func (h *Hit) step(s *Step, value uint64) (uint64, bool) {
	switch s.Op {
	case Immediate:
		return uint64(s.Value), true
	case LoadRegister:
		return s.Register.Of(h.Frame), true
	case StackPointer:
		return h.Frame.RSP, true
	case StackSlot:
		slot, _ := h.word(h.Frame.RSP + uint64(s.Value)*8)
		return slot, true
	case ReturnValue:
		return h.Frame.RAX, true
	case FileOffset:
		return h.FileBase + uint64(s.Value), true
	case Add:
		return value + uint64(s.Value), true
	case Dereference:
		return h.word(value)
	}
	return 0, false
}

// word reads 8 bytes.
func (h *Hit) word(address uint64) (uint64, bool) {
	word := h.scratch[:8]
	if h.Memory.Load(address, word) != nil {
		return 0, false
	}
	return binary.LittleEndian.Uint64(word), true
}

// fetchStrings stores a string, or an array of strings.
func (a *Argument) fetchStrings(h *Hit, record []byte, at, limit int) []byte {
	if a.Count == 0 {
		return a.fetchString(h, record, at, limit)
	}
	pointers, ok := h.evaluate(a.Steps)
	for i := range a.Count {
		var address uint64
		readable := ok
		if readable {
			address, readable = h.word(pointers + uint64(i)*8)
		}
		begin := len(record)
		if readable {
			record, readable = h.appendString(record, address, limit)
		}
		setLocation(record, at+i*locationSize, begin, readable)
	}
	return record
}

// fetchString stores one string.
func (a *Argument) fetchString(h *Hit, record []byte, at, limit int) []byte {
	begin := len(record)
	var readable bool
	switch {
	case len(a.Steps) == 1 && a.Steps[0].Op == Comm:
		record, readable = appendText(record, h.Comm, limit)
	case len(a.Steps) == 1 && a.Steps[0].Op == Literal:
		record, readable = appendText(record, a.Steps[0].Text, limit)
	default:
		var value uint64
		if value, readable = h.evaluate(a.Steps); !readable {
			break
		}
		if a.Kind == SymbolString {
			record, readable = appendText(record, hexadecimal(value), limit)
		} else {
			record, readable = h.appendString(record, value, limit)
		}
	}
	setLocation(record, at, begin, readable)
	return record
}

// setLocation stores the location of the data from begin to the end of the record, or of
// no data.
func setLocation(record []byte, at, begin int, readable bool) {
	length := 0
	if readable {
		length = len(record) - begin
	}
	binary.LittleEndian.PutUint32(record[at:], uint32(length)<<16|uint32(begin)&0xffff)
}

// appendText appends a text and its NUL. It reports false if there is no room.
func appendText(record []byte, text string, limit int) ([]byte, bool) {
	room := limit - len(record)
	if room < 1 {
		return record, false
	}
	record = append(record, text[:min(len(text), room-1)]...)
	return append(record, 0), true
}

// chunk is how many bytes of a string are read at a time. It divides the page size, so
// that a chunk that begins at a multiple of it is readable or not as a whole.
const chunk = 64

// appendString appends the string at a user address, with its NUL. A string that does not
// fit is cut. It reports false, and appends nothing, if the string cannot be read.
func (h *Hit) appendString(record []byte, address uint64, limit int) ([]byte, bool) {
	begin := len(record)
	if limit-begin < 1 {
		return record, false
	}
	for {
		part := h.scratch[:chunk-address%chunk]
		if h.Memory.Load(address, part) != nil {
			return record[:begin], false
		}
		for i, c := range part {
			if c == 0 {
				return append(append(record, part[:i]...), 0), true
			}
			if len(record)+i+1 == limit {
				return append(append(record, part[:i]...), 0), true
			}
		}
		record = append(record, part...)
		address += uint64(len(part))
	}
}

// fetchBytes stores a range of memory.
func (a *Argument) fetchBytes(h *Hit, record []byte, at, limit int) []byte {
	begin := len(record)
	address, readable := h.evaluate(a.Steps)
	length := uint64(a.Max)
	if len(a.Length) > 0 && readable {
		length, readable = h.evaluate(a.Length)
	}
	room := uint64(max(0, min(a.Max, limit-begin)))
	if int64(length) < 0 {
		length = 0 // a negative length of a program's own structure
	}
	if a.Unit > 1 {
		length = min(length, uint64(a.Max)) * uint64(a.Unit)
	}
	length = min(length, room)
	if readable && length > 0 {
		record = append(record, make([]byte, length)...)
		if h.Memory.Load(address, record[begin:]) != nil {
			record, readable = record[:begin], false
		}
	}
	setLocation(record, at, begin, readable)
	return record
}
