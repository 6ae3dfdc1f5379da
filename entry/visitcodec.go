package entry

import (
	"encoding/binary"
	"errors"
)

// Sizes of an encoded visit in bytes. It has a header and StepCount steps. All
// numbers are little-endian. The kernel sends visits to the host in this form.
const (
	visitHeader = 8 + 8 + 4*4 + 4
	stepSize    = 4 + 2*8
)

// Bits of a visit's flag byte.
const (
	visitByIRET = 1 << iota
	visitKept
	visitI386
)

// ErrVisit means that bytes are not a valid encoding.
var ErrVisit = errors.New("the bytes are not a record of a visit to the kernel; build kernel and host command from the same source")

// AppendVisit appends the encoding of v to b.
func AppendVisit(b []byte, v *Visit) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, v.Begin)
	b = le.AppendUint64(b, v.End)
	for _, word := range [...]uint32{uint32(v.Task), uint32(v.Number), uint32(v.Owed), uint32(v.Served)} {
		b = le.AppendUint32(b, word)
	}
	flags := byte(0)
	if v.ByIRET {
		flags |= visitByIRET
	}
	if v.Kept {
		flags |= visitKept
	}
	if v.ABI == I386 {
		flags |= visitI386
	}
	b = append(b, byte(v.Kind), v.CPU, flags, v.StepCount)
	for _, s := range v.Steps[:v.StepCount] {
		b = le.AppendUint32(b, uint32(s.Flag))
		b = le.AppendUint64(b, s.Begin)
		b = le.AppendUint64(b, s.End)
	}
	return b
}

// DecodeVisit decodes a visit. It returns the visit and the bytes after it. It
// fails with ErrVisit if b does not begin with a valid encoding.
func DecodeVisit(b []byte) (v Visit, rest []byte, err error) {
	if len(b) < visitHeader {
		return v, nil, ErrVisit
	}
	le := binary.LittleEndian
	v.Begin, v.End = le.Uint64(b), le.Uint64(b[8:])
	v.Task, v.Number = int32(le.Uint32(b[16:])), int32(le.Uint32(b[20:]))
	v.Owed, v.Served = Flag(le.Uint32(b[24:])), Flag(le.Uint32(b[28:]))
	v.Kind, v.CPU, v.StepCount = Kind(b[32]), b[33], b[35]
	v.ByIRET, v.Kept = b[34]&visitByIRET != 0, b[34]&visitKept != 0
	if b[34]&visitI386 != 0 {
		v.ABI = I386
	}
	b = b[visitHeader:]
	if int(v.StepCount) > maxSteps || v.Kind >= kindCount || len(b) < int(v.StepCount)*stepSize {
		return v, nil, ErrVisit
	}
	for i := range v.Steps[:v.StepCount] {
		v.Steps[i] = Step{Flag(le.Uint32(b)), le.Uint64(b[4:]), le.Uint64(b[12:])}
		b = b[stepSize:]
	}
	return v, b, nil
}

// MaxEncodedVisit is the maximum number of bytes that AppendVisit appends.
const MaxEncodedVisit = visitHeader + maxSteps*stepSize
