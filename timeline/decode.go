package timeline

import (
	"slowpath/entry"
)

// Record is a decoded record. Of the bodies only that of Header.Kind is valid, and only
// until the next record is decoded.
type Record struct {
	Header
	Call   Call
	Visit  entry.Visit
	Sleep  Sleep
	Wake   Wake
	Signal Signal
	Fault  Fault
	Name   Name
	Probe  Probe

	arguments [MaxArguments]uint64
}

// Batch is a decoded batch.
type Batch struct {
	Clock
	Lost uint64 // records that were lost since the last batch

	rest []byte
}

// Decode decodes the beginning of a batch. Error: ErrFormat.
func Decode(b []byte) (*Batch, error) {
	if len(b) < BatchHeader || b[0] != batchVersion {
		return nil, ErrFormat
	}
	return &Batch{
		Clock: Clock{Start: le.Uint64(b[1:]), Scale: le.Uint64(b[9:])},
		Lost:  le.Uint64(b[17:]), rest: b[BatchHeader:],
	}, nil
}

// Next decodes the next record into r. It reports false at the end of the batch. Error:
// ErrFormat.
func (t *Batch) Next(r *Record) (bool, error) {
	if len(t.rest) == 0 {
		return false, nil
	}
	if len(t.rest) < headerSize {
		return false, ErrFormat
	}
	first := le.Uint64(t.rest)
	r.Header = Header{
		Kind: Kind(first), CPU: uint8(first >> 8), length: uint16(first >> 16), Task: uint32(first >> 32), Time: le.Uint64(t.rest[8:]),
	}
	n := int(r.length)
	if n < headerSize || n > len(t.rest) || r.Kind == kindInvalid || r.Kind >= kindEnd {
		return false, ErrFormat
	}
	body := t.rest[headerSize:n]
	t.rest = t.rest[n:]
	if !bodies[r.Kind](r, body) {
		return false, ErrFormat
	}
	return true, nil
}

// bodies decode the body of each kind of record. They report whether it is valid.
var bodies = [kindEnd]func(r *Record, b []byte) bool{
	KindCall:   decodeCall,
	KindVisit:  decodeVisit,
	KindRun:    func(_ *Record, b []byte) bool { return len(b) == 0 },
	KindExit:   func(_ *Record, b []byte) bool { return len(b) == 0 },
	KindSleep:  word(func(r *Record, w uint64) { r.Sleep = Sleep{Runnable: w != 0} }),
	KindWake:   word(func(r *Record, w uint64) { r.Wake = Wake{Woken: uint32(w)} }),
	KindProbe:  word(func(r *Record, w uint64) { r.Probe = Probe{ID: uint32(w)} }),
	KindSignal: decodeSignal,
	KindFault:  decodeFault,
	KindName:   decodeName,
}

// word returns the decoder of a body of one word.
func word(set func(r *Record, w uint64)) func(*Record, []byte) bool {
	return func(r *Record, b []byte) bool {
		if len(b) != 8 {
			return false
		}
		set(r, le.Uint64(b))
		return true
	}
}

func decodeCall(r *Record, b []byte) bool {
	if len(b) < callSize-headerSize {
		return false
	}
	last := le.Uint64(b[16:])
	flags := last >> 32
	arguments := b[callSize-headerSize:]
	n := int(flags & 0xff)
	if n > MaxArguments || len(arguments) != 8*n {
		return false
	}
	r.Call = Call{
		Duration: le.Uint64(b), Result: int64(le.Uint64(b[8:])), Number: int32(uint32(last)),
		Ended: flags&callEnded != 0, Arguments: r.arguments[:n],
	}
	for i := range r.Call.Arguments {
		r.arguments[i] = le.Uint64(arguments[8*i:])
	}
	if flags&callI386 != 0 {
		r.Call.ABI = entry.I386
	}
	return true
}

func decodeVisit(r *Record, b []byte) bool {
	v, rest, err := entry.DecodeVisit(b)
	r.Visit = v
	return err == nil && len(rest) == 0
}

func decodeSignal(r *Record, b []byte) bool {
	if len(b) != 16 {
		return false
	}
	first := le.Uint64(b)
	r.Signal = Signal{
		Delivered: first&signalDelivered != 0, Number: uint8(first), Target: uint32(first >> 32), Code: int32(le.Uint64(b[8:])),
	}
	return true
}

func decodeFault(r *Record, b []byte) bool {
	const fixed = faultSize - headerSize
	if len(b) < fixed || len(b) != fixed+int(b[fixed-1]) {
		return false
	}
	r.Fault = Fault{
		Address: le.Uint64(b), IP: le.Uint64(b[8:]), Offset: le.Uint64(b[16:]), ErrorCode: le.Uint32(b[24:]), File: string(b[fixed:]),
	}
	return true
}

func decodeName(r *Record, b []byte) bool {
	const fixed = 4 + 1
	if len(b) < fixed || len(b) != fixed+int(b[fixed-1]) {
		return false
	}
	r.Name = Name{Process: le.Uint32(b), Comm: string(b[fixed:])}
	return true
}
