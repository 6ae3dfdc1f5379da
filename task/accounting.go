package task

import (
	"sync/atomic"

	"slowpath/arch/amd64"
)

// Accounting counts the resources that a thread has used. Counters only grow.
// Config.Meter measures the CPU time. The other counters are incremented where the
// events occur.
type Accounting struct {
	CPU                 amd64.CPUTime
	MinorFaults         atomic.Int64
	MajorFaults         atomic.Int64
	Voluntary           atomic.Int64 // context switches (getrusage(2))
	Involuntary         atomic.Int64
	BlocksIn, BlocksOut atomic.Int64 // of 512 bytes

	// The successful and failed calls that read and write files, and the bytes that they
	// have moved (proc(5), /proc/pid/io).
	ReadCalls, WriteCalls atomic.Int64
	ReadBytes, WriteBytes atomic.Int64
}

// CountRead counts a call that has read n bytes. Only the task's own goroutine calls it.
func (a *Accounting) CountRead(n uint64) {
	a.ReadCalls.Add(1)
	if n > 0 {
		a.ReadBytes.Add(int64(n))
	}
}

// CountWrite counts a call that has written n bytes. Only the task's own goroutine calls
// it.
func (a *Accounting) CountWrite(n uint64) {
	a.WriteCalls.Add(1)
	if n > 0 {
		a.WriteBytes.Add(int64(n))
	}
}

// Usage is a copy of the counters of Accounting, or a sum of such copies.
type Usage struct {
	User, System           int64 // nanoseconds
	MinorFaults            int64
	MajorFaults            int64
	Voluntary, Involuntary int64
	BlocksIn, BlocksOut    int64
	ReadCalls, WriteCalls  int64
	ReadBytes, WriteBytes  int64
	MaxResident            int64 // KiB; in a sum, the greatest value
}

// Read returns the counters. The time since the last tick may be missing: see
// Task.Usage.
func (a *Accounting) Read() Usage {
	user, system := a.CPU.Read()
	return Usage{
		User: user, System: system,
		MinorFaults: a.MinorFaults.Load(), MajorFaults: a.MajorFaults.Load(),
		Voluntary: a.Voluntary.Load(), Involuntary: a.Involuntary.Load(),
		BlocksIn: a.BlocksIn.Load(), BlocksOut: a.BlocksOut.Load(),
		ReadCalls: a.ReadCalls.Load(), WriteCalls: a.WriteCalls.Load(),
		ReadBytes: a.ReadBytes.Load(), WriteBytes: a.WriteBytes.Load(),
	}
}

// Add adds b to u.
func (u *Usage) Add(b Usage) {
	u.User += b.User
	u.System += b.System
	u.MinorFaults += b.MinorFaults
	u.MajorFaults += b.MajorFaults
	u.Voluntary += b.Voluntary
	u.Involuntary += b.Involuntary
	u.BlocksIn += b.BlocksIn
	u.BlocksOut += b.BlocksOut
	u.ReadCalls += b.ReadCalls
	u.WriteCalls += b.WriteCalls
	u.ReadBytes += b.ReadBytes
	u.WriteBytes += b.WriteBytes
	u.MaxResident = max(u.MaxResident, b.MaxResident)
}

// Usage returns the usage of the thread. The time of the caller itself is up to date;
// that of a thread on another CPU lacks at most a tick.
func (t *Task) Usage() Usage {
	t.kernel.config.Scheduler.Load.Update()
	return t.Accounting.Read()
}

// Usage returns the usage of all threads of the process, also of those that have
// exited, without children. The time is that of Task.Usage.
func (g *ThreadGroup) Usage() Usage {
	g.kernel.config.Scheduler.Load.Update()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.usage()
}

// usage is Usage with the group's lock held.
func (g *ThreadGroup) usage() Usage {
	sum := g.endedTimes
	for _, t := range g.threads {
		if !t.counted {
			sum.Add(t.Accounting.Read())
		}
	}
	return sum
}

// ChildrenUsage returns the usage of the reaped children and of the children that
// those have reaped.
func (g *ThreadGroup) ChildrenUsage() Usage {
	g.kernel.mu.RLock()
	defer g.kernel.mu.RUnlock()
	return g.reapedTimes
}

// TicksPerSecond is the unit of clock_t in the user interface (times(2)).
const TicksPerSecond = 100

// Ticks converts nanoseconds to clock ticks.
func Ticks(nanoseconds int64) int64 { return nanoseconds / (1e9 / TicksPerSecond) }

// ChargeTicks does the scheduler's work after an interrupt of the timer, checks the timers
// and limits that count CPU time. The task's own goroutine calls it after a tick, before the return
// to user mode. vector is that of the interrupt, or InKernel. It may sleep in a function of the
// tracepoint.
//
// It is not inlined: make bench subtracts the tick's work from the path to user mode,
// and finds it by this function's name.
//
//go:noinline
func (t *Task) ChargeTicks(vector int) {
	traced := t.kernel.Tracepoints.Interrupted.Active()
	if traced {
		t.interrupted(Interrupted{Task: t, Vector: vector})
	}
	t.kernel.Scheduler().Interrupted(t.Entity())
	t.group.CheckCPU()
	t.checkRealtime()
	if traced {
		t.interrupted(Interrupted{Task: t, Vector: vector, Served: true})
	}
}
