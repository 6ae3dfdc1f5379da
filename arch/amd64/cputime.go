package amd64

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"unsafe"
)

// CPUTime is the account of the CPU time of one task. The total is measured by the
// TSC. How much of it the program spent in user mode is sampled by the timer's tick
// (Linux: CONFIG_TICK_CPU_ACCOUNTING), because the fast path of a system call reads no
// clock.
//
// A tick must find the account of the goroutine that it interrupts, also in the kernel.
// So the account is the goroutine's profiler label, which the Go runtime keeps in its
// g. A goroutine that a task starts inherits the label; the field goroutine
// distinguishes it.
//
// The zero value is an empty account. It must not be copied.
type CPUTime struct {
	_         []struct{}     // the runtime's traceback prints a list of labels from here
	goroutine uint64         // address of the g of the task's goroutine
	flags     *atomic.Uint32 // the task's thread flags word
	ticked    atomic.Bool    // see TakeTick
	owner     any            // see SetOwner
	nice      atomic.Int32   // see SetNice

	total atomic.Int64 // nanoseconds

	// userSample and systemSample are the time that ticks have found in user mode and
	// in the kernel, in nanoseconds. Their sum differs from total.
	userSample, systemSample atomic.Int64

	cpu  atomic.Int32 // of the last crossing: see LeaveKernel
	mode atomic.Int32 // the kind of sample that the time since the last crossing belongs to

	mu     sync.Mutex
	exact  bool  // the time is divided at crossings
	marked int64 // total at the last crossing
	// user and system are the last results of Read, which never go back.
	user, system int64
}

// cpuClock is the state of a CPU's measurement.
type cpuClock struct {
	account uint64 // address of the CPUTime to which the CPU's time goes, or 0
	since   uint64 // TSC value at the last charge
	charged uint64 // TSC ticks that were charged to accounts
}

var cpuClocks [MaxCPUs]cpuClock

// labelOffset is the offset of the profiler label in the Go runtime's g, or 0.
var labelOffset uint64

// tickDuty is the duty that a tick in the kernel raises for the task that it finds.
var tickDuty uint32

// setGoroutineLabel sets the profiler label of the calling goroutine.
//
//go:linkname setGoroutineLabel runtime/pprof.runtime_setProfLabel
func setGoroutineLabel(label unsafe.Pointer)

// StartCPUTime prepares the measurement: it finds the offset of the profiler label in
// the runtime's g. duty is the bit of Frame.ThreadFlags that a tick in the kernel
// raises. It reports false if it does not find the label. It is called once, by the
// first goroutine, before the first task runs.
func StartCPUTime(duty uint32) bool {
	const size = 512 // of a g, at most
	probe := new(CPUTime)
	setGoroutineLabel(unsafe.Pointer(probe))
	defer setGoroutineLabel(nil)
	g := currentGoroutine()
	for o := uint64(0); o < size; o += 8 {
		if *(*uint64)(pointer(g + o)) == accountAddress(probe) {
			tickDuty, labelOffset = duty, o
			return true
		}
	}
	return false
}

//go:nosplit
func accountAddress(a *CPUTime) uint64 { return uint64(uintptr(unsafe.Pointer(a))) }

//go:nosplit
func accountAt(address uint64) *CPUTime { return (*CPUTime)(pointer(address)) }

// goroutineAt returns the address of the g that a runtime thread runs, from its FS
// base, or 0 while the thread has none.
//
//go:nosplit
func goroutineAt(fs uint64) uint64 {
	if fs == 0 {
		return 0
	}
	return *(*uint64)(pointer(fs - 8))
}

// accountOf returns the address of the account of the goroutine that a runtime thread
// runs, from its FS base. It returns 0 for the runtime's own code and for goroutines
// that are no task's.
//
//go:nosplit
func accountOf(fs uint64) uint64 {
	g := goroutineAt(fs)
	if g == 0 || labelOffset == 0 {
		return 0
	}
	a := *(*uint64)(pointer(g + labelOffset))
	if a == 0 || accountAt(a).goroutine != g {
		return 0
	}
	return a
}

//go:nosplit
func currentGoroutine() uint64 {
	interruptsOff()
	g := goroutineAt(thisCPU().kernelFS)
	interruptsOn()
	return g
}

// charge adds the time since the last charge to an account, unless it is 0.
//
//go:nosplit
func (k *cpuClock) charge(account, now uint64) {
	if account != 0 {
		accountAt(account).total.Add(int64(tscNanoseconds(now - k.since)))
		atomic.StoreUint64(&k.charged, k.charged+now-k.since)
	}
	atomic.StoreUint64(&k.since, now)
}

// tscNanoseconds converts a number of TSC ticks.
//
//go:nosplit
func tscNanoseconds(ticks uint64) uint64 {
	hi, lo := bits.Mul64(ticks, clockScale)
	return hi<<32 | lo>>32
}

// next charges the time since the last charge to the current account, and makes
// another one current.
//
//go:nosplit
func (k *cpuClock) next(account, now uint64) {
	k.charge(atomic.LoadUint64(&k.account), now)
	atomic.StoreUint64(&k.account, account)
}

// found charges the time since the last charge to the account that a tick has found, and
// makes it current. If the tick has found the runtime's own code, it charges the current
// account, and does not store it again: EndCPUTime on another CPU may have cleared it
// meanwhile, and the account may become garbage. It returns the account, or nil if there is
// none.
//
//go:nosplit
func (k *cpuClock) found(account, now uint64) *CPUTime {
	if account != 0 {
		k.charge(account, now)
		atomic.StoreUint64(&k.account, account)
		return accountAt(account)
	}
	current := atomic.LoadUint64(&k.account)
	k.charge(current, now)
	return accountAt(current)
}

