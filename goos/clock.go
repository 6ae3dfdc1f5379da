package goos

import (
	"math/bits"

	"slowpath/arch/amd64"
)

// timerTicks is the number of ticks of the local APIC's timer in 2^20 ns.
var timerTicks uint64

// Nanotime returns the nanoseconds since boot. Any context.
func Nanotime() uint64 { return amd64.Nanotime() }

// Delay spins for the given number of microseconds. Boot only.
func Delay(us uint64) {
	for end := Nanotime() + us*1000; Nanotime() < end; {
		amd64.Pause()
	}
}

// tickDue is when each CPU's next tick is due, in nanoseconds since boot. The
// timer also interrupts for sleepers' deadlines, which are no ticks.
var tickDue [amd64.MaxCPUs]uint64

// sampleDue is when each CPU must be interrupted to sample its program, in nanoseconds
// since boot, while there is a sample interval.
var sampleDue [amd64.MaxCPUs]uint64

// sampleIsDue reports whether a timer interrupt of this CPU samples its program.
func sampleIsDue(now uint64) bool {
	return amd64.SampleInterval() != 0 && now >= sampleDue[amd64.CPU()]
}

// tickIsDue reports whether a timer interrupt of this CPU is a tick.
func tickIsDue(now uint64) bool {
	c := amd64.CPU()
	return now >= tickDue[c] && amd64.HasTick(c)
}

// timerIsDue reports whether a timer of this CPU has expired.
func timerIsDue(now uint64) bool { return hasPassed(amd64.TimerDeadline(amd64.CPU()), now) }

// sliceIsDue reports whether the time slice of this CPU's task has ended.
func sliceIsDue(now uint64) bool { return hasPassed(amd64.SliceDeadline(amd64.CPU()), now) }

// hasPassed reports whether a deadline, 0 for none, has passed.
func hasPassed(deadline, now uint64) bool { return deadline != 0 && deadline <= now }

// againAfter is when the timer interrupts again for a deadline that it has interrupted for, in
// nanoseconds: the interrupt may have found the kernel before it looked at the deadline.
const againAfter = 200_000

// seen are the deadlines that an interrupt of a CPU has found passed, 0 for none.
type seen struct{ timer, slice uint64 }

// seenDeadlines are those of the last timer interrupt of each CPU.
var seenDeadlines [amd64.MaxCPUs]seen

// look notes which of the CPU's deadlines have passed. A timer interrupt calls it.
func (s *seen) look(now uint64) {
	s.timer = ifPassed(amd64.TimerDeadline(amd64.CPU()), now)
	s.slice = ifPassed(amd64.SliceDeadline(amd64.CPU()), now)
}

// ifPassed returns a deadline that has passed, else 0.
func ifPassed(deadline, now uint64) uint64 {
	if deadline <= now {
		return deadline
	}
	return 0
}

// until returns when the timer must interrupt for a deadline, 0 for none. If an interrupt has
// seen the deadline, the timer interrupts again later. Otherwise it interrupts at once if the
// deadline has passed: the deadline may pass between an early interrupt and this call.
func until(deadline, now, seen uint64) uint64 {
	switch {
	case deadline == 0:
		return never
	case deadline <= now && deadline == seen:
		return now + againAfter
	}
	return deadline
}

// giveWayDue is when each CPU's thread must let another run that is on the run queue, in
// nanoseconds since boot, or 0.
var giveWayDue [amd64.MaxCPUs]uint64

// giveWayAfter is how long a thread runs while another waits that may run on its CPU, in
// nanoseconds. The kernel's own goroutines and the garbage collector run beside programs so.
const giveWayAfter = 500_000

// armTimer sets this CPU's timer to the earliest of the next sleeper's deadline, the CPU's
// earliest timer and, unless the CPU is idle, the next tick, the end of the time slice and the
// time when the thread must give way. An idle CPU has no tick. A CPU of nohz_full= leaves the
// sleepers to the others, and has no tick either.
func armTimer() {
	next := never
	noHZ := amd64.IsNoHZ(amd64.CPU())
	if !noHZ {
		next = nextDeadline(amd64.CPU())
	}
	idle := isIdle(me())
	timer := amd64.TimerDeadline(amd64.CPU())
	if idle && next == never && timer == 0 {
		amd64.SetTimer(0)
		return
	}
	now := Nanotime()
	seen := &seenDeadlines[amd64.CPU()]
	next = min(next, until(timer, now, seen.timer))
	if !idle {
		due := &tickDue[amd64.CPU()]
		if *due <= now { // the tick was handled, or the CPU was idle
			*due = now + amd64.TickNanoseconds
		}
		if amd64.HasTick(amd64.CPU()) {
			next = min(next, *due)
		}
		next = min(next, until(amd64.SliceDeadline(amd64.CPU()), now, seen.slice))
		if due := &giveWayDue[amd64.CPU()]; queueHead == none || noHZ && !anyWaitsFor(amd64.CPU()) {
			*due = 0
		} else {
			if *due == 0 {
				*due = now + giveWayAfter
			}
			next = min(next, *due)
		}
		if interval := amd64.SampleInterval(); interval != 0 {
			due := &sampleDue[amd64.CPU()]
			if *due <= now || *due > now+interval {
				*due = now + interval
			}
			next = min(next, *due)
		}
	}
	if next == never {
		amd64.SetTimer(0)
		return
	}
	amd64.SetTimer(timerCount(next, now))
}

