package decode

import (
	"encoding/binary"
	"slices"

	"slowpath/tracespec"
)

// scalar prints a number.
type scalar func(p *Printer, in *Input, v uint64)

// object prints a structure in memory.
type object func(p *Printer, in *Input, b []byte)

// The values of ops.
func argument(i int) tracespec.Value {
	return tracespec.Value{Source: tracespec.Argument, Index: uint8(i)}
}

// argument32 is the low half of an argument, which the kernel takes as an unsigned int.
func argument32(i int) tracespec.Value {
	return tracespec.Value{Source: tracespec.Argument, Index: uint8(i), Size: 4}
}

func constant(n uint64) tracespec.Value { return tracespec.Value{Number: n} }

func result() tracespec.Value { return tracespec.Value{Source: tracespec.Result} }

// captured is a number in the capture of an earlier op of the same Arg.
func captured(op, offset, size int) tracespec.Value {
	return tracespec.Value{Source: tracespec.Captured, Index: uint8(op), Offset: uint32(offset), Size: uint8(size)}
}

// fixed captures size bytes.
func fixed(at tracespec.Value, size int) tracespec.Op {
	return tracespec.Op{Kind: tracespec.Bytes, Address: at, Count: constant(1), Unit: uint32(size), Max: uint32(size)}
}

// array captures elements.
func array(at, count tracespec.Value, unit int) tracespec.Op {
	return tracespec.Op{Kind: tracespec.Prefix, Address: at, Count: count, Unit: uint32(unit), Max: maxOfArray}
}

// buffer captures the beginning of a buffer.
func buffer(at, length tracespec.Value) tracespec.Op {
	return tracespec.Op{Kind: tracespec.Bytes, Address: at, Count: length, Unit: 1, Max: maxOfString}
}

// onExit moves an Arg to the exit. It is only captured if the call succeeds.
func onExit(a Arg) Arg {
	a.exit = true
	a.ops = slices.Clone(a.ops)
	for i := range a.ops {
		a.ops[i].When.Success = true
	}
	return a
}

// onExitAlways moves an Arg to the exit. It is captured although the call fails.
func onExitAlways(a Arg) Arg {
	a.exit, a.always = true, true
	return a
}

// when restricts an Arg to some values of argument index AND mask.
func when(index int, mask uint64, values []uint64, a Arg) Arg {
	return restrict(index, mask, values, false, a)
}

// unless restricts an Arg to other values of argument index AND mask.
func unless(index int, mask uint64, values []uint64, a Arg) Arg {
	return restrict(index, mask, values, true, a)
}

func restrict(index int, mask uint64, values []uint64, except bool, a Arg) Arg {
	a.ops = slices.Clone(a.ops)
	for i := range a.ops {
		g := &a.ops[i].When
		g.Argument, g.Mask, g.Values, g.Except = uint8(index), mask, values, except
	}
	before := a.shown
	a.shown = func(c *Call) bool {
		return (before == nil || before(c)) && slices.Contains(values, c.Arguments[index]&mask) != except
	}
	return a
}

// if_ restricts what is printed, but not what is captured.
func if_(shown func(c *Call) bool, a Arg) Arg {
	a.shown = shown
	return a
}

// addressIf prints argument i as an address if a condition is met.
func addressIf(i int, condition func(in *Input) bool, a Arg) Arg {
	print := a.print
	a.print = func(p *Printer, in *Input) {
		if condition(in) {
			p.address(in.Arguments[i])
			return
		}
		print(p, in)
	}
	return a
}

// orAddress prints the first capture of an Arg, or argument i as an address if it is missing.
func orAddress(i int, o object) func(p *Printer, in *Input) {
	return func(p *Printer, in *Input) {
		if b := in.capture(0); b != nil {
			o(p, in, b)
			return
		}
		p.address(in.Arguments[i])
	}
}

// named prints a name before the value.
func named(text string, a Arg) Arg {
	print := a.print
	a.print = func(p *Printer, in *Input) {
		p.text(text + "=")
		print(p, in)
	}
	return a
}

// at prints an argument register.
func at(i int, s scalar) Arg {
	return Arg{print: func(p *Printer, in *Input) { s(p, in, in.Arguments[i]) }}
}

