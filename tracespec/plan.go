// Package tracespec is what the host command and the kernel say to each other about the
// system calls that slowpath strace shows.
//
// The host command makes a plan from its table of decoders, and puts it into the initramfs
// beside the run file of package runspec. The plan says for each call which memory of the
// program its arguments point to: strings, buffers, structures. The kernel executes the
// plan at the entry and at the exit of each call (Capture) and sends records (Encoder). It
// knows nothing of the meaning of what it copies.
package tracespec

import (
	"errors"
	"fmt"
)

// Path is the path of the plan in the initramfs. The kernel removes it before the program
// starts.
const Path = "/.slowpath/calls"

// Limits of a plan and of what it captures.
const (
	// MaxPlan is the maximum size of an encoded plan in bytes.
	MaxPlan = 4 << 20
	// FirstI386 is added to the number of a call of the ABI I386: the numbers below it are
	// those of x86-64 (entry.Calls).
	FirstI386 = 512
	// MaxCalls is the number of system call numbers of both ABIs.
	MaxCalls = 2 * FirstI386
	// MaxOps is the maximum number of ops of a call at its entry or at its exit.
	MaxOps = 250
	// MaxCapture is the maximum size of all captures of a record in bytes. The rest is
	// missing.
	MaxCapture = 32 << 10
	// MaxBytes is the maximum of Op.Max.
	MaxBytes = 16 << 10
	// MaxElements is the maximum number of elements of a Strings or Vector capture.
	MaxElements = 4096
	// MaxStack is the maximum number of bytes of the stack in a record.
	MaxStack = 16 << 10
	// MaxInjections is the maximum number of rules of fault injection.
	MaxInjections = 1024
)

// Plan says which calls are shown, and what of them is captured.
type Plan struct {
	// Follow shows all tasks; otherwise only the first thread of the first process.
	Follow bool
	// Names sends the names of the threads (Named).
	Names bool
	// Stack is the number of bytes of the stack that each exit has, 0 for none.
	Stack int
	// Calls has the calls that are shown, by number.
	Calls map[int]*Call
	// Injections are tried in order; the first that applies to a call is used.
	Injections []Injection
}

// Call is what is captured of a call.
type Call struct {
	// Entry is captured at the entry, Exit at the exit.
	Entry, Exit []Op
}

// Source is where a Value comes from.
type Source uint8

// The sources of values.
const (
	Constant Source = iota // Value.Number
	Argument               // the argument Value.Index, from 0; its low 32 bits if Size is 4
	Result                 // the result of the call; a negative one is 0
	Captured               // Size bytes at Offset of the capture Value.Index of the same record
	Stack                  // the stack pointer plus Value.Number

	sourceEnd
)

// Value is a number that is known when the call happens.
type Value struct {
	Source Source
	Index  uint8
	Size   uint8 // 1, 2, 4 or 8
	Offset uint32
	Number uint64
}

// Kind is what an Op captures.
type Kind uint8

// The kinds of ops.
const (
	// Bytes are Count times Unit bytes at Address, at most Max. They are captured
	// completely or not at all.
	Bytes Kind = iota
	// Prefix is Bytes up to the first byte that cannot be read, if there is any before.
	Prefix
	// String is the bytes at Address up to NUL, which is captured too, or Max of them.
	String
	// Strings are the strings that an array of pointers at Address names, up to a null
	// pointer: see StringList. Unit is the maximum number of strings, Max that of the
	// bytes of one. If Max is 0, the strings are only counted. A constant Count is the size of
	// a pointer, 0 for 8 bytes.
	Strings
	// Vector is the memory that the iovecs in the capture Address.Index name: Unit is
	// the distance of the iovecs in bytes, and Max the maximum for each. Count limits the total.
	Vector
	// Records are Count bytes of records at Address, each of which has its length in 16 bits at
	// Offset Unit. The capture is the number of records, in 8 bytes.
	Records
	// Descriptor is the name of the open file that the descriptor Address refers to, or of the
	// working directory for AT_FDCWD. With Max WithDetails, it is followed by NUL, a kind of
	// details, NUL, and the details, if the file has any.
	Descriptor
	// Descriptors are the captures of Descriptor for descriptors in the capture Address.Index:
	// 4 bytes at Address.Offset of each Unit bytes, at most Count of them. As Vector, each is a
	// capture of its own.
	Descriptors
	// Members are the same for the descriptors below Count whose bits are set in the capture
	// Address.Index.
	Members
	// Rights are the same for the descriptors in the control messages of the kind SCM_RIGHTS
	// (unix(7)) in the capture Address.Index.
	Rights
	// Pointers are Unit bytes at each of the addresses in the capture Address.Index, at most
	// Count of them. As Vector, each is a capture of its own.
	Pointers

	kindEnd
)

// WithDetails is Op.Max of the names of descriptors that have details.
const WithDetails = 1

// The kinds of details.
const (
	DetailSocket  = "socket"  // protocol and addresses, as strace -yy prints them
	DetailDevice  = "device"  // type and number of a device, as strace -yy prints them
	DetailProcess = "process" // the id of the process of a pidfd
)

// Op is one capture.
type Op struct {
	Kind Kind
	// When is the condition.
	When    Guard
	Address Value
	Count   Value
	Unit    uint32
	Max     uint32
	// Offset is added to the address of Bytes and Prefix.
	Offset uint32
}

// The sizes of a pointer and of an iovec of a 32-bit program in bytes.
const (
	NarrowPointer = 4
	NarrowVector  = 8
)

