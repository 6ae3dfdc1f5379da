package task

import (
	"sync/atomic"

	"slowpath/arch/amd64"
	"slowpath/clock"
)

// Accounting counts the resources that a thread has used. Counters only grow.
// ChargeTicks adds the time; the others are counted where they occur.
type Accounting struct {
	User, System        atomic.Int64 // nanoseconds of CPU time
	MinorFaults         atomic.Int64
	MajorFaults         atomic.Int64
	Voluntary           atomic.Int64 // context switches (getrusage(2))
	Involuntary         atomic.Int64
	BlocksIn, BlocksOut atomic.Int64 // of 512 bytes
}

// Usage is a copy of the counters of Accounting, or a sum of such copies.
type Usage struct {
	User, System           int64 // nanoseconds
	MinorFaults            int64
	MajorFaults            int64
	Voluntary, Involuntary int64
	BlocksIn, BlocksOut    int64
	MaxResident            int64 // KiB; in a sum, the greatest value
}

// Read returns the counters.
func (a *Accounting) Read() Usage {
	return Usage{
		User: a.User.Load(), System: a.System.Load(),
		MinorFaults: a.MinorFaults.Load(), MajorFaults: a.MajorFaults.Load(),
		Voluntary: a.Voluntary.Load(), Involuntary: a.Involuntary.Load(),
		BlocksIn: a.BlocksIn.Load(), BlocksOut: a.BlocksOut.Load(),
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
	u.MaxResident = max(u.MaxResident, b.MaxResident)
}

// Usage returns the usage of all threads of the process, also of those that have
// exited, without children.
func (g *ThreadGroup) Usage() Usage {
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

// ChargeTicks adds the ticks since the last call to the accounting, checks the
// timers and limits that count CPU time, and samples the load average. The user
// loop calls it after an interrupt of user mode; it does not sleep.
func (t *Task) ChargeTicks() {
	user, system := t.Frame.UserTicks.Swap(0), t.Frame.SystemTicks.Swap(0)
	if user == 0 && system == 0 {
		return
	}
	t.Accounting.User.Add(int64(user) * amd64.TickNanoseconds)
	t.Accounting.System.Add(int64(system) * amd64.TickNanoseconds)
	t.group.CheckCPU()
	t.kernel.sampleLoad(clock.Monotonic())
}
