package tracespec

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Program is the program that makes a call.
type Program interface {
	// Load reads user memory: all of p, or an error.
	Load(address uint64, p []byte) error
	// LoadSome reads user memory up to the first byte that cannot be read.
	LoadSome(address uint64, p []byte) int
	// StackPointer returns the stack pointer of the program.
	StackPointer() uint64
	// FileName returns the capture of Descriptor with or without details, or "" if the
	// descriptor is closed.
	FileName(descriptor int32, details bool) string
}

// Capturer executes ops. It is reused for many calls, and one goroutine uses it at a time.
type Capturer struct {
	writer
	begin, end [MaxOps]int32 // where in the buffer the captures are; end is 0 for none
	scratch    []byte
}

// A capture is encoded as 0 if it is missing, or as its length plus one and its bytes.

// Capture executes ops and returns the encoded captures, which are valid until the next
// call. result is that of the call, at its exit. It may sleep.
func (c *Capturer) Capture(ops []Op, arguments *[6]uint64, result int64, p Program) []byte {
	c.buffer = c.buffer[:0]
	for i := range ops {
		o := &ops[i]
		c.end[i] = 0
		if !o.When.met(arguments, result) || !c.capture(o, i, arguments, result, p) {
			c.number(0)
		}
	}
	return c.buffer
}

func (g *Guard) met(arguments *[6]uint64, result int64) bool {
	if g.Success && result < 0 && result >= -4095-512 {
		return false
	}
	return len(g.Values) == 0 || slices.Contains(g.Values, arguments[g.Argument]&g.Mask) != g.Except
}

// value returns a value, and false if it is in a capture that is missing.
func (c *Capturer) value(v *Value, arguments *[6]uint64, result int64, p Program) (uint64, bool) {
	switch v.Source {
	case Constant:
		return v.Number, true
	case Argument:
		if v.Size == 4 {
			return arguments[v.Index] & (1<<32 - 1), true
		}
		return arguments[v.Index], true
	case Result:
		return uint64(max(result, 0)), true
	case Stack:
		return p.StackPointer() + v.Number, true
	}
	b := c.bytesOf(v.Index)
	if uint64(v.Offset)+uint64(v.Size) > uint64(len(b)) {
		return 0, false
	}
	return Number(b[v.Offset:], int(v.Size)), true
}

// Number returns a little-endian number of 1, 2, 4 or 8 bytes, which b must have.
func Number(b []byte, size int) (n uint64) {
	for i := range size {
		n |= uint64(b[i]) << (8 * i)
	}
	return n
}

// bytesOf returns an earlier capture of the record. nil if it is missing.
func (c *Capturer) bytesOf(index uint8) []byte {
	if c.end[index] == 0 {
		return nil
	}
	return c.buffer[c.begin[index]:c.end[index]]
}

// room returns scratch memory of at most n bytes, as the limit of the record allows.
func (c *Capturer) room(n uint64) []byte {
	n = min(n, uint64(max(0, MaxCapture-len(c.buffer))))
	if uint64(cap(c.scratch)) < n {
		c.scratch = make([]byte, max(n, 256))
	}
	return c.scratch[:n]
}

// keep appends the bytes of a capture.
func (c *Capturer) keep(index int, b []byte) bool {
	c.captured(b)
	c.begin[index], c.end[index] = int32(len(c.buffer)-len(b)), int32(len(c.buffer))
	return true
}

// capture executes one op. It reports false if the capture is missing.
func (c *Capturer) capture(o *Op, index int, arguments *[6]uint64, result int64, p Program) bool {
	switch {
	case o.Kind == Vector:
		return c.vector(o, index, arguments, result, p)
	case o.Kind == Pointers:
		return c.pointers(o, index, arguments, result, p)
	case o.Kind.ofCapture():
		return c.descriptors(o, index, arguments, result, p)
	}
	address, ok := c.value(&o.Address, arguments, result, p)
	if !ok {
		return false
	}
	switch o.Kind {
	case Descriptor:
		name := p.FileName(int32(address), o.Max == WithDetails)
		return name != "" && c.keep(index, []byte(name))
	case String:
		return address != 0 && c.keepString(index, address, o.Max, p)
	case Strings:
		return address != 0 && c.keep(index, c.strings(o, address, p))
	}
	count, ok := c.value(&o.Count, arguments, result, p)
	if !ok || address == 0 {
		return false
	}
	if o.Kind == Records {
		return c.keep(index, binary.LittleEndian.AppendUint64(nil, countRecords(address, count, o.Unit, p)))
	}
	b := c.room(limited(count, uint64(o.Unit), uint64(o.Max)))
	address += uint64(o.Offset)
	if o.Kind == Prefix {
		b = b[:p.LoadSome(address, b)]
		return (len(b) > 0 || count == 0) && c.keep(index, b)
	}
	return p.Load(address, b) == nil && c.keep(index, b)
}