// Guard is the condition of an op.
type Guard struct {
	// Success demands that the call has succeeded. It is for exits.
	Success bool
	// Values are the permitted values of the argument Argument AND Mask. Without values
	// all are permitted. Except inverts the choice.
	Argument uint8
	Except   bool
	Mask     uint64
	Values   []uint64
}

// Injection makes calls fail or changes them (strace(1), option inject).
type Injection struct {
	// Numbers are the calls.
	Numbers []int
	// First is the first call of a thread that is affected, from 1, Last the last one, or 0
	// for none, and Step the distance to the next one, at least 1.
	First, Last, Step uint64
	// Replace gives the call the result Result instead of executing it.
	Replace bool
	Result  int64
	// Signal is sent to the thread at the entry, or 0.
	Signal int
	// DelayEnter and DelayExit are waits in nanoseconds.
	DelayEnter, DelayExit uint64
}

// Applies reports whether the injection affects the count-th call of a thread, from 1.
func (i *Injection) Applies(count uint64) bool {
	if count < i.First || i.Last != 0 && count > i.Last {
		return false
	}
	return (count-i.First)%i.Step == 0
}

// errShort is the error of a plan that ends too early.
var errShort = errors.New("the plan of system calls is cut short")

// Marshal returns the encoded plan.
func (p *Plan) Marshal() ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	w := &writer{buffer: []byte(planMagic)}
	w.flag(p.Follow)
	w.flag(p.Names)
	w.number(uint64(p.Stack))
	w.number(uint64(len(p.Calls)))
	for number := range MaxCalls {
		c := p.Calls[number]
		if c == nil {
			continue
		}
		w.number(uint64(number))
		w.ops(c.Entry)
		w.ops(c.Exit)
	}
	w.number(uint64(len(p.Injections)))
	for i := range p.Injections {
		w.injection(&p.Injections[i])
	}
	if len(w.buffer) > MaxPlan {
		return nil, fmt.Errorf("the plan of system calls takes %d bytes, more than %d; show fewer calls", len(w.buffer), MaxPlan)
	}
	return w.buffer, nil
}

// planMagic begins a plan.
const planMagic = "slowpath-calls 2\n"

// Parse decodes a plan. It checks all limits.
func Parse(text []byte) (*Plan, error) {
	if len(text) < len(planMagic) || string(text[:len(planMagic)]) != planMagic || len(text) > MaxPlan {
		return nil, errors.New("the plan of system calls has another format; build kernel and host command from the same source")
	}
	r := &reader{data: text[len(planMagic):]}
	p := &Plan{Calls: map[int]*Call{}}
	p.Follow, p.Names, p.Stack = r.flag(), r.flag(), r.int()
	for range r.count(MaxCalls) {
		number := r.int()
		p.Calls[number] = &Call{Entry: r.ops(), Exit: r.ops()}
	}
	for range r.count(MaxInjections) {
		p.Injections = append(p.Injections, r.injection())
	}
	if r.bad || len(r.data) != 0 {
		return nil, errShort
	}
	return p, p.check()
}

// check checks the limits of a plan, so that no op makes the kernel allocate or index
// more than they allow.
func (p *Plan) check() error {
	if p.Stack < 0 || p.Stack > MaxStack {
		return fmt.Errorf("a stack of %d bytes is captured; give at most %d", p.Stack, MaxStack)
	}
	for number, c := range p.Calls {
		if number < 0 || number >= MaxCalls {
			return fmt.Errorf("the system call %d is impossible", number)
		}
		for _, ops := range [][]Op{c.Entry, c.Exit} {
			if err := checkOps(ops); err != nil {
				return fmt.Errorf("system call %d: %w", number, err)
			}
		}
	}
	if len(p.Injections) > MaxInjections {
		return fmt.Errorf("there are %d rules of inject; give at most %d", len(p.Injections), MaxInjections)
	}
	for i := range p.Injections {
		if p.Injections[i].Step == 0 {
			return fmt.Errorf("rule %d of inject has the step 0; give at least 1", i)
		}
	}
	return nil
}

func checkOps(ops []Op) error {
	if len(ops) > MaxOps {
		return fmt.Errorf("it has %d captures, more than %d", len(ops), MaxOps)
	}
	for i := range ops {
		o := &ops[i]
		vectorWithout := o.Kind.ofCapture() && o.Address.Source != Captured || o.Kind == Vector && o.Unit < 16 && o.Unit != NarrowVector || o.Kind == Descriptors && o.Unit < 4
		if o.Kind >= kindEnd || o.Max > MaxBytes || o.Unit > MaxBytes || o.Offset > MaxBytes || vectorWithout || o.When.Argument > 5 ||
			!o.Address.possible(i) || !o.Count.possible(i) {
			return fmt.Errorf("capture %d is impossible", i)
		}
	}
	return nil
}

// ofCapture reports whether an op of a kind works on the elements of an earlier capture.
func (k Kind) ofCapture() bool { return k == Vector || k >= Descriptors && k < kindEnd }

// possible reports whether the capture with an index may use the value.
func (v *Value) possible(index int) bool {
	switch v.Source {
	case Argument:
		return v.Index < 6
	case Captured:
		return int(v.Index) < index && (v.Size == 1 || v.Size == 2 || v.Size == 4 || v.Size == 8) && v.Offset <= MaxBytes
	}
	return v.Source < sourceEnd
}
