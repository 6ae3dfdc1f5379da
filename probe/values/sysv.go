package values

import (
	"errors"

	"slowpath/probe/location"
	"slowpath/probe/types"
	"slowpath/uprobe/fetch"
)

// class is the class of eight bytes of an argument (System V ABI, AMD64 supplement,
// 3.2.3).
type class uint8

const (
	noClass class = iota
	integer
	sse
	inMemory
)

// DWARF numbers of the registers that carry integer arguments, and results.
var (
	argumentRegisters = [...]int{5, 4, 1, 2, 8, 9} // RDI, RSI, RDX, RCX, R8, R9
	resultRegisters   = [...]int{0, 1}             // RAX, RDX
)

// eightbyte is the unit of the classification, in bytes.
const eightbyte = 8

// maxVectors is the number of vector registers that carry arguments.
const maxVectors = 8

// classify returns the classes of a value of up to 16 bytes. Anything else is in memory.
func classify(t *types.Type) [2]class {
	c := &classifier{budget: maxTypes}
	if t.Size > 2*eightbyte || !c.add(t, 0) {
		return [2]class{inMemory, inMemory}
	}
	return c.classes
}

// classifier finds the classes of one value.
type classifier struct {
	classes [2]class
	budget  budget
}

// add adds the classes of the part at an offset. It reports false if the whole value is in
// memory.
func (c *classifier) add(t *types.Type, offset int64) bool {
	if !c.budget.spend() || offset < 0 || offset+t.Size > 2*eightbyte {
		return false
	}
	switch t.Kind {
	case types.Struct, types.Union, types.String, types.Slice, types.Interface:
		for _, f := range t.Fields() {
			if !c.add(f.Type, offset+f.Offset) {
				return false
			}
		}
		return true
	case types.Array:
		element := t.Element()
		for i := int64(0); element.Size > 0 && i < t.Count; i++ {
			if !c.add(element, offset+i*element.Size) {
				return false
			}
		}
		return true
	case types.Float:
		if t.Size > eightbyte {
			return false // long double
		}
		return merge(&c.classes, offset, t.Size, sse)
	case types.Complex:
		return t.Size <= 2*eightbyte && merge(&c.classes, offset, t.Size, sse)
	case types.Void:
		return true
	case types.Unknown:
		return false
	}
	return merge(&c.classes, offset, t.Size, integer)
}

// merge adds a class to the eightbytes of a scalar. A misaligned one puts the value into
// memory.
func merge(classes *[2]class, offset, size int64, c class) bool {
	if align := min(size, eightbyte); align > 0 && offset%align != 0 {
		return false
	}
	for at := offset; at < offset+size; at += eightbyte {
		if now := &classes[at/eightbyte]; *now != integer {
			*now = c
		}
	}
	return true
}

// convention assigns the arguments of a C function in their order.
type convention struct {
	integers, vectors int
	stack             int64 // bytes used after the return address
}

// returnAddress is the size of what the call pushes.
const returnAddress = 8

// next returns where the next argument is at the entry of the function.
func (c *convention) next(t *types.Type) location.Location {
	if t.ByReference {
		at, ok := c.next(&types.Type{Kind: types.Pointer, Size: eightbyte}).Number()
		if !ok {
			return nil
		}
		return location.At(at)
	}
	classes := classify(t)
	if at, ok := c.registers(classes, t.Size); ok {
		return at
	}
	if t.Size > eightbyte && t.Kind == types.Float || t.Kind == types.Int && t.Size > eightbyte {
		c.stack = (c.stack + 15) &^ 15
	}
	at := location.At(stackPointer(returnAddress + c.stack))
	c.stack += (t.Size + eightbyte - 1) &^ (eightbyte - 1)
	return at
}

// registers takes registers for all parts of a value, or for none.
func (c *convention) registers(classes [2]class, size int64) (location.Location, bool) {
	after := *c
	var at location.Location
	for i, k := range classes {
		if int64(i)*eightbyte >= size {
			break
		}
		p := location.Piece{Kind: location.Register, Size: min(eightbyte, size-int64(i)*eightbyte)}
		switch {
		case k == integer && after.integers < len(argumentRegisters):
			p.Register = argumentRegisters[after.integers]
			after.integers++
		case k == sse && after.vectors < maxVectors:
			p.Register = location.FirstXMM + after.vectors
			after.vectors++
		case k == noClass:
			p.Kind = location.Missing
		default:
			return nil, false
		}
		at = append(at, p)
	}
	*c = after
	return at, true
}

// errX87 is the error of a result in a register of the x87 unit.
var errX87 = errors.New("it is in a register of the x87 unit, which a probe cannot read")

// resultOfC returns where the result of a C function is after its return.
func resultOfC(t *types.Type) (location.Location, error) {
	inRAX := []fetch.Step{{Op: fetch.ReturnValue}}
	if t.ByReference {
		return location.At(inRAX), nil
	}
	classes := classify(t)
	if classes[0] == inMemory {
		if t.Kind == types.Float {
			return nil, errX87
		}
		if t.Kind == types.Unknown {
			return nil, errors.New("its type is unknown")
		}
		return location.At(inRAX), nil
	}
	var at location.Location
	integers, vectors := 0, 0
	for i, k := range classes {
		if int64(i)*eightbyte >= t.Size {
			break
		}
		p := location.Piece{Kind: location.Register, Size: min(eightbyte, t.Size-int64(i)*eightbyte)}
		switch k {
		case integer:
			p.Register = resultRegisters[integers]
			integers++
		case sse:
			p.Register = location.FirstXMM + vectors
			vectors++
		default:
			p.Kind = location.Missing
		}
		at = append(at, p)
	}
	return at, nil
}

// hiddenResult reports whether the caller passes an address for the result.
func hiddenResult(t *types.Type) bool {
	if t.Kind == types.Void {
		return false
	}
	return t.ByReference || classify(t)[0] == inMemory && t.Kind != types.Float
}