// countRecords returns the number of records in size bytes.
func countRecords(address, size uint64, offset uint32, p Program) (n uint64) {
	var length [2]byte
	for at := uint64(0); at < size && n < 1<<16; n++ {
		if p.Load(address+at+uint64(offset), length[:]) != nil {
			break
		}
		step := uint64(binary.LittleEndian.Uint16(length[:]))
		if step == 0 {
			break
		}
		at += step
	}
	return n
}

// limited returns count*unit, at most limit.
func limited(count, unit, limit uint64) uint64 {
	if unit == 0 || count > limit/unit {
		return limit
	}
	return count * unit
}

func (c *Capturer) keepString(index int, address uint64, limit uint32, p Program) bool {
	b := loadString(c.room(uint64(limit)), address, p)
	return len(b) > 0 && c.keep(index, b)
}

// loadString reads a string with its NUL into b: less if b is too small, or if the string
// ends at memory that cannot be read. Most strings are short, so it begins with a small read.
func loadString(b []byte, address uint64, p Program) []byte {
	const first = 64
	for at, step := 0, first; at < len(b); step = len(b) {
		part := b[at:min(len(b), at+step)]
		n := p.LoadSome(address+uint64(at), part)
		if end := bytes.IndexByte(part[:n], 0); end >= 0 {
			return b[:at+end+1]
		}
		at += n
		if n < len(part) {
			return b[:at]
		}
	}
	return b
}

// Ends of a StringList.
const (
	EndNull  = iota // a null pointer ended the array
	EndFault        // the next pointer cannot be read
	EndLimit        // there are more strings than the limit
)

// strings captures a StringList: how the array ended, the number of pointers before its
// end, and the strings.
func (c *Capturer) strings(o *Op, address uint64, p Program) []byte {
	var pointer [8]byte
	size := uint64(len(pointer))
	if o.Count.Source == Constant && o.Count.Number == NarrowPointer {
		size = NarrowPointer
	}
	var list writer
	count, end := uint64(0), uint64(EndLimit)
	for ; count < MaxElements; count++ {
		if p.Load(address+size*count, pointer[:size]) != nil {
			end = EndFault
			break
		}
		at := binary.LittleEndian.Uint64(pointer[:])
		if at == 0 {
			end = EndNull
			break
		}
		if o.Max == 0 || count >= uint64(o.Unit) || len(c.buffer)+len(list.buffer) > MaxCapture/2 {
			continue
		}
		if b := loadString(c.room(uint64(o.Max)), at, p); len(b) > 0 {
			list.captured(b)
		} else {
			list.number(0)
			list.number(at)
		}
	}
	var head writer
	head.number(end)
	head.number(count)
	return append(head.buffer, list.buffer...)
}

// vector captures the buffers of iovecs, each as a capture of its own.
func (c *Capturer) vector(o *Op, index int, arguments *[6]uint64, result int64, p Program) bool {
	total, ok := c.value(&o.Count, arguments, result, p)
	vectors := c.bytesOf(o.Address.Index)
	if !ok || vectors == nil {
		return false
	}
	var list writer
	word := 8 // the size of the members of an iovec
	if o.Unit == NarrowVector {
		word = NarrowVector / 2
	}
	for ; len(vectors) >= 2*word; vectors = vectors[min(len(vectors), int(o.Unit)):] {
		length := min(Number(vectors[word:], word), total)
		total -= length
		b := c.room(min(length, uint64(o.Max), uint64(max(0, min(MaxCapture/2, MaxCapture-len(c.buffer))-len(list.buffer)))))
		if p.Load(Number(vectors, word), b) != nil {
			list.number(0)
			continue
		}
		list.captured(b)
	}
	return c.keep(index, list.buffer)
}

