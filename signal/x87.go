package signal

import (
	"encoding/binary"

	"slowpath/abi/compat"
)

// The offsets in an FXSAVE area (SDM vol. 1, table 10-2).
const (
	fxControl  = 0
	fxStatus   = 2
	fxTag      = 4
	fxOpcode   = 6
	fxIP       = 8
	fxDP       = 16
	fxST       = 32
	fxSTStride = 16
)

// The tags of a register in the format of FSAVE (SDM vol. 1, 8.1.7).
const (
	tagValid = iota
	tagZero
	tagSpecial
	tagEmpty
)

// fsaveUnused fills the upper half of 16-bit fields (Linux: convert_from_fxsr).
const fsaveUnused = 0xffff0000

// ToFSave converts the x87 state of an FXSAVE area to the format of FSAVE. cs and ds are
// the program's segments: an FXSAVE area of 64-bit mode does not have those of the last
// instruction. Any context.
func ToFSave(fx []byte, cs, ds uint16) compat.FSave {
	u16 := func(at int) uint32 { return uint32(binary.LittleEndian.Uint16(fx[at:])) }
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(fx[at:]) }
	s := compat.FSave{
		CWD: u16(fxControl) | fsaveUnused, SWD: u16(fxStatus) | fsaveUnused, TWD: expandTags(fx) | fsaveUnused,
		FIP: u32(fxIP), FCS: uint32(cs), FOO: u32(fxDP), FOS: uint32(ds) | fsaveUnused,
		Status: uint16(u16(fxStatus)),
	}
	for i := range s.ST {
		copy(s.ST[i][:], fx[fxST+i*fxSTStride:])
	}
	return s
}

// expandTags returns the tags of FSAVE, two bits a register, from those of FXSAVE, which
// only say that a register is not empty.
func expandTags(fx []byte) (tags uint32) {
	top := int(fx[fxStatus+1]>>3) & 7
	for i := range 8 {
		tag := uint32(tagEmpty)
		if fx[fxTag]>>i&1 != 0 {
			at := fxST + (i-top)&7*fxSTStride
			tag = tagOf(binary.LittleEndian.Uint64(fx[at:]), binary.LittleEndian.Uint16(fx[at+8:]))
		}
		tags |= tag << (2 * i)
	}
	return tags
}

// tagOf returns the tag of a register that is not empty.
func tagOf(significand uint64, exponent uint16) uint32 {
	switch exponent &= 0x7fff; {
	case exponent == 0x7fff:
		return tagSpecial
	case exponent == 0 && significand == 0:
		return tagZero
	case exponent == 0 || significand>>63 == 0:
		return tagSpecial
	}
	return tagValid
}

// FromFSave stores x87 state in the format of FSAVE to an FXSAVE area. Any context.
func FromFSave(fx []byte, s *compat.FSave) {
	binary.LittleEndian.PutUint16(fx[fxControl:], uint16(s.CWD))
	binary.LittleEndian.PutUint16(fx[fxStatus:], uint16(s.SWD))
	fx[fxTag] = 0
	for i := range 8 {
		if s.TWD>>(2*i)&3 != tagEmpty {
			fx[fxTag] |= 1 << i
		}
	}
	binary.LittleEndian.PutUint16(fx[fxOpcode:], uint16(s.FCS>>16))
	binary.LittleEndian.PutUint64(fx[fxIP:], uint64(s.FIP))
	binary.LittleEndian.PutUint64(fx[fxDP:], uint64(s.FOO))
	for i := range s.ST {
		copy(fx[fxST+i*fxSTStride:], s.ST[i][:])
	}
}
