package tracespec

import "errors"

// RecordKind is what a record is about.
type RecordKind uint8

// The kinds of records, and the fields of Record that they have beside Time and Thread.
const (
	// Begin is the first record: Wall.
	Begin RecordKind = iota + 1
	// Enter is the entry of a call: Process, CPU, Number, I386, Arguments, Address, Captures.
	Enter
	// Leave is the exit of a call: CPU, Result, Captures, Registers, Stack.
	Leave
	// Signal is a signal that is delivered: Data is its siginfo_t.
	Signal
	// Generated is a signal that was sent and is pending: Data is its siginfo_t. Thread is
	// one of the process, if the signal is for a process.
	Generated
	// Ignored is a signal that was sent and is ignored: Data is its siginfo_t.
	Ignored
	// Clone is a new task: Thread is the parent, Other the new thread, Process its process.
	Clone
	// Exec is a successful execve: Other is the former id of the thread, Data the path. Without
	// a path it is the start of the first program, whose environment is at Arguments[0].
	Exec
	// Exit is the end of a thread: Result is its wait status, Process its process.
	Exit
	// Maps are the executable mappings of a process, before the next Leave with a stack:
	// Process, Data as in package probespec.
	Maps
	// Lost is the number of records that were given up: Result.
	Lost
	// Named says how a thread is called from now on (Plan.Names): Process, Data.
	Named
	// Injected says that the current call was changed: Result is a set of the Injected constants.
	Injected

	recordEnd
)

// What an injection has changed.
const (
	InjectedResult = 1 << iota
	InjectedDelay
)

// Record is one thing that a task did.
type Record struct {
	Kind RecordKind
	// Time is the time since boot in nanoseconds. Wall is the time of day at that time,
	// in nanoseconds since 1970.
	Time, Wall uint64
	// Thread and Process are ids of the first pid namespace.
	Thread, Process, Other uint32
	CPU                    uint32
	// Number is that of the call in its ABI, or another number that the program gave. I386
	// is set if the ABI is I386.
	Number    int32
	I386      bool
	Arguments [6]uint64
	// Address is the program counter.
	Address uint64
	Result  int64
	// Killed is set if the thread must exit after the call.
	Killed bool
	// Captures are those of the plan (Split).
	Captures []byte
	// Registers and Stack are as in package probespec.
	Registers, Stack []byte
	Data             []byte
}

// ErrFormat is the error of a batch that cannot be decoded.
var ErrFormat = errors.New("the kernel has sent a damaged record of a system call")

// Encoder appends records to a batch. Times are differences to the record before, so a
// batch can be decoded alone.
type Encoder struct {
	writer
	last uint64
}

// Len returns the size of the batch in bytes.
func (e *Encoder) Len() int { return len(e.buffer) }

// Take returns the batch and begins a new one.
func (e *Encoder) Take() []byte {
	b := e.buffer
	e.buffer, e.last = nil, 0
	return b
}

// Lost appends the number of records that were given up.
func (e *Encoder) Lost(n uint64) {
	e.Append(&Record{Kind: Lost, Result: int64(n)}, e.last)
}

// Append appends a record with the time now, which is not before that of the last record.
func (e *Encoder) Append(r *Record, now uint64) {
	e.number(uint64(r.Kind))
	e.number(now - e.last)
	e.last = now
	e.number(uint64(r.Thread))
	switch r.Kind {
	case Enter:
		e.number(uint64(r.Process))
		e.number(uint64(r.CPU))
		e.signed(int64(r.Number))
		e.flag(r.I386)
		e.number(r.Address)
		for _, a := range r.Arguments {
			e.number(a)
		}
		e.bytes(r.Captures)
	case Leave:
		e.number(uint64(r.CPU))
		e.signed(r.Result)
		e.flag(r.Killed)
		e.bytes(r.Captures)
		e.bytes(r.Registers)
		e.bytes(r.Stack)
	default:
		for _, n := range [...]uint64{uint64(r.Process), uint64(r.Other), r.Wall, r.Arguments[0]} {
			e.number(n)
		}
		e.signed(r.Result)
		e.bytes(r.Data)
	}
}

// Decode calls f for each record of a batch. The slices of a record are parts of the batch.
// Error: ErrFormat, or the error of f.
func Decode(batch []byte, f func(r *Record) error) error {
	d := reader{data: batch}
	last := uint64(0)
	for len(d.data) > 0 {
		r, ok := d.record(&last)
		if !ok {
			return ErrFormat
		}
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

func (d *reader) record(last *uint64) (*Record, bool) {
	r := &Record{Kind: RecordKind(d.byte())}
	if r.Kind < Begin || r.Kind >= recordEnd {
		return nil, false
	}
	*last += d.number()
	r.Time, r.Thread = *last, d.small()
	switch r.Kind {
	case Enter:
		r.Process, r.CPU, r.Number, r.I386, r.Address = d.small(), d.small(), int32(d.signed()), d.flag(), d.number()
		for i := range r.Arguments {
			r.Arguments[i] = d.number()
		}
		r.Captures = d.bytes()
	case Leave:
		r.CPU, r.Result, r.Killed = d.small(), d.signed(), d.flag()
		r.Captures, r.Registers, r.Stack = d.bytes(), d.bytes(), d.bytes()
	default:
		r.Process, r.Other, r.Wall, r.Arguments[0], r.Result = d.small(), d.small(), d.number(), d.number(), d.signed()
		r.Data = d.bytes()
	}
	return r, !d.bad
}