// BeginCPUTime makes the calling goroutine the one whose time a measures. flags is its
// task's thread flags word.
func BeginCPUTime(a *CPUTime, flags *atomic.Uint32) {
	a.flags = flags
	a.goroutine = currentGoroutine()
	setGoroutineLabel(unsafe.Pointer(a))
	UpdateCPUTime()
}

// SetOwner sets what CurrentOwner returns on the account's goroutine. It is called before
// BeginCPUTime.
func (a *CPUTime) SetOwner(owner any) { a.owner = owner }

// CurrentOwner returns the owner of the account of the calling goroutine, or nil if it has
// none.
func CurrentOwner() any {
	interruptsOff()
	address := accountOf(thisCPU().kernelFS)
	interruptsOn()
	if address == 0 {
		return nil
	}
	return accountAt(address).owner // the goroutine keeps its own account alive
}

// EndCPUTime ends what BeginCPUTime began. After it a may become garbage. The caller is
// the same goroutine.
func EndCPUTime(a *CPUTime) {
	PauseCPUTime()
	setGoroutineLabel(nil)
	a.goroutine = 0
	// A CPU that ran the goroutine before may not have charged its time yet.
	for i := range cpuClocks {
		cpuClocks[i].forget(a)
	}
}

// forget makes no account current if a is.
func (k *cpuClock) forget(a *CPUTime) {
	atomic.CompareAndSwapUint64(&k.account, accountAddress(a), 0)
}

// UpdateCPUTime charges this CPU's time since the last charge to the current account,
// and makes the account of the calling goroutine current. Goroutines call it when they
// continue after a sleep, or before they read their account.
//
//go:nosplit
func UpdateCPUTime() {
	interruptsOff()
	c := thisCPU()
	cpuClocks[c.id].next(accountOf(c.kernelFS), TSC())
	interruptsOn()
}

// PauseCPUTime charges this CPU's time since the last charge to the account of the
// calling goroutine, and makes no account current. Goroutines call it before they
// sleep.
//
//go:nosplit
func PauseCPUTime() {
	interruptsOff()
	c := thisCPU()
	k := &cpuClocks[c.id]
	k.charge(accountOf(c.kernelFS), TSC())
	atomic.StoreUint64(&k.account, 0)
	interruptsOn()
}

// SwitchCPUTime charges this CPU's time, because it is about to run another runtime
// thread, whose frame is f. Package goos calls it, with interrupts off.
//
//go:nosplit
func SwitchCPUTime(f *Frame) { cpuClocks[thisCPU().id].next(accountOf(f.FSBase), TSC()) }

// PreemptCPUTime charges this CPU's time before the runtime preempts the goroutine that
// the current thread runs, whose frame is f. The CPU still has the FS base of the thread
// that it ran before, if goos has just switched. That thread's goroutine may have ended, and
// its memory may be gone. Package goos calls it, with interrupts off.
//
//go:nosplit
func PreemptCPUTime(f *Frame) { cpuClocks[thisCPU().id].found(accountOf(f.FSBase), TSC()) }

// Running reports whether the calling goroutine is the one whose time a measures.
func (a *CPUTime) Running() bool { return a.goroutine == currentGoroutine() }

// TakeTick reports whether a tick has found the task in the kernel, and clears that.
// Any goroutine may call it.
func (a *CPUTime) TakeTick() bool { return a.ticked.Load() && a.ticked.Swap(false) }

// Charge adds time that the caller has measured, in nanoseconds. Any goroutine may call
// it.
func (a *CPUTime) Charge(user, system int64) {
	a.userSample.Add(user)
	a.systemSample.Add(system)
	a.total.Add(user + system)
}

// Read returns the time that the task has spent in user mode and in the kernel, in
// nanoseconds. Neither goes back. While the task runs on another CPU, the last tick is
// missing. Any goroutine may call it.
func (a *CPUTime) Read() (user, system int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	userTime, systemTime := a.userSample.Load(), a.systemSample.Load()
	late := a.unread()
	total := a.total.Load() + late
	if a.exact {
		if rest := total - a.marked; a.mode.Load() == systemSample {
			systemTime += rest
		} else {
			userTime += rest
		}
	}
	return a.divide(total, userTime, systemTime)
}

// divide divides the total in the ratio of samples, and keeps the result. a.mu is held.
func (a *CPUTime) divide(total, userSample, systemSample int64) (user, system int64) {
	if a.user+a.system < total {
		a.user, a.system = splitTime(total, userSample, systemSample, a.user, a.system)
	}
	return a.user, a.system
}

// splitTime divides total in the ratio of the samples, so that neither part is less
// than the given one (Linux: cputime_adjust).
func splitTime(total, userSample, systemSample, leastUser, leastSystem int64) (user, system int64) {
	switch {
	case systemSample == 0:
		system = 0
	case userSample == 0:
		system = total
	default:
		hi, lo := bits.Mul64(uint64(systemSample), uint64(total))
		quotient, _ := bits.Div64(hi, lo, uint64(userSample)+uint64(systemSample))
		system = int64(quotient)
	}
	system = max(system, leastSystem)
	if user = total - system; user < leastUser {
		user, system = leastUser, total-leastUser
	}
	return user, system
}
