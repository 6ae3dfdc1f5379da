package values

import (
	"encoding/binary"
	"slices"

	"slowpath/probe/location"
	"slowpath/uprobe/fetch"
)

// Limits of what a probe reads at a hit.
const (
	maxCaptures = 96  // fetch arguments of a probe
	maxBytes    = 256 // of a structure or an array
	maxText     = 200 // bytes of a string
	maxElements = 8   // of an array or a slice
	maxFields   = 24  // of a structure
)

// captures collects the fetch arguments of a probe.
type captures struct{ arguments []fetch.Argument }

// none is the number of a capture that does not exist.
const none = -1

// add appends a fetch argument and returns its number, or none if there are too many. An
// argument that exists already is shared.
func (c *captures) add(a fetch.Argument) int {
	for i := range c.arguments {
		if sameCapture(&c.arguments[i], &a) {
			return i
		}
	}
	if len(c.arguments) == maxCaptures {
		return none
	}
	c.arguments = append(c.arguments, a)
	return len(c.arguments) - 1
}

func sameCapture(a, b *fetch.Argument) bool {
	return a.Kind == b.Kind && a.Size == b.Size && a.Max == b.Max && a.Unit == b.Unit &&
		slices.Equal(a.Steps, b.Steps) && slices.Equal(a.Length, b.Length)
}

// number captures a number of 8 bytes.
func (c *captures) number(steps []fetch.Step) int {
	return c.add(fetch.Argument{Kind: fetch.Integer, Size: 8, Steps: steps})
}

// memory captures size bytes at an address.
func (c *captures) memory(address []fetch.Step, size int64) int {
	return c.add(fetch.Argument{Kind: fetch.Bytes, Steps: address, Max: int(size)})
}

// text captures a string that ends with NUL.
func (c *captures) text(address []fetch.Step) int {
	return c.add(fetch.Argument{Kind: fetch.String, Steps: address, Max: maxText})
}

// counted captures a number of units of memory.
func (c *captures) counted(address, count []fetch.Step, unit int64, most int) int {
	return c.add(fetch.Argument{Kind: fetch.Bytes, Steps: address, Length: count, Unit: int(unit), Max: most})
}

// source says from which captures the bytes of a value come.
type source []extract

// extract is a part of a capture, or constant bytes.
type extract struct {
	capture  int // or none
	from     int64
	size     int64
	constant []byte
}

// value captures the value at a location.
func (c *captures) value(at location.Location, size int64) source {
	var s source
	for _, p := range at.Part(0, min(size, maxBytes)) {
		s = append(s, c.piece(p)...)
	}
	return s
}

// piece captures a piece whose size is known.
func (c *captures) piece(p location.Piece) source {
	missing := source{{capture: none, size: p.Size}}
	switch p.Kind {
	case location.Memory:
		return source{{capture: c.memory(p.Steps, p.Size), size: p.Size}}
	case location.Computed:
		return source{{capture: c.number(p.Steps), from: p.Offset, size: p.Size}}
	case location.Constant:
		if p.Offset+p.Size <= int64(len(p.Bytes)) {
			return source{{capture: none, size: p.Size, constant: p.Bytes[p.Offset : p.Offset+p.Size]}}
		}
	case location.Register:
		if r, ok := location.General(p.Register); ok {
			return source{{capture: c.number([]fetch.Step{{Op: fetch.LoadRegister, Register: r}}), from: p.Offset, size: p.Size}}
		}
		return c.vector(p)
	}
	return missing
}

// vector captures a vector register: its halves are registers of package fetch.
func (c *captures) vector(p location.Piece) source {
	n := fetch.Register(p.Register - location.FirstXMM)
	var s source
	for at := p.Offset; at < min(p.Offset+p.Size, 2*eightbyte); {
		half := fetch.XMM + 2*n + fetch.Register(at/eightbyte)
		size := min(p.Offset+p.Size, (at/eightbyte+1)*eightbyte) - at
		s = append(s, extract{capture: c.number([]fetch.Step{{Op: fetch.LoadRegister, Register: half}}), from: at % eightbyte, size: size})
		at += size
	}
	return s
}

// part returns the source of a part of the value.
func (s source) part(offset, size int64) source {
	var parts source
	at := int64(0)
	for _, e := range s {
		from, to := max(at, offset), min(at+e.size, offset+size)
		if from < to {
			cut := e
			cut.from, cut.size = e.from+from-at, to-from
			if e.constant != nil {
				cut.from, cut.constant = 0, e.constant[from-at:to-at]
			}
			parts = append(parts, cut)
		}
		at += e.size
	}
	return parts
}

// sized returns the number of bytes.
func (s source) sized() (n int64) {
	for _, e := range s {
		n += e.size
	}
	return n
}

// data are the captured bytes of a hit. A capture that could not be read is nil.
type data [][]byte

// bytes returns the bytes of a value. It reports false if some could not be read.
func (d data) bytes(s source, size int64) ([]byte, bool) {
	b := make([]byte, 0, size)
	for _, e := range s {
		switch {
		case e.constant != nil:
			b = append(b, e.constant...)
		case e.capture == none || e.capture >= len(d) || e.from+e.size > int64(len(d[e.capture])):
			return nil, false
		default:
			b = append(b, d[e.capture][e.from:e.from+e.size]...)
		}
	}
	return b, int64(len(b)) >= size
}

// word returns a number of up to 8 bytes.
func (d data) word(s source, size int64) (uint64, bool) {
	b, ok := d.bytes(s, size)
	if !ok {
		return 0, false
	}
	var word [8]byte
	copy(word[:], b[:min(size, 8)])
	return binary.LittleEndian.Uint64(word[:]), true
}

// split returns the captures in a record of package fetch. A damaged record gives captures
// that could not be read.
func split(arguments []fetch.Argument, record []byte) data {
	d := make(data, len(arguments))
	at := 0
	for i := range arguments {
		a := &arguments[i]
		size := a.FixedSize()
		if at+size > len(record) {
			return d
		}
		if !a.Dynamic() {
			d[i] = record[at : at+size]
		} else if l := fetch.LocationAt(record, at); l.Length() > 0 && l.Offset()+l.Length() <= len(record) {
			d[i] = record[l.Offset() : l.Offset()+l.Length()]
		}
		at += size
	}
	return d
}
