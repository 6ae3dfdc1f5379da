package location

import (
	"encoding/binary"
	"errors"
)

// errDamaged is the error of debug information that ends within a structure, or that has
// values that make no sense.
var errDamaged = errors.New("the debug information is damaged")

// reader reads little-endian numbers. After the end it returns zeros and bad is true.
type reader struct {
	data []byte
	bad  bool
}

// bytes returns the next n bytes, or nil.
func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.data)) {
		r.bad, r.data = true, nil
		return nil
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

// fixed reads an unsigned number of size bytes, at most 8.
func (r *reader) fixed(size int) uint64 {
	var b [8]byte
	copy(b[:], r.bytes(uint64(size)))
	return binary.LittleEndian.Uint64(b[:])
}

// signed reads a signed number of size bytes.
func (r *reader) signed(size int) int64 {
	shift := 64 - 8*size
	return int64(r.fixed(size)<<shift) >> shift
}

// uleb reads a ULEB128 number. Bits above 64 are dropped.
func (r *reader) uleb() (value uint64) {
	for shift := 0; ; shift += 7 {
		b := r.fixed(1)
		if shift < 64 {
			value |= b & 0x7f << shift
		}
		if b&0x80 == 0 || r.bad {
			return value
		}
	}
}

// sleb reads an SLEB128 number.
func (r *reader) sleb() (value int64) {
	for shift := 0; ; shift += 7 {
		b := r.fixed(1)
		if shift < 64 {
			value |= int64(b&0x7f) << shift
		}
		if b&0x80 == 0 || r.bad {
			if shift+7 < 64 && b&0x40 != 0 {
				value |= -1 << (shift + 7)
			}
			return value
		}
	}
}
