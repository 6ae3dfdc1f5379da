package decode

import (
	"slices"

	"slowpath/tracespec"
)

// member is a field of a structure that is captured by op 0 of an argument.
type member struct {
	name   string
	offset int
	// optional leaves the member out, and all that follow it, if the structure ends before it.
	optional bool
	// shown decides by the structure whether the member is printed. nil: always.
	shown func(b []byte) bool
	// ops are captured for the member. Values of the kind ofStructure and ofMember refer to
	// the structure and to the ops of the member.
	ops []tracespec.Op
	// late is set for a tail, which prints its comma itself.
	late bool
	// print prints the value. op is the index of the first of ops.
	print func(p *Printer, in *Input, b []byte, op int)
}

// ofStructure is a number in the structure.
func ofStructure(offset, size int) tracespec.Value { return captured(0, offset, size) }

// ownOps is added to the index of an op of a member in a value.
const ownOps = 100

// ofMember is a number in the capture of an op of the member.
func ofMember(op, offset, size int) tracespec.Value { return captured(ownOps+op, offset, size) }

// optional returns a member that may be beyond the end of the structure.
func optional(m member) member {
	m.optional = true
	return m
}

// optionalFrom returns a member that is printed if the structure is longer than offset.
func optionalFrom(offset int, m member) member {
	m.optional, m.offset = true, offset
	return m
}

// ifSet returns a member that is printed if a number in the structure is not zero.
func ifSet(offset, size int, m member) member { return ifBits(offset, size, ^uint64(0), m) }

// ifBits returns a member that is printed if a number in the structure has one of some bits.
func ifBits(offset, size int, bits uint64, m member) member {
	m.shown = func(b []byte) bool { return word(b, offset, size)&bits != 0 }
	return m
}

// num is a member that is a number.
func num(name string, offset, size int, print scalar) member {
	return member{name: name, offset: offset, print: func(p *Printer, in *Input, b []byte, _ int) { print(p, in, word(b, offset, size)) }}
}

// reserved is a member that is printed if it is not zero.
func reserved(name string, offset, size int) member {
	return ifSet(offset, size, num(name, offset, size, hex))
}

// file is a member that is a descriptor.
func file(name string, offset int) member {
	op := tracespec.Op{Kind: tracespec.Descriptor, Address: ofStructure(offset, 4)}
	return member{name: name, offset: offset, ops: []tracespec.Op{op}, print: func(p *Printer, in *Input, b []byte, op int) {
		p.format("%d", int32(word(b, offset, 4)))
		p.path(in.capture(op))
	}}
}

// text is a member that points to a string of at most limit bytes, 0 for the limit of the
// options.
func text(name string, offset, limit int) member {
	op := tracespec.Op{Kind: tracespec.String, Address: ofStructure(offset, 8), Max: maxOfString}
	if limit > 0 {
		op.Max = uint32(limit)
	}
	return member{name: name, offset: offset, ops: []tracespec.Op{op}, print: func(p *Printer, in *Input, b []byte, op int) {
		s := in.capture(op)
		most := p.Strings
		if limit == maxPath {
			most = maxPath - 1
		}
		if len(s) == 0 || len(s) <= most && s[len(s)-1] != 0 {
			p.address(word(b, offset, 8))
			return
		}
		p.cstring(s, most)
	}}
}

// data is a member that points to bytes, whose number is another one.
func data(name string, offset, lengthOffset, lengthSize int) member {
	op := buffer(ofStructure(offset, 8), ofStructure(lengthOffset, lengthSize))
	return member{name: name, offset: offset, ops: []tracespec.Op{op}, print: func(p *Printer, in *Input, b []byte, op int) {
		length := word(b, lengthOffset, lengthSize)
		if s := in.capture(op); s != nil {
			p.data(s[:min(uint64(len(s)), length)], length)
			return
		}
		p.address(word(b, offset, 8))
	}}
}

// list is a member that points to an array, whose length is another one.
func list(name string, offset int, count tracespec.Value, unit int, o object) member {
	return member{name: name, offset: offset, ops: []tracespec.Op{array(ofStructure(offset, 8), count, unit)}, print: func(p *Printer, in *Input, b []byte, op int) {
		p.elements(in, word(b, offset, 8), in.capture(op), in.number(count, b), unit, o)
	}}
}

// files is a list whose elements have a descriptor at an offset.
func files(name string, offset int, count tracespec.Value, unit, at int, o object) member {
	m := list(name, offset, count, unit, o)
	names := tracespec.Op{Kind: tracespec.Descriptors, Address: ofMember(0, at, 4), Count: constant(tracespec.MaxElements), Unit: uint32(unit)}
	m.ops = append(m.ops, names)
	print := m.print
	m.print = func(p *Printer, in *Input, b []byte, op int) {
		in.files(p, op+1)
		print(p, in, b, op)
	}
	return m
}

// number returns the value of an argument, of a constant, or of a field of the structure.
func (in *Input) number(v tracespec.Value, structure []byte) uint64 {
	switch v.Source {
	case tracespec.Argument:
		return uint64(uint32(in.Arguments[v.Index]))
	case tracespec.Captured:
		return word(structure, int(v.Offset), int(v.Size))
	}
	return v.Number
}

// group is a member that is a structure of members, which are at their offsets in the outer
// one.
func group(name string, offset int, members ...member) member {
	m := member{name: name, offset: offset}
	var first []int
	for _, inner := range members {
		first = append(first, len(m.ops))
		m.ops = append(m.ops, rebase(inner.ops, ownOps, ownOps+len(m.ops))...)
	}
	m.print = func(p *Printer, in *Input, b []byte, op int) {
		p.text("{")
		p.members(in, b, members, func(i int) int { return op + first[i] }, in.size)
		p.text("}")
	}
	return m
}