// timerCount returns the timer's ticks until a time, at least 1.
func timerCount(next, now uint64) uint32 {
	const longest = 1 << 30 // ns; the timer has 32 bits
	wait := uint64(1)
	if next > now {
		wait = min(next-now, longest)
	}
	return uint32(wait*timerTicks>>20 + 1) // rounded up, because an early interrupt is in vain
}

// calibrate determines the frequencies of the TSC and the APIC timer. The CPU or
// the hypervisor may report that of the TSC; otherwise it is measured against the
// PIT. The timer is measured against the TSC.
func calibrate() {
	hz := amd64.TSCFrequency()
	if hz == 0 {
		startPIT()
		hz = measure(readPIT, pitHz)
	}
	amd64.SetClock(hz)
	const most = 0xffffffff
	amd64.SetTimer(most)
	// With f timer counts per second, n counts take n*hz/f TSC ticks. measure
	// returns ticks*assumed/n for an assumed f, which is hz*assumed/f. So f =
	// hz*assumed/measured.
	const assumed = 1 << 32 // counts per second
	counts := scale(hz, assumed, measure(readTimer, assumed))
	amd64.SetTimer(0)
	const second = 1_000_000_000 // ns
	timerTicks = scale(counts<<timerShift, 1<<20, second)
}

// scale returns v*by/over, with a 128-bit product.
func scale(v, by, over uint64) uint64 {
	hi, lo := bits.Mul64(v, by)
	q, _ := bits.Div64(hi, lo, over)
	return q
}

// counter reads a 16-bit counter that counts down with a constant frequency. It
// must not wrap around between two reads.
type counter func() uint16

// measure returns the TSC ticks per second, from a counter with perSecond counts
// per second. It returns the median of three rounds, because the host may stop an
// emulated machine at any moment.
func measure(c counter, perSecond uint64) uint64 {
	a, b, d := measureOnce(c, perSecond), measureOnce(c, perSecond), measureOnce(c, perSecond)
	return max(min(a, b), min(max(a, b), d))
}

func measureOnce(c counter, perSecond uint64) uint64 {
	const span = 2400 // counts: 2 ms of either counter
	from, start := readWithTSC(c)
	to, end := from, start
	for from-to < span {
		to, end = readWithTSC(c)
	}
	return scale(end-start, perSecond, uint64(from-to))
}

// readWithTSC reads the counter and the TSC at nearly the same moment. It reads a
// few times and returns the reading that took the least time.
func readWithTSC(c counter) (count uint16, tsc uint64) {
	const reads = 4
	least := ^uint64(0)
	for range reads {
		before := amd64.TSC()
		n := c()
		after := amd64.TSC()
		if took := after - before; took < least {
			least = took
			count, tsc = n, before+took/2
		}
	}
	return count, tsc
}

// timerShift scales the APIC timer's 32-bit count down to a counter's 16 bits.
const timerShift = 10

func readTimer() uint16 { return uint16(amd64.TimerLeft() >> timerShift) }

// The programmable interval timer (Intel 8254).
const (
	pitHz      = 1193182
	pitChannel = 0x40
	pitCommand = 0x43
	pitMode2   = 0x34 // channel 0, both bytes, rate generator
	pitLatch   = 0x00
)

// startPIT makes channel 0 count down from 65536, again and again.
func startPIT() {
	amd64.Out8(pitCommand, pitMode2)
	amd64.Out8(pitChannel, 0) // 65536
	amd64.Out8(pitChannel, 0)
}

// readPIT latches and reads the count of channel 0.
func readPIT() uint16 {
	amd64.Out8(pitCommand, pitLatch)
	low := amd64.In8(pitChannel)
	return uint16(low) | uint16(amd64.In8(pitChannel))<<8
}
