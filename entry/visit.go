package entry

import (
	"math/bits"
	"sync"

	"slowpath/arch/amd64"
	"slowpath/tracepoint"
)

// Kind is the event that began a visit to the kernel.
type Kind uint8

// The kinds of visits.
const (
	// BySyscall: a system call on the slow path. Visit.Number is its number.
	BySyscall Kind = iota
	// ByException: an exception of user mode. Visit.Number is the vector.
	ByException
	// ByInterrupt: an interrupt of user mode. Visit.Number is the vector.
	ByInterrupt
	// ByDuty: EnterUser found a duty in its last test. Usually it was raised
	// during a system call on the fast path. Visit.Number is -1.
	ByDuty

	kindCount
)

// String returns the kind's name.
func (k Kind) String() string { return [...]string{"syscall", "exception", "interrupt", "work"}[k] }

// Step is one part of a visit: a duty that was served, or the system call.
type Step struct {
	// Flag is the duty, or 0 for the system call.
	Flag Flag
	// Begin and End are TSC ticks since the beginning of the visit. They have 64
	// bits, because a call may sleep for more than 2^32 ticks.
	Begin, End uint64
}

// maxSteps is the maximum number of recorded steps of a visit.
const maxSteps = 8

// Visit is the time that a task spends in the kernel between two calls of
// EnterUser.
type Visit struct {
	VisitHeader
	Steps [maxSteps]Step // the first StepCount entries are valid
}

// VisitHeader is a visit without its steps.
type VisitHeader struct {
	Begin, End uint64 // TSC values
	Task       int32  // thread id
	Number     int32  // system call or vector, or -1
	Owed       Flag   // the thread flags at the beginning
	Served     Flag   // the duties that were served
	Kind       Kind
	ABI        ABI   // of the system call
	CPU        uint8 // the CPU that had the task's state at the end
	ByIRET     bool  // user mode is entered by IRETQ, else by SYSRET
	Kept       bool  // the visit is recorded in any case
	StepCount  uint8
}

// Start begins a visit at the TSC value begin, with the thread flags owed. The
// caller then sets Kind and Number. Task does not change.
func (v *Visit) Start(begin uint64, owed Flag) {
	v.Begin, v.Owed = begin, owed
	v.Served, v.StepCount, v.Kept, v.ABI = 0, 0, false, X86_64
}

// Step adds a step between two TSC values. If the visit already has maxSteps
// steps, it does nothing.
func (v *Visit) Step(flag Flag, begin, end uint64) {
	if int(v.StepCount) < len(v.Steps) {
		v.Steps[v.StepCount] = Step{flag, begin - v.Begin, end - v.Begin}
		v.StepCount++
	}
}

// Recorder keeps the last visits of each CPU in ring buffers. Only NewRecorder
// allocates. A Recorder is safe for concurrent use.
type Recorder struct {
	// Ended is called for each visit that is recorded, on the task's goroutine, before it
	// returns to user mode. The functions may sleep. The visit is valid during the call.
	Ended tracepoint.Point[*Visit]

	rings []visitRing
}

// visitRing is the ring buffer of one CPU: the visits that ended on it.
type visitRing struct {
	mu      sync.Mutex
	visits  []Visit // the length is a power of two
	mask    uint64  // len(visits) - 1
	written uint64  // number of visits written since boot

	kinds  [kindCount]uint64 // number of visits, by kind
	served [32]uint64        // number of services of a duty, by bit
}

// count updates the counters for a visit. r.mu is held. The remainders change nothing, and
// save the checks of the indexes.
func (r *visitRing) count(v *Visit) {
	r.kinds[v.Kind%kindCount]++
	for rest := uint32(v.Served); rest != 0; rest &= rest - 1 {
		r.served[bits.TrailingZeros32(rest)%32]++
	}
}

// NewRecorder returns a recorder that keeps the given number of visits per CPU,
// rounded up to a power of two.
func NewRecorder(cpus, visits int) *Recorder {
	size := 1 << bits.Len(uint(max(visits, 1)-1))
	r := &Recorder{rings: make([]visitRing, cpus)}
	for i := range r.rings {
		r.rings[i].visits = make([]Visit, size)
		r.rings[i].mask = uint64(size - 1)
	}
	return r
}

// End ends a visit. It records the visit if duties were set or served, if user
// mode is entered by IRETQ, or if v.Kept is set.
func (r *Recorder) End(v *Visit, f *amd64.Frame) {
	v.ByIRET = f.Flags&amd64.LeaveByIRET != 0
	if !v.ByIRET && !v.Kept && v.Owed|v.Served == 0 {
		return
	}
	v.End = amd64.TSC()
	cpu := max(f.StateCPU(), 0)
	v.CPU = uint8(cpu)
	ring := &r.rings[cpu]
	ring.mu.Lock()
	slot := &ring.visits[ring.written&ring.mask]
	slot.VisitHeader = v.VisitHeader
	if v.StepCount != 0 { // saves the copy of empty steps
		slot.Steps = v.Steps
	}
	ring.written++
	ring.count(v)
	ring.mu.Unlock()
	if r.Ended.Active() {
		r.Ended.Call(v)
	}
}

// Served returns how often each duty was served since boot, by bit number. Services of the
// fast path count after the task's next visit.
func (r *Recorder) Served() (served [32]uint64) {
	var kinds [kindCount]uint64
	for i := range r.rings {
		r.rings[i].addCounts(&served, &kinds)
	}
	return served
}

// addFast counts services of duties on the fast path, which are no visits, and clears c.
func (r *Recorder) addFast(f *amd64.Frame, c *fastCounts) {
	ring := &r.rings[max(f.StateCPU(), 0)]
	ring.mu.Lock()
	defer ring.mu.Unlock()
	for rest := uint32(c.duties); rest != 0; rest &= rest - 1 {
		bit := bits.TrailingZeros32(rest)
		ring.served[bit] += uint64(c.served[bit])
	}
	*c = fastCounts{}
}

// Peek returns the last visit that ended on a CPU, or the one that was back
// visits earlier, or nil if there is none. It takes no lock and does not
// allocate. It is for the panic path, where the holder of the lock may never run
// again.
func (r *Recorder) Peek(cpu, back int) *VisitHeader {
	ring := &r.rings[cpu]
	if uint64(back) >= min(ring.written, uint64(len(ring.visits))) {
		return nil
	}
	return &ring.visits[(ring.written-1-uint64(back))&ring.mask].VisitHeader
}

// CPUs returns the number of CPUs.
func (r *Recorder) CPUs() int { return len(r.rings) }

// Cursor is the position of a reader in the ring of each CPU. The zero value is
// the beginning.
type Cursor struct{ read [amd64.MaxCPUs]uint64 }

// Read appends to out the visits that ended after the cursor, and advances the
// cursor. lost is the number of visits that were overwritten before they were
// read.
func (r *Recorder) Read(c *Cursor, out []Visit) (visits []Visit, lost uint64) {
	for i := range r.rings {
		var overwritten uint64
		out, overwritten = r.rings[i].read(&c.read[i], out)
		lost += overwritten
	}
	return out, lost
}

// read is Recorder.Read for one ring. next is the number of visits that were read.
func (r *visitRing) read(next *uint64, out []Visit) (visits []Visit, lost uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := *next
	if size := uint64(len(r.visits)); r.written-first > size {
		lost = r.written - first - size
		first = r.written - size
	}
	for n := first; n < r.written; n++ {
		out = append(out, r.visits[n&r.mask])
	}
	*next = r.written
	return out, lost
}
