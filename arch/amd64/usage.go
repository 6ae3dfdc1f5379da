package amd64

import (
	"sync"
	"sync/atomic"
)

// Usage is what a CPU has done since boot, in nanoseconds (proc(5), /proc/stat). The rest of
// the time until now is what no tick has been attributed to yet: see cpuUsage.
type Usage struct {
	User, Nice, System, IRQ, Idle int64
	// Tasks is the time that was charged to tasks.
	Tasks int64
}

// cpuUsage is the measurement of a CPU. The idle time and that of interrupts are measured by the
// TSC. The rest is divided in the ratio of the samples (see CPUTime), as the samples come. The
// CPU itself changes the atomics, with interrupts off.
type cpuUsage struct {
	idle, irq atomic.Uint64 // TSC ticks
	idleFrom  atomic.Uint64 // TSC value when the CPU became idle, or 0
	irqFrom   uint64        // TSC value at the start of the interrupt
	samples   [sampleKinds]atomic.Int64
	mode      atomic.Int32 // the kind of a CPU without a tick: see CPUTime.LeaveKernel

	mu       sync.Mutex
	read     Usage              // the last result, which never goes back
	busy     int64              // of which is attributed
	attended [sampleKinds]int64 // the samples that are attributed
}

// The kinds of samples.
const (
	systemSample = iota
	userSample
	niceSample
	sampleKinds
)

var cpuUsages [MaxCPUs]cpuUsage

// BeginIdle notes that this CPU has nothing to do. Package goos calls it, with interrupts off.
func BeginIdle() {
	c := thisCPU()
	u := &cpuUsages[c.id]
	from := TSC()
	if c.id != 0 && u.idle.Load() == 0 && u.idleFrom.Load() == 0 {
		from = clockStart // it was not started before
	}
	u.idleFrom.Store(from)
}

// EndIdle notes that this CPU is not idle any more. Package goos calls it, with interrupts off.
func EndIdle() { cpuUsages[thisCPU().id].endIdle(TSC()) }

// endIdle adds the idle time. A reader may miss the time for a moment, but sees none twice.
func (u *cpuUsage) endIdle(now uint64) {
	if from := u.idleFrom.Load(); from != 0 {
		u.idleFrom.Store(0)
		u.idle.Add(now - from)
	}
}

// BeginIRQ notes the start of an interrupt of this CPU, which is not idle meanwhile. Package goos
// calls it, with interrupts off.
func BeginIRQ() {
	u, now := &cpuUsages[thisCPU().id], TSC()
	u.endIdle(now)
	u.irqFrom = now
}

// EndIRQ notes the end of the interrupt. Package goos calls it, with interrupts off, and
// BeginIdle after it if the CPU is idle.
func EndIRQ() {
	u := &cpuUsages[thisCPU().id]
	u.irq.Add(TSC() - u.irqFrom)
}

// sampled counts a sample of a CPU.
//
//go:nosplit
func sampled(cpu uint64, kind int32, nanoseconds int64) {
	cpuUsages[cpu].samples[kind].Add(nanoseconds)
}

// sampledUser counts a sample of user mode, which is Nice if the task of the account has a
// positive nice value. a may be nil.
//
//go:nosplit
func sampledUser(cpu uint64, a *CPUTime, nanoseconds int64) {
	kind := int32(userSample)
	if a != nil {
		kind = a.userKind()
	}
	sampled(cpu, kind, nanoseconds)
}

// SetNice tells under which nice value the task of the account runs. Any context.
func (a *CPUTime) SetNice(nice int32) { a.nice.Store(nice) }

// ReadUsage returns what a CPU has done. No number goes back. Any goroutine may call it.
func ReadUsage(cpu int) Usage {
	u := &cpuUsages[cpu]
	u.mu.Lock()
	defer u.mu.Unlock()
	tasks := int64(tscNanoseconds(atomic.LoadUint64(&cpuClocks[cpu].charged)))
	idle := u.idle.Load()
	now := TSC()
	if from := u.idleFrom.Load(); from != 0 && from < now {
		idle += now - from
	}
	var samples [sampleKinds]int64
	for i := range samples {
		samples[i] = u.samples[i].Load()
	}
	u.update(int64(tscNanoseconds(now-clockStart)), int64(tscNanoseconds(idle)), int64(tscNanoseconds(u.irq.Load())), samples)
	u.read.Tasks = tasks
	return u.read
}

// unattributed is how much time may wait for a sample, in nanoseconds.
const unattributed = 5 * TickNanoseconds

// update attributes the time since the last update until now to the kinds of the samples
// since then. Without a sample the time waits for the next one, up to a bound: then nothing was
// busy long enough for a tick, and the time counts as the kernel's, or the CPU has no tick. u.mu is
// held.
func (u *cpuUsage) update(now, idle, irq int64, samples [sampleKinds]int64) {
	r := &u.read
	r.Idle, r.IRQ = max(r.Idle, idle), max(r.IRQ, irq)
	time := now - r.Idle - r.IRQ - u.busy
	if time <= 0 {
		return
	}
	var parts [sampleKinds]int64
	sum := int64(0)
	for i := range parts {
		parts[i] = samples[i] - u.attended[i]
		sum += parts[i]
	}
	if sum == 0 {
		if time < unattributed {
			return
		}
		parts[u.mode.Load()], sum = 1, 1
	}
	user := int64(float64(time) * float64(parts[userSample]) / float64(sum))
	nice := int64(float64(time) * float64(parts[niceSample]) / float64(sum))
	r.User += user
	r.Nice += nice
	r.System += max(time-user-nice, 0)
	u.attended, u.busy = samples, r.User+r.Nice+r.System
}

// interruptCounts has the number of interrupts of each CPU by vector. Only the CPU itself
// changes its numbers, with interrupts off.
var interruptCounts [MaxCPUs][256]atomic.Uint64

// CountInterrupt counts an interrupt of this CPU. Package goos calls it, with interrupts off.
func CountInterrupt(vector uint64) { interruptCounts[thisCPU().id][vector&0xff].Add(1) }

// Interrupts returns how often a vector has interrupted a CPU. Any context.
func Interrupts(cpu, vector int) uint64 { return interruptCounts[cpu][vector].Load() }