// The scalars.
func dec(p *Printer, _ *Input, v uint64)     { p.format("%d", int32(v)) }
func udec(p *Printer, _ *Input, v uint64)    { p.format("%d", uint32(v)) }
func long(p *Printer, _ *Input, v uint64)    { p.format("%d", int64(v)) }
func ulong(p *Printer, _ *Input, v uint64)   { p.format("%d", v) }
func hex(p *Printer, _ *Input, v uint64)     { p.text(hexText(v)) }
func hex32(p *Printer, _ *Input, v uint64)   { p.text(hexText(uint64(uint32(v)))) }
func pointer(p *Printer, _ *Input, v uint64) { p.address(v) }
func mode16(p *Printer, _ *Input, v uint64)  { p.octal(v & 0xffff) }
func signo(p *Printer, _ *Input, v uint64)   { p.text(p.signal(int(int32(v)))) }
func pid(p *Printer, _ *Input, v uint64)     { p.pid(v) }

// id prints a user or group id, -1 for none.
func id(p *Printer, _ *Input, v uint64) {
	if uint32(v) == ^uint32(0) {
		p.text("-1")
		return
	}
	p.format("%d", uint32(v))
}

// flagsOf prints flags of 32 bits.
func flagsOf(t *nameTable) scalar {
	return func(p *Printer, _ *Input, v uint64) { p.text(p.flags(t, uint64(uint32(v)))) }
}

// longFlagsOf prints flags of 64 bits.
func longFlagsOf(t *nameTable) scalar {
	return func(p *Printer, _ *Input, v uint64) { p.text(p.flags(t, v)) }
}

// oneOf prints a value of a table with 32 bits.
func oneOf(t *nameTable) scalar {
	return func(p *Printer, _ *Input, v uint64) { p.text(p.value(t, uint64(uint32(v)))) }
}

// longOneOf prints a value of a table with 64 bits.
func longOneOf(t *nameTable) scalar {
	return func(p *Printer, _ *Input, v uint64) { p.text(p.value(t, v)) }
}

// fd prints a descriptor.
func fd(i int) Arg {
	return Arg{access: accessFile, index: i, ops: []tracespec.Op{{Kind: tracespec.Descriptor, Address: argument(i)}}, print: func(p *Printer, in *Input) {
		p.format("%d", int32(in.Arguments[i]))
		if int32(in.Arguments[i]) >= 0 {
			p.path(in.capture(0))
		}
	}}
}

// atFDCWD is the descriptor that means the working directory.
const atFDCWD = -100

// dirfd prints the descriptor of a directory.
func dirfd(i int) Arg {
	return Arg{access: accessFile, index: i, ops: []tracespec.Op{{Kind: tracespec.Descriptor, Address: argument(i)}}, print: func(p *Printer, in *Input) {
		if int32(in.Arguments[i]) == atFDCWD {
			p.text(p.styled("-100", "AT_FDCWD"))
		} else {
			p.format("%d", int32(in.Arguments[i]))
		}
		p.path(in.capture(0))
	}}
}

// maxPath is PATH_MAX.
const maxPath = 4096

// path prints a path name.
func path(i int) Arg { return pathUpTo(i, maxPath-1) }

// pathUpTo prints at most most characters of a path name.
func pathUpTo(i, most int) Arg {
	op := tracespec.Op{Kind: tracespec.String, Address: argument(i), Max: uint32(most + 1)}
	return Arg{access: accessPath, index: i, ops: []tracespec.Op{op}, print: func(p *Printer, in *Input) {
		b := in.capture(0)
		if len(b) == 0 || len(b) <= most && b[len(b)-1] != 0 { // it ends at memory that cannot be read
			p.address(in.Arguments[i])
			return
		}
		p.cstring(b, most)
	}}
}

// str prints a string.
func str(i int) Arg {
	op := tracespec.Op{Kind: tracespec.String, Address: argument(i), Max: maxOfString}
	return Arg{ops: []tracespec.Op{op}, print: func(p *Printer, in *Input) {
		b := in.capture(0)
		if len(b) == 0 || len(b) <= p.Strings && b[len(b)-1] != 0 {
			p.address(in.Arguments[i])
			return
		}
		p.cstring(b, p.Strings)
	}}
}

