package values

import (
	"slowpath/probe/location"
	"slowpath/probe/types"
)

// Registers of ABIInternal by their DWARF numbers (Go, src/cmd/compile/abi-internal.md).
var goIntegers = [...]int{0, 3, 2, 5, 4, 8, 9, 10, 11} // RAX, RBX, RCX, RDI, RSI, R8 to R11

// goFloats is the number of vector registers, X0 to X14.
const goFloats = 15

// goConvention assigns the parameters or the results of a Go function in their order.
type goConvention struct {
	integers, floats int
	stack            int64
	base             int64 // of the stack-assigned values, from RSP
	budget           budget
}

// next returns where the next value is.
func (c *goConvention) next(t *types.Type) location.Location {
	c.budget = maxTypes
	after := *c
	if at, ok := after.registers(nil, t); ok {
		*c = after
		return at
	}
	align := c.alignment(t)
	c.stack = (c.stack + align - 1) / align * align
	at := location.At(stackPointer(c.base + c.stack))
	c.stack += t.Size
	return at
}

// registers appends the registers of a value, or reports false if they do not suffice.
func (c *goConvention) registers(at location.Location, t *types.Type) (location.Location, bool) {
	if !c.budget.spend() {
		return nil, false
	}
	switch t.Kind {
	case types.Struct, types.String, types.Slice, types.Interface:
		return c.fields(at, t)
	case types.Array:
		switch {
		case t.Count == 0 || t.Size == 0:
			return at, true
		case t.Count == 1:
			return c.registers(at, t.Element())
		}
		return nil, false
	case types.Float:
		return c.float(at, t.Size)
	case types.Complex:
		at, ok := c.float(at, t.Size/2)
		if !ok {
			return nil, false
		}
		return c.float(at, t.Size/2)
	case types.Unknown, types.Void:
		return nil, false
	}
	if t.Size == 0 || t.Size > eightbyte || c.integers == len(goIntegers) {
		return nil, t.Size == 0
	}
	c.integers++
	return append(at, location.Piece{Kind: location.Register, Register: goIntegers[c.integers-1], Size: t.Size}), true
}

func (c *goConvention) float(at location.Location, size int64) (location.Location, bool) {
	if c.floats == goFloats {
		return nil, false
	}
	c.floats++
	return append(at, location.Piece{Kind: location.Register, Register: location.FirstXMM + c.floats - 1, Size: size}), true
}

// fields assigns the fields of a structure. What lies between them is missing.
func (c *goConvention) fields(at location.Location, t *types.Type) (location.Location, bool) {
	end := int64(0)
	for _, f := range t.Fields() {
		if f.Offset > end {
			at = append(at, location.Piece{Size: f.Offset - end})
		}
		var ok bool
		if at, ok = c.registers(at, f.Type); !ok {
			return nil, false
		}
		end = max(end, f.Offset+f.Type.Size)
	}
	if t.Size > end {
		at = append(at, location.Piece{Size: t.Size - end})
	}
	return at, true
}

// alignment returns the alignment of a type of Go.
func (c *goConvention) alignment(t *types.Type) int64 {
	most := int64(1)
	if !c.budget.spend() {
		return most
	}
	switch t.Kind {
	case types.Struct:
		for _, f := range t.Fields() {
			most = max(most, c.alignment(f.Type))
		}
	case types.Array:
		most = c.alignment(t.Element())
	case types.Complex:
		most = t.Size / 2
	case types.String, types.Slice, types.Interface:
		most = eightbyte
	default:
		most = t.Size
	}
	return min(max(most, 1), eightbyte)
}

// finish aligns the stack for what follows the values.
func (c *goConvention) finish() { c.stack = (c.stack + eightbyte - 1) &^ (eightbyte - 1) }
