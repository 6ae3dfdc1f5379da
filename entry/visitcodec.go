package entry

import (
	"encoding/binary"
	"errors"
	"math/bits"
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

// Batch is the unit in which the kernel sends visits to the host. The time since
// boot of a TSC value is (TSC - Start) * Scale / 2^32 nanoseconds.
type Batch struct {
	Start, Scale uint64
	Lost         uint64 // visits since the last batch that were overwritten
	Visits       []Visit
}

const (
	batchVersion = 2
	batchHeader  = 1 + 3*8

	// MaxEncodedVisit is the maximum number of bytes that AppendVisit appends.
	MaxEncodedVisit = visitHeader + maxSteps*stepSize
	// BatchOverhead is the size of an encoded batch without visits, in bytes.
	BatchOverhead = batchHeader
)

// Append appends the encoding of the batch to b.
func (t *Batch) Append(b []byte) []byte {
	b = append(b, batchVersion)
	for _, word := range [...]uint64{t.Start, t.Scale, t.Lost} {
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	for i := range t.Visits {
		b = AppendVisit(b, &t.Visits[i])
	}
	return b
}

// DecodeBatch decodes a batch. It fails with ErrVisit if b is not a valid
// encoding of this version.
func DecodeBatch(b []byte) (t Batch, err error) {
	if len(b) < batchHeader || b[0] != batchVersion {
		return t, ErrVisit
	}
	le := binary.LittleEndian
	t.Start, t.Scale, t.Lost = le.Uint64(b[1:]), le.Uint64(b[9:]), le.Uint64(b[17:])
	for b = b[batchHeader:]; len(b) > 0; {
		var v Visit
		if v, b, err = DecodeVisit(b); err != nil {
			return t, err
		}
		t.Visits = append(t.Visits, v)
	}
	return t, nil
}

// Nanoseconds converts a TSC value to nanoseconds since boot.
func (t *Batch) Nanoseconds(tsc uint64) uint64 {
	hi, lo := bits.Mul64(tsc-t.Start, t.Scale)
	return hi<<32 | lo>>32
}