// pointers captures what an array of pointers points to.
func (c *Capturer) pointers(o *Op, index int, arguments *[6]uint64, result int64, p Program) bool {
	count, ok := c.value(&o.Count, arguments, result, p)
	addresses := c.bytesOf(o.Address.Index)
	if !ok || addresses == nil {
		return false
	}
	var list writer
	for ; len(addresses) >= 8 && count > 0; addresses, count = addresses[8:], count-1 {
		b := c.room(uint64(o.Unit))
		if len(list.buffer) > MaxCapture/2 || p.Load(binary.LittleEndian.Uint64(addresses), b) != nil {
			list.number(0)
			continue
		}
		list.captured(b)
	}
	return c.keep(index, list.buffer)
}

// descriptors captures the names of files.
func (c *Capturer) descriptors(o *Op, index int, arguments *[6]uint64, result int64, p Program) bool {
	count, ok := c.value(&o.Count, arguments, result, p)
	b := c.bytesOf(o.Address.Index)
	if !ok || b == nil {
		return false
	}
	var list writer
	add := func(descriptor int32) (more bool) {
		name := p.FileName(descriptor, o.Max == WithDetails)
		if name == "" || len(list.buffer)+len(name) > MaxCapture/4 {
			list.number(0)
		} else {
			list.captured([]byte(name))
		}
		count--
		return count > 0
	}
	switch {
	case count == 0:
	case o.Kind == Descriptors:
		eachElement(b, int(o.Unit), int(o.Address.Offset), add)
	case o.Kind == Members:
		eachMember(b, count, add)
	default:
		eachRight(b, add)
	}
	return c.keep(index, list.buffer)
}

// eachElement calls f for 4 bytes at an offset of each element of an array.
func eachElement(b []byte, unit, offset int, f func(descriptor int32) (more bool)) {
	for ; len(b) >= max(unit, offset+4); b = b[unit:] {
		if !f(int32(binary.LittleEndian.Uint32(b[offset:]))) {
			return
		}
	}
}

// eachMember calls f for each member of a set that is less than a limit.
func eachMember(b []byte, limit uint64, f func(descriptor int32) (more bool)) {
	for n := range min(limit, uint64(len(b))*8) {
		if b[n/8]>>(n%8)&1 != 0 && !f(int32(n)) {
			return
		}
	}
}

// eachRight calls f for each descriptor in control messages (cmsg(3)).
func eachRight(b []byte, f func(descriptor int32) (more bool)) {
	const header, solSocket, scmRights = 16, 1, 1
	for len(b) >= header {
		length := min(binary.LittleEndian.Uint64(b), uint64(len(b)))
		if length < header {
			return
		}
		if binary.LittleEndian.Uint32(b[8:]) == solSocket && binary.LittleEndian.Uint32(b[12:]) == scmRights {
			for data := b[header:length]; len(data) >= 4; data = data[4:] {
				if !f(int32(binary.LittleEndian.Uint32(data))) {
					return
				}
			}
		}
		b = b[min(uint64(len(b)), (length+7)&^7):]
	}
}

// Split decodes the captures of a record: one slice for each op, nil if it is missing. It
// reports false if they are damaged. The slices are parts of encoded.
func Split(encoded []byte, ops int) ([][]byte, bool) {
	r := reader{data: encoded}
	list := make([][]byte, ops)
	for i := range list {
		list[i] = r.captured()
	}
	return list, !r.bad && len(r.data) == 0
}

// StringList is a decoded Strings capture.
type StringList struct {
	// End is how the array ended; Count is the number of pointers before that.
	End   int
	Count uint64
	// Strings are the first strings with their NUL, if they end in time. nil is one that
	// cannot be read, at the address Bad[i].
	Strings [][]byte
	Bad     []uint64
}

// SplitStrings decodes a Strings capture.
func SplitStrings(b []byte) (l StringList) {
	r := reader{data: b}
	l.End, l.Count = r.int(), r.number()
	for len(r.data) > 0 {
		s, at := r.captured(), uint64(0)
		if s == nil {
			at = r.number()
		}
		l.Strings, l.Bad = append(l.Strings, s), append(l.Bad, at)
	}
	return l
}

// SplitVector decodes a Vector capture: the beginning of each buffer, nil if it cannot be
// read.
func SplitVector(b []byte) (list [][]byte) {
	r := reader{data: b}
	for len(r.data) > 0 {
		list = append(list, r.captured())
	}
	return list
}

// JoinStrings returns a Strings capture of strings, each with at most limit bytes.
func JoinStrings(list []string, limit int) []byte {
	var w writer
	w.number(EndNull)
	w.number(uint64(len(list)))
	if limit == 0 {
		return w.buffer
	}
	for _, s := range list {
		b := append([]byte(s), 0)
		w.captured(b[:min(len(b), limit)])
	}
	return w.buffer
}
