package probespec

import (
	"encoding/binary"
	"errors"
)

// Hit is one hit of a probe.
type Hit struct {
	// ID is the number of the probe.
	ID uint32
	// Time is the time since boot in nanoseconds.
	Time uint64
	// CPU, Process and Thread say where it was. Comm is the name of the thread.
	CPU, Process, Thread uint32
	Comm                 string
	// TailCall is true for a return probe whose function was left by a jump to another
	// function. The values are not the result.
	TailCall bool
	// Values are the fetched values (package fetch).
	Values []byte
	// Stack has the registers and the bytes from the stack pointer upwards, if the probe
	// wants them. Registers is nil otherwise.
	Registers []byte
	Stack     []byte
}

// RegisterBytes is the size of Hit.Registers: RAX, RDX, RCX, RBX, RSI, RDI, RBP, RSP, R8 to
// R15 and RIP, in the order of their DWARF numbers.
const RegisterBytes = 17 * 8

// Failure is a probe that could not be set.
type Failure struct {
	ID    uint32
	Errno uint32
}

// Kinds of records.
const (
	kindHit = iota + 1
	kindLost
	kindMaps
	kindFailure
	kindTailCall // a hit with TailCall
)

// MaxRecord is the maximum size of an encoded hit in bytes: it fits into one frame of
// package hostlink.
const MaxRecord = MaxValues + MaxStack + RegisterBytes + 256

// MaxMaps is about the maximum size of the mappings in a record in bytes.
const MaxMaps = 16 << 10

// maxComm is the maximum length of a thread's name in a record.
const maxComm = 64

// maxKnown is how many threads' names an Encoder and a Decoder keep.
const maxKnown = 4096

// Encoder appends records to a batch. The name of a thread is only written if it has
// changed since the thread's last hit in the same batch, so batches can be decoded one by
// one.
type Encoder struct {
	buffer []byte
	known  map[uint32]string
}

// Len returns the size of the batch in bytes.
func (e *Encoder) Len() int { return len(e.buffer) }

// Take returns the batch and begins a new one.
func (e *Encoder) Take() []byte {
	b := e.buffer
	e.buffer = nil
	clear(e.known)
	return b
}

func (e *Encoder) number(n uint64) { e.buffer = binary.AppendUvarint(e.buffer, n) }

func (e *Encoder) bytes(b []byte) {
	e.number(uint64(len(b)))
	e.buffer = append(e.buffer, b...)
}

// Hit appends a hit.
func (e *Encoder) Hit(h *Hit) {
	kind := uint64(kindHit)
	if h.TailCall {
		kind = kindTailCall
	}
	e.number(kind)
	for _, n := range [...]uint64{uint64(h.ID), h.Time, uint64(h.CPU), uint64(h.Process), uint64(h.Thread)} {
		e.number(n)
	}
	e.comm(h.Thread, h.Comm)
	e.bytes(h.Values)
	e.bytes(h.Registers)
	e.bytes(h.Stack)
}

// Append appends a hit with a time.
func (e *Encoder) Append(h *Hit, now uint64) {
	h.Time = now
	e.Hit(h)
}

// comm appends a thread's name, or nothing if it is known.
func (e *Encoder) comm(thread uint32, comm string) {
	comm = comm[:min(len(comm), maxComm)]
	if known, ok := e.known[thread]; ok && known == comm {
		e.number(0)
		return
	}
	if e.known == nil {
		e.known = make(map[uint32]string)
	}
	if len(e.known) < maxKnown {
		e.known[thread] = comm
	}
	e.number(uint64(len(comm)) + 1)
	e.buffer = append(e.buffer, comm...)
}

// Lost appends the number of hits that were not recorded since the last record.
func (e *Encoder) Lost(n uint64) {
	e.number(kindLost)
	e.number(n)
}

// Maps appends the executable mappings of a process, with one line for each: the
// addresses, the permissions, the file offset and the path, as in /proc/pid/maps, but without
// the device and the inode.
func (e *Encoder) Maps(process uint32, maps []byte) {
	e.number(kindMaps)
	e.number(uint64(process))
	e.bytes(maps)
}

// Failure appends a probe that could not be set.
func (e *Encoder) Failure(f Failure) {
	e.number(kindFailure)
	e.number(uint64(f.ID))
	e.number(uint64(f.Errno))
}

// Handler gets the records of a batch. Slices are valid during the call.
type Handler interface {
	// Hit gets a hit.
	Hit(h *Hit)
	// Lost gets the number of hits that were not recorded.
	Lost(n uint64)
	// Maps gets the executable mappings of a process.
	Maps(process uint32, maps []byte)
	// Failure gets a probe that could not be set.
	Failure(f Failure)
}

// ErrFormat is the error of a batch that cannot be decoded.
var ErrFormat = errors.New("the kernel has sent a damaged record of a probe")

// decoder reads a batch.
type decoder struct {
	data  []byte
	known map[uint32]string
	bad   bool
}

// Decode calls the handler for each record of a batch. Error: ErrFormat.
func Decode(batch []byte, h Handler) error {
	d := &decoder{data: batch, known: map[uint32]string{}}
	for len(d.data) > 0 {
		if !d.record(h) {
			return ErrFormat
		}
	}
	return nil
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.data)
	if size <= 0 {
		d.bad, d.data = true, nil
		return 0
	}
	d.data = d.data[size:]
	return n
}

// small reads a number of 32 bits.
func (d *decoder) small() uint32 {
	n := d.number()
	d.bad = d.bad || n > 1<<32-1
	return uint32(n)
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.data)) {
		d.bad, d.data = true, nil
		return nil
	}
	b := d.data[:n:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) bytes() []byte { return d.take(d.number()) }

// record decodes one record. It reports false if it is damaged.
func (d *decoder) record(h Handler) bool {
	switch kind := d.number(); kind {
	case kindHit, kindTailCall:
		hit := &Hit{TailCall: kind == kindTailCall, ID: d.small(), Time: d.number(), CPU: d.small(), Process: d.small(), Thread: d.small()}
		hit.Comm = d.comm(hit.Thread)
		hit.Values, hit.Registers, hit.Stack = d.bytes(), d.bytes(), d.bytes()
		if len(hit.Registers) == 0 {
			hit.Registers = nil
		} else if len(hit.Registers) != RegisterBytes {
			return false
		}
		if !d.bad {
			h.Hit(hit)
		}
	case kindLost:
		if n := d.number(); !d.bad {
			h.Lost(n)
		}
	case kindMaps:
		process, maps := d.small(), d.bytes()
		if !d.bad {
			h.Maps(process, maps)
		}
	case kindFailure:
		if f := (Failure{d.small(), d.small()}); !d.bad {
			h.Failure(f)
		}
	default:
		return false
	}
	return !d.bad
}

func (d *decoder) comm(thread uint32) string {
	n := d.number()
	if n == 0 {
		return d.known[thread]
	}
	name := string(d.take(n - 1))
	if len(d.known) < maxKnown {
		d.known[thread] = name
	}
	return name
}
