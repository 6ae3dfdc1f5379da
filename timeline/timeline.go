// Package timeline is the form in which the kernel tells the host what happened: system
// calls, other visits to the kernel, switches of tasks, wake-ups, signals and page faults. A
// record has a header and a body of known size, all numbers little-endian. Records are sent in
// batches. The records of one CPU are in the order of their ends; those of different CPUs
// are not ordered.
//
// The kernel appends records with the Append functions, which do not allocate. The host
// decodes batches with Decode.
package timeline

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"slowpath/entry"
)

// Kind is the kind of a record.
type Kind uint8

// The kinds of records.
const (
	kindInvalid Kind = iota
	// KindCall is a system call that has ended: see Call.
	KindCall
	// KindVisit is a visit to the slow path: see entry.Visit.
	KindVisit
	// KindRun means that the task runs on the CPU from now on.
	KindRun
	// KindSleep means that the task gives up the CPU: see Sleep.
	KindSleep
	// KindWake means that the task wakes another: see Wake.
	KindWake
	// KindSignal is a signal that was sent or delivered: see Signal.
	KindSignal
	// KindFault is a page fault of user mode: see Fault.
	KindFault
	// KindName gives a task its name: see Name.
	KindName
	// KindExit means that the task exits.
	KindExit
	// KindProbe is a hit of a probe: see Probe.
	KindProbe

	kindEnd
)

// Header begins each record.
type Header struct {
	Kind   Kind
	CPU    uint8
	length uint16 // of the whole record
	Task   uint32 // thread id, 0 for none
	Time   uint64 // TSC
}

// headerSize is the size of an encoded Header in bytes.
const headerSize = 16

// MaxArguments is the maximum number of arguments of a system call.
const MaxArguments = 6

// Call is a system call. Header.Time is its beginning.
type Call struct {
	Duration  uint64 // TSC ticks
	Number    int32
	ABI       entry.ABI
	Ended     bool  // false if the task exits in the call
	Result    int64 // -errno or a restart code for an error
	Arguments []uint64
}

// Sleep says why a task gives up the CPU.
type Sleep struct {
	// Runnable is set if the task was preempted or has yielded.
	Runnable bool
}

// Wake is a wake-up.
type Wake struct {
	Woken uint32 // thread id
}

// Signal is a signal.
type Signal struct {
	Delivered bool // false: it was sent
	Number    uint8
	Target    uint32 // thread id of the task that it was sent to
	Code      int32  // si_code
}

// Fault is a page fault.
type Fault struct {
	Address, IP uint64
	ErrorCode   uint32 // of the exception (SDM vol. 3A, 4.7)
	Offset      uint64 // in the file
	File        string // the path of the mapped file, or a name such as [heap]; may be cut
}

// Name is a task's name.
type Name struct {
	Process uint32
	Comm    string
}

// Probe is a hit of a probe of the host command.
type Probe struct{ ID uint32 }

// MaxText is the maximum length of a text in a record, in bytes. Longer ones lose their
// beginning.
const MaxText = 200

// Sizes in bytes.
const (
	callSize  = headerSize + 8 + 8 + 4 + 4 // without arguments
	faultSize = headerSize + 3*8 + 4 + 1   // without the name

	// MaxCall is the maximum size of the record of a call.
	MaxCall = callSize + 8*MaxArguments
	// MaxRecord is the maximum size of a record.
	MaxRecord = headerSize + max(entry.MaxEncodedVisit, MaxCall-headerSize, faultSize-headerSize+MaxText)
)

// callEnded and callI386 are the bits of the word after a call's number that stand for
// Call.Ended and for the ABI I386. The low byte is the number of arguments.
const (
	callEnded = 1 << 8
	callI386  = 1 << 9
)

var le = binary.LittleEndian

// appendHeader appends a header of a record of n bytes.
func appendHeader(b []byte, h Header, n int) []byte {
	b = le.AppendUint64(b, uint64(h.Kind)|uint64(h.CPU)<<8|uint64(n)<<16|uint64(h.Task)<<32)
	return le.AppendUint64(b, h.Time)
}

// AppendCall appends a system call with at most MaxArguments arguments.
func AppendCall(b []byte, h Header, c *Call) []byte {
	h.Kind = KindCall
	b = appendHeader(b, h, callSize+8*len(c.Arguments))
	b = le.AppendUint64(b, c.Duration)
	b = le.AppendUint64(b, uint64(c.Result))
	flags := uint64(len(c.Arguments))
	if c.Ended {
		flags |= callEnded
	}
	if c.ABI == entry.I386 {
		flags |= callI386
	}
	b = le.AppendUint64(b, uint64(uint32(c.Number))|flags<<32)
	for _, a := range c.Arguments {
		b = le.AppendUint64(b, a)
	}
	return b
}