// inBuffer prints a buffer whose length is another argument.
func inBuffer(i, length int) Arg {
	return Arg{ops: []tracespec.Op{buffer(argument(i), argument(length))}, print: func(p *Printer, in *Input) {
		printBuffer(p, in, in.Arguments[i], in.Arguments[length])
	}}
}

// outBuffer prints a buffer at the exit. Its length is the result.
func outBuffer(i int) Arg {
	return onExit(Arg{ops: []tracespec.Op{buffer(argument(i), result())}, print: func(p *Printer, in *Input) {
		printBuffer(p, in, in.Arguments[i], uint64(in.Result))
	}})
}

func printBuffer(p *Printer, in *Input, address, length uint64) {
	b := in.capture(0)
	if b == nil {
		p.address(address)
		return
	}
	p.data(b[:min(uint64(len(b)), length)], length)
}

// structIn prints a structure of size bytes at the entry.
func structIn(i, size int, o object) Arg {
	return Arg{ops: []tracespec.Op{fixed(argument(i), size)}, print: func(p *Printer, in *Input) {
		if b := in.capture(0); len(b) >= size {
			o(p, in, b)
			return
		}
		p.address(in.Arguments[i])
	}}
}

// structOut prints a structure of size bytes at the exit.
func structOut(i, size int, o object) Arg { return onExit(structIn(i, size, o)) }

// arrayIn prints an array at the entry. count is the number of its elements.
func arrayIn(i int, count tracespec.Value, unit int, o object) Arg {
	return Arg{ops: []tracespec.Op{array(argument(i), count, unit)}, print: func(p *Printer, in *Input) {
		n := in.Arguments[count.Index]
		if count.Source == tracespec.Result {
			n = uint64(max(in.Result, 0))
		}
		p.elements(in, in.Arguments[i], in.capture(0), uint64(uint32(n)), unit, o)
	}}
}

// arrayOut prints an array at the exit.
func arrayOut(i int, count tracespec.Value, unit int, o object) Arg {
	return onExit(arrayIn(i, count, unit, o))
}

// evenEmpty prints an array of the exit as [] if it has no elements, although the call has failed.
func evenEmpty(a Arg) Arg {
	a.always = true
	return a
}

// elements prints an array of n elements, of which b has the first.
func (p *Printer) elements(in *Input, address uint64, b []byte, n uint64, unit int, o object) {
	switch {
	case address == 0:
		p.text("NULL")
		return
	case n == 0 && (!in.Failed() || in.always):
		p.text("[]")
		return
	case len(b) < unit:
		p.address(address)
		return
	}
	p.text("[")
	for i := range n {
		if i > 0 {
			p.text(", ")
		}
		if i >= uint64(p.Strings) && !p.Verbose && int(i+1)*unit <= len(b) {
			p.text("...")
			break
		}
		if int(i+1)*unit > len(b) {
			p.text("... /* " + hexText(address+i*uint64(unit)) + " */")
			break
		}
		o(p, in, b[int(i)*unit:][:unit])
	}
	p.text("]")
}

// number is an element of an array.
func number(size int, s scalar) object {
	return func(p *Printer, in *Input, b []byte) { s(p, in, word(b, 0, size)) }
}

// indirect prints a number to which an argument points, in brackets.
func indirect(size int, s scalar) object {
	return func(p *Printer, in *Input, b []byte) {
		p.text("[")
		s(p, in, word(b, 0, size))
		p.text("]")
	}
}

// field is a field of a structure.
type field struct {
	name         string
	offset, size int
	print        scalar
}

// structure prints fields.
func structure(fields ...field) object {
	return func(p *Printer, in *Input, b []byte) {
		p.text("{")
		for i, f := range fields {
			if i > 0 {
				p.text(", ")
			}
			p.text(f.name + "=")
			f.print(p, in, word(b, f.offset, f.size))
		}
		p.text("}")
	}
}

// textField returns the string in an array of characters.
func textField(b []byte, offset, size int) []byte {
	if offset+size > len(b) {
		return nil
	}
	s := b[offset : offset+size]
	if end := slices.Index(s, 0); end >= 0 {
		return s[:end]
	}
	return s
}

// The results.
func resultHex(p *Printer, c *Call)   { p.text(hexText(uint64(c.Result))) }
func resultOctal(p *Printer, c *Call) { p.octal(uint64(c.Result)) }

