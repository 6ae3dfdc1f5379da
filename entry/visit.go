package entry

import (
	"math/bits"
	"sync"

	"slowpath/arch/amd64"
)

// Kind says how a visit to the kernel began.
type Kind uint8

// The kinds of visits.
const (
	// BySyscall: a system call that owed duties when it began, RECORD_EXITS
	// among them. The number is the call's.
	BySyscall Kind = iota
	// ByException and ByInterrupt: the number is the vector.
	ByException
	ByInterrupt
	// ByDuty: EnterUser found a duty in its last test, mostly one that came
	// during a system call that owed none when it began. The number is -1.
	ByDuty

	kindCount
)

// String returns the kind's name.
func (k Kind) String() string { return [...]string{"syscall", "exception", "interrupt", "work"}[k] }

// Step is one part of a visit: a duty that was served, or the call itself,
// whose flag is 0. Times are ticks of the TSC since the visit began, in 64
// bits: a call may sleep for longer than 32 have ticks.
type Step struct {
	Flag       Flag
	Begin, End uint64
}

// maxSteps is how many steps of a visit are kept.
const maxSteps = 8

// Visit is one stay of a task in the kernel, from the end of EnterUser until
// the task is about to call it again.
type Visit struct {
	VisitHeader
	Steps [maxSteps]Step // the first StepCount of them
}

// VisitHeader is what every visit has.
type VisitHeader struct {
	Begin, End uint64 // ticks of the TSC
	Task       int32
	Number     int32 // system call or vector, -1 for neither
	Owed       Flag  // the thread flags at the beginning
	Served     Flag  // what was served
	Kind       Kind
	CPU        uint8 // that held the task's state at the end
	ByIRET     bool  // it is left by IRETQ, else by SYSRET
	Kept       bool  // recorded whatever it did
	StepCount  uint8
}

// Start begins a visit at a reading of the TSC. The caller, which is the task's
// own goroutine, then sets Kind and Number. Task stays as it is.
func (v *Visit) Start(begin uint64, owed Flag) {
	v.Begin, v.Owed = begin, owed
	v.Served, v.StepCount, v.Kept = 0, 0, false
}

// Step adds a part that was done between two readings of the TSC, unless the
// visit has maxSteps of them.
func (v *Visit) Step(flag Flag, begin, end uint64) {
	if int(v.StepCount) < len(v.Steps) {
		v.Steps[v.StepCount] = Step{flag, begin - v.Begin, end - v.Begin}
		v.StepCount++
	}
}

// Recorder keeps the last visits of each CPU. It allocates nothing after
// NewRecorder and is safe for concurrent use.
type Recorder struct{ rings []visitRing }

// visitRing is the visits that ended on one CPU.
type visitRing struct {
	mu      sync.Mutex
	visits  []Visit
	mask    uint64 // one less than their number, a power of two
	written uint64 // visits ever written

	// How many visits there were of each kind, and how often each bit's duty
	// was served in them.
	kinds  [kindCount]uint64
	served [32]uint64
}

// count counts a visit. The ring is locked.
func (r *visitRing) count(v *Visit) {
	r.kinds[v.Kind]++
	for rest := uint32(v.Served); rest != 0; rest &= rest - 1 {
		r.served[bits.TrailingZeros32(rest)]++
	}
}

// NewRecorder returns a recorder for so many CPUs with so many visits each, or
// as many more as make a power of two.
func NewRecorder(cpus, visits int) *Recorder {
	size := 1 << bits.Len(uint(max(visits, 1)-1))
	r := &Recorder{rings: make([]visitRing, cpus)}
	for i := range r.rings {
		r.rings[i].visits = make([]Visit, size)
		r.rings[i].mask = uint64(size - 1)
	}
	return r
}

// End ends a visit and keeps it if it had work, is left by IRETQ, or is wanted
// in any case.
func (r *Recorder) End(v *Visit, f *amd64.Frame) {
	v.ByIRET = f.Flags&amd64.LeaveByIRET != 0
	if !v.Kept && !v.ByIRET && v.Owed|v.Served == 0 {
		return
	}
	v.End = amd64.TSC()
	cpu := max(f.StateCPU(), 0)
	v.CPU = uint8(cpu)
	ring := &r.rings[cpu]
	ring.mu.Lock()
	slot := &ring.visits[ring.written&ring.mask]
	slot.VisitHeader = v.VisitHeader
	if v.StepCount != 0 { // else no room for them is copied
		slot.Steps = v.Steps
	}
	ring.written++
	ring.count(v)
	ring.mu.Unlock()
}

// Peek returns the visit that ended last on a CPU, or back visits before that;
// nil if there is none. It takes no lock and allocates nothing, so it is for a
// machine that is at its end, where whoever has the lock may never run again.
func (r *Recorder) Peek(cpu, back int) *VisitHeader {
	ring := &r.rings[cpu]
	if uint64(back) >= min(ring.written, uint64(len(ring.visits))) {
		return nil
	}
	return &ring.visits[(ring.written-1-uint64(back))&ring.mask].VisitHeader
}

// CPUs returns for how many CPUs there are visits.
func (r *Recorder) CPUs() int { return len(r.rings) }

// Cursor says how far a reader has come, for each CPU. The zero value is the
// beginning.
type Cursor struct{ read [amd64.MaxCPUs]uint64 }

// Read appends to out the visits that ended since the cursor, and moves it.
// lost counts those that were overwritten before they were read.
func (r *Recorder) Read(c *Cursor, out []Visit) (visits []Visit, lost uint64) {
	for i := range r.rings {
		ring := &r.rings[i]
		ring.mu.Lock()
		first := c.read[i]
		if size := uint64(len(ring.visits)); ring.written-first > size {
			lost += ring.written - first - size
			first = ring.written - size
		}
		for n := first; n < ring.written; n++ {
			out = append(out, ring.visits[n&ring.mask])
		}
		c.read[i] = ring.written
		ring.mu.Unlock()
	}
	return out, lost
}