// AppendVisit appends a visit. The header's time and CPU are those of the visit.
func AppendVisit(b []byte, h Header, v *entry.Visit) []byte {
	at := len(b)
	b = appendHeader(b, Header{Kind: KindVisit, CPU: v.CPU, Task: h.Task, Time: v.Begin}, 0)
	b = entry.AppendVisit(b, v)
	le.PutUint16(b[at+2:], uint16(len(b)-at))
	return b
}

// AppendRun appends that the task runs.
func AppendRun(b []byte, h Header) []byte { return appendKind(b, h, KindRun) }

// AppendExit appends that the task exits.
func AppendExit(b []byte, h Header) []byte { return appendKind(b, h, KindExit) }

func appendKind(b []byte, h Header, k Kind) []byte {
	h.Kind = k
	return appendHeader(b, h, headerSize)
}

// appendWord appends a record whose body is one word.
func appendWord(b []byte, h Header, k Kind, word uint64) []byte {
	h.Kind = k
	return le.AppendUint64(appendHeader(b, h, headerSize+8), word)
}

// AppendSleep appends that the task gives up the CPU.
func AppendSleep(b []byte, h Header, s Sleep) []byte {
	word := uint64(0)
	if s.Runnable {
		word = 1
	}
	return appendWord(b, h, KindSleep, word)
}

// AppendWake appends that the task wakes another.
func AppendWake(b []byte, h Header, w Wake) []byte {
	return appendWord(b, h, KindWake, uint64(w.Woken))
}

// AppendProbe appends a hit of a probe.
func AppendProbe(b []byte, h Header, p Probe) []byte {
	return appendWord(b, h, KindProbe, uint64(p.ID))
}

// signalDelivered is the bit of a signal's word that stands for Signal.Delivered.
const signalDelivered = 1 << 8

// AppendSignal appends a signal.
func AppendSignal(b []byte, h Header, s Signal) []byte {
	h.Kind = KindSignal
	b = appendHeader(b, h, headerSize+16)
	word := uint64(s.Number)
	if s.Delivered {
		word |= signalDelivered
	}
	b = le.AppendUint64(b, word|uint64(s.Target)<<32)
	return le.AppendUint64(b, uint64(int64(s.Code)))
}

// AppendFault appends a page fault.
func AppendFault(b []byte, h Header, f *Fault) []byte {
	h.Kind = KindFault
	name := tail(f.File)
	b = appendHeader(b, h, faultSize+len(name))
	for _, word := range [...]uint64{f.Address, f.IP, f.Offset} {
		b = le.AppendUint64(b, word)
	}
	b = le.AppendUint32(b, f.ErrorCode)
	return append(append(b, byte(len(name))), name...)
}

// AppendName appends a task's name.
func AppendName(b []byte, h Header, n *Name) []byte {
	h.Kind = KindName
	comm := tail(n.Comm)
	b = appendHeader(b, h, headerSize+4+1+len(comm))
	b = le.AppendUint32(b, n.Process)
	return append(append(b, byte(len(comm))), comm...)
}

// tail returns the last MaxText bytes of a text.
func tail(s string) string { return s[max(0, len(s)-MaxText):] }

// A batch begins with the version, the clock's parameters and the number of records that were
// lost since the last batch.
const batchVersion = 4

// BatchHeader is the size of the beginning of a batch in bytes.
const BatchHeader = 1 + 3*8

// Clock converts TSC values: the time since boot is (TSC - Start) * Scale / 2^32 nanoseconds.
type Clock struct{ Start, Scale uint64 }

// Nanoseconds converts a TSC value to nanoseconds since boot.
func (c Clock) Nanoseconds(tsc uint64) uint64 {
	hi, lo := bits.Mul64(tsc-c.Start, c.Scale)
	return hi<<32 | lo>>32
}

// AppendBatchHeader appends the beginning of a batch.
func AppendBatchHeader(b []byte, c Clock, lost uint64) []byte {
	b = append(b, batchVersion)
	for _, word := range [...]uint64{c.Start, c.Scale, lost} {
		b = le.AppendUint64(b, word)
	}
	return b
}

// ErrFormat means that bytes are not a batch of records.
var ErrFormat = errors.New("the bytes are not a batch of the timeline; build the kernel and the host command from the same source")

// SetLost sets the number of lost records at the beginning of a batch.
func SetLost(batch []byte, lost uint64) { le.PutUint64(batch[17:], lost) }

// SetCPU sets the CPU of an encoded record.
func SetCPU(record []byte, cpu uint8) { record[1] = cpu }