// rebase returns ops whose references to ops from index from on are to ops from index to on.
func rebase(ops []tracespec.Op, from, to int) []tracespec.Op {
	ops = slices.Clone(ops)
	for i := range ops {
		for _, v := range []*tracespec.Value{&ops[i].Address, &ops[i].Count} {
			if v.Source == tracespec.Captured && int(v.Index) >= from {
				v.Index = uint8(int(v.Index) - from + to)
			}
		}
	}
	return ops
}

// members prints members, separated by commas. op returns the index of the first op of a
// member, and size is that of the structure.
func (p *Printer) members(in *Input, b []byte, list []member, op func(i int) int, size int) (printed int) {
	for i := range list {
		m := &list[i]
		if m.optional && size <= m.offset {
			return printed
		}
		if m.shown != nil && !m.shown(b) {
			continue
		}
		if printed > 0 && !m.late {
			p.text(", ")
		}
		printed++
		if m.name != "" {
			p.text(m.name + "=")
		}
		p.files = nil
		m.print(p, in, b, op(i))
	}
	return printed
}

// record is an argument that points to a structure. structure captures it.
func record(i int, structure tracespec.Op, members ...member) Arg {
	return recordWith(i, structure, nil, members...)
}

// recordWith is record with more that is printed before the closing brace.
func recordWith(i int, structure tracespec.Op, tail func(p *Printer, in *Input, b []byte), members ...member) Arg {
	a := Arg{ops: []tracespec.Op{structure}}
	var first []int
	for _, m := range members {
		first = append(first, len(a.ops))
		a.ops = append(a.ops, rebase(m.ops, ownOps, len(a.ops))...)
	}
	a.print = func(p *Printer, in *Input) {
		b := in.capture(0)
		if b == nil || structure.Unit != 1 && len(b) < int(structure.Unit) {
			p.address(in.Arguments[i])
			return
		}
		in.size = len(b)
		padded := b
		if structure.Unit == 1 { // a field that is cut off is filled with zeros
			padded = slices.Concat(b, make([]byte, 16))
		}
		p.text("{")
		p.members(in, padded, members, func(i int) int { return first[i] }, in.size)
		if tail != nil {
			tail(p, in, b)
		}
		p.text("}")
	}
	return a
}

// structured is record for a structure of a fixed size.
func structured(i, size int, members ...member) Arg {
	return record(i, fixed(argument(i), size), members...)
}

// tail is a member that prints what follows the known bytes of a structure, whose size is
// another argument: bytes that are not zero, or "???" if they cannot be read.
func tail(i, length, known int) member { return tailOf(i, argument(length), known) }

// tailOf is tail for a size that may have 32 bits.
func tailOf(i int, length tracespec.Value, known int) member {
	op := tracespec.Op{Kind: tracespec.Prefix, Address: argument(i), Count: length, Unit: 1, Max: maxAttribute, Offset: uint32(known)}
	m := member{ops: []tracespec.Op{op}, late: true}
	m.print = func(p *Printer, in *Input, _ []byte, op int) { p.tail(in.capture(op), in.size32(length), known) }
	return m
}

// size32 returns the argument that is a size of 64 or 32 bits.
func (in *Input) size32(v tracespec.Value) uint64 {
	if v.Size == 4 {
		return uint64(uint32(in.Arguments[v.Index]))
	}
	return in.Arguments[v.Index]
}

// tail prints the bytes of a structure after those that are known.
func (p *Printer) tail(b []byte, size uint64, known int) {
	const page = 4096
	size = min(size, page)
	if size <= uint64(known) {
		return
	}
	n := int(size) - known
	if len(b) < n {
		p.text(", ???")
		return
	}
	b = b[:n]
	if slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) {
		hex := &Printer{Options: Options{Hex: HexAll}}
		hex.quote(b)
		p.format(", /* bytes %d..%d */ %s", known, int(size)-1, hex.Take())
	}
}

// sized captures a structure whose size is argument length, at most limit bytes.
func sized(i, length, limit int) tracespec.Op {
	return tracespec.Op{Kind: tracespec.Bytes, Address: argument(i), Count: argument(length), Unit: 1, Max: uint32(limit)}
}

// extra prints the bytes of a structure after those that are known, if they are not zero.
func extra(p *Printer, b []byte, known int) {
	if known >= len(b) || !slices.ContainsFunc(b[known:], func(c byte) bool { return c != 0 }) {
		return
	}
	if !p.Verbose {
		p.text(", ...")
		return
	}
	hex := &Printer{Options: Options{Hex: HexAll}}
	hex.quote(b[known:])
	p.format(", extra_data=%s /* bytes %d..%d */", hex.Take(), known, len(b)-1)
}

// numbers prints an array inside a structure.
func numbers(name string, offset, count, size int, print scalar) member {
	return member{name: name, offset: offset, print: func(p *Printer, in *Input, b []byte, _ int) {
		p.text("[")
		for i := range count {
			if i > 0 {
				p.text(", ")
			}
			print(p, in, word(b, offset+i*size, size))
		}
		p.text("]")
	}}
}

// reservedArray is an array inside a structure that is printed if it is not zero.
func reservedArray(name string, offset, count, size int) member {
	m := numbers(name, offset, count, size, hex)
	m.shown = func(b []byte) bool {
		return len(b) >= offset+count*size && slices.ContainsFunc(b[offset:offset+count*size], func(c byte) bool { return c != 0 })
	}
	return m
}
