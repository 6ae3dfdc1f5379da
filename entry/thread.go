package entry

import (
	"sync/atomic"

	"slowpath/arch/amd64"
)

// Thread is the part of a task that this package uses. A task embeds it. Only the
// task's own goroutine may access it, except Frame.ThreadFlags, which is atomic.
type Thread struct {
	// Frame has the registers of user mode and the thread flags word.
	Frame *amd64.Frame
	// Call is the task's current or last system call on the slow path, or the one that
	// LoadCall has loaded.
	Call Call
	// Visit is the task's current visit to the kernel.
	Visit Visit

	admission atomic.Pointer[Admission] // see SetAdmission

	exiting bool // see SetExiting
	held    bool // see Hold
	calls   bool // see RequestCall
	next    uint64
	// deferred are the duties that Defer has put off.
	deferred Flag
	entered  Flag // duties that saw the entry of Call but not its exit yet
	fast     fastCounts
	served   Flag // on the fast path, before the last visit
}

// LoadCall loads Call from the frame, for a handler Watch that needs it. Only the task's own
// goroutine may call it.
func (s *Thread) LoadCall() *Call {
	s.Call.load(s.Frame)
	return &s.Call
}

// Reset makes a thread that has ended usable for another run of the loop.
func (s *Thread) Reset() {
	s.exiting, s.entered, s.held, s.calls, s.deferred = false, 0, false, false, 0
	s.fast, s.served = fastCounts{}, 0
}

// fastCounts are the services of duties on the fast path since the last visit. They are no
// visits.
type fastCounts struct {
	duties Flag // the duties that were served
	served [32]uint32
}

// count counts a service of one duty, whose bit has the given number.
func (c *fastCounts) count(f Flag, number uint8) {
	c.duties |= f
	c.served[number%32]++
}

// SetExiting ends the user loop. The task does not enter user mode again. Only
// the task's own goroutine may call it.
func (s *Thread) SetExiting() { s.exiting = true }

// Exiting reports whether SetExiting was called. Only the task's own goroutine
// may call it.
func (s *Thread) Exiting() bool { return s.exiting }

// Hold puts off the duties that interpret RIP, until Release: the thread executes one
// instruction of the program at another address. Only the task's own goroutine may call
// the methods below.
func (s *Thread) Hold() { s.held = true }

// Release ends Hold, and raises the duties that were put off.
func (s *Thread) Release() {
	s.held = false
	s.raiseDeferred()
}

// Defer reports whether the thread is held or has requested a call. The handler of the
// duty f must then do nothing: the duty is raised again at the end of that.
func (s *Thread) Defer(f Flag) bool {
	if !s.held && !s.calls {
		return false
	}
	s.deferred |= f
	return true
}

// ServedFast returns the duties that were served on the fast path. Only the task's own
// goroutine may call it.
func (s *Thread) ServedFast() Flag { return s.served | s.fast.duties }

func (s *Thread) raiseDeferred() {
	if s.deferred != 0 {
		Raise(&s.Frame.ThreadFlags, s.deferred)
		s.deferred = 0
	}
}

// RequestCall makes the user loop execute the system call in the registers of the frame,
// after the duties before user mode and instead of entering it, as if the program had
// executed a SYSCALL instruction that ends at next. A handler of a duty before user mode
// calls it. Duties that interpret RIP are put off until the call.
func (s *Thread) RequestCall(next uint64) { s.calls, s.next = true, next }

// CallRequested reports whether RequestCall was called for a call that has not begun.
func (s *Thread) CallRequested() bool { return s.calls }

// CancelCall undoes RequestCall, because the task must exit.
func (s *Thread) CancelCall() {
	s.calls = false
	s.raiseDeferred()
}

// beginCall ends the request of RequestCall. It gives the frame the state that the SYSCALL
// instruction leaves, and returns the event that EnterUser would have returned.
func (s *Thread) beginCall() (event int) {
	s.calls = false
	s.raiseDeferred()
	return s.Frame.ExecuteSyscall(s.next)
}

func (s *Thread) thread() *Thread { return s }

// Task is the interface of a task to the user loop. A type implements it by
// embedding Thread and having these methods. The loop calls them on the task's
// own goroutine, with interrupts on. They may sleep.
type Task interface {
	// TakeCPU loads the task's state on the current CPU, or on another one in
	// its affinity mask. It returns amd64.EventHandover, and the caller tests again whether the
	// state is loaded. On a CPU without a tick it also enters user mode, and returns what
	// amd64.EnterUser has returned.
	TakeCPU() (event int)
	// AfterInterrupt is called after an interrupt of user mode. The handler of
	// the interrupt has already run.
	AfterInterrupt()
	// ReadWord reads a word of user memory. It returns false if the address cannot be
	// read.
	ReadWord(address uint64) (word uint32, ok bool)
	// Stuck is called if duties are still set after the maximum number of
	// passes. It must make the task exit.
	Stuck(duties Flag)

	thread() *Thread
}

// clock returns the TSC if RecordExits is set, else 0.
func (s *Thread) clock() uint64 {
	if Pending(&s.Frame.ThreadFlags)&RecordExits == 0 {
		return 0
	}
	return amd64.TSC()
}

// step adds a step to the task's visit: a duty, or the call itself if flag is 0.
// begin is the result of clock at the beginning of the step. If it is 0, step
// does nothing.
func (s *Thread) step(flag Flag, begin uint64) {
	if begin != 0 {
		s.Visit.Step(flag, begin, amd64.TSC())
	}
}