// resultFD is an Arg that prints the name of the file that the result refers to.
func resultFD() Arg {
	op := tracespec.Op{Kind: tracespec.Descriptor, Address: result(), When: tracespec.Guard{Success: true}}
	return Arg{exit: true, ops: []tracespec.Op{op}, note: func(p *Printer, in *Input) (string, bool) {
		if !in.Failed() {
			p.path(in.capture(0))
		}
		return "", false
	}}
}

// stringsOf prints an array of strings.
func stringsOf(i int) Arg {
	op := tracespec.Op{Kind: tracespec.Strings, Address: argument(i), Unit: maxOfList, Max: maxOfString}
	return Arg{ops: []tracespec.Op{op}, print: orAddress(i, func(p *Printer, in *Input, b []byte) {
		p.stringList(tracespec.SplitStrings(b), in.Arguments[i])
	})}
}

func (p *Printer) stringList(l tracespec.StringList, address uint64) {
	if l.Count == 0 && l.End == tracespec.EndFault {
		p.address(address)
		return
	}
	p.text("[")
	for i := range l.Count {
		if i > 0 {
			p.text(", ")
		}
		if i >= uint64(p.Strings) && !p.Verbose || i >= uint64(len(l.Strings)) {
			p.text("...]")
			return
		}
		if s := l.Strings[i]; s != nil {
			p.cstring(s, p.Strings)
		} else {
			p.address(l.Bad[i])
		}
	}
	if l.End == tracespec.EndFault {
		p.text(", ... /* " + hexText(address+8*l.Count) + " */")
	}
	p.text("]")
}

// environment prints an array of strings as its address and its length, or with -v
// completely.
func environment(i int) Arg {
	full := stringsOf(i)
	op := full.ops[0]
	op.Max = verboseString // without -v the strings are only counted
	return Arg{ops: []tracespec.Op{op}, print: func(p *Printer, in *Input) {
		if p.Verbose {
			full.print(p, in)
			return
		}
		p.address(in.Arguments[i])
		b := in.capture(0)
		if b == nil {
			return
		}
		l := tracespec.SplitStrings(b)
		if l.Count == 0 && l.End == tracespec.EndFault {
			return
		}
		p.format(" /* %d var", l.Count)
		if l.Count != 1 {
			p.text("s")
		}
		if l.End == tracespec.EndFault {
			p.text(", unterminated")
		}
		p.text(" */")
	}}
}

// vectorsIn prints iovecs with their data at the entry.
func vectorsIn(i, count int) Arg {
	ops := []tracespec.Op{array(argument(i), argument(count), 16),
		{Kind: tracespec.Vector, Address: captured(0, 0, 8), Count: constant(1 << 62), Unit: 16, Max: maxOfString}}
	return Arg{ops: ops, print: func(p *Printer, in *Input) {
		p.vectors(in, in.Arguments[i], in.Arguments[count], 0, 1<<62)
	}}
}

// vectorsOut prints iovecs with the data that a call has stored.
func vectorsOut(i, count int) Arg {
	a := vectorsIn(i, count)
	a.ops = []tracespec.Op{array(argument(i), argument(count), 16),
		{Kind: tracespec.Vector, Address: captured(0, 0, 8), Count: result(), Unit: 16, Max: maxOfString}}
	a.print = func(p *Printer, in *Input) {
		p.vectors(in, in.Arguments[i], in.Arguments[count], 0, uint64(max(in.Result, 0)))
	}
	// The iovecs are printed although the call has failed, but without data.
	a = onExit(a)
	a.ops[0].When.Success, a.always = false, true
	return a
}

// vectors prints n iovecs at an address. The capture op has them, and the next one their
// data, total bytes altogether.
func (p *Printer) vectors(in *Input, address, n uint64, op int, total uint64) {
	data := tracespec.SplitVector(in.capture(op + 1))
	index := 0
	p.elements(in, address, in.capture(op), uint64(uint32(n)), 16, func(p *Printer, _ *Input, b []byte) {
		base, length := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		p.text("{iov_base=")
		shown := min(length, total)
		total -= shown
		switch {
		case index < len(data) && data[index] != nil && base != 0:
			p.data(data[index], shown)
		default:
			p.address(base)
		}
		index++
		p.format(", iov_len=%d}", length)
	})
}
