package goos

import (
	"math/bits"

	"slowpath/arch/amd64"
)

// timerTicks is how many ticks of the local APIC's timer make 2^20 ns.
var timerTicks uint64

// Nanotime returns nanoseconds since boot. Any context.
func Nanotime() uint64 { return amd64.Nanotime() }

// Delay waits so many microseconds, spinning. Boot only.
func Delay(us uint64) {
	for end := Nanotime() + us*1000; Nanotime() < end; {
		amd64.Pause()
	}
}

// tickDue is when each CPU's tick is due, in nanoseconds since boot: the timer
// interrupts for other things too, which charge nobody.
var tickDue [amd64.MaxCPUs]uint64

// armTimer sets this CPU's timer to the next thing that time must bring: a
// sleeper's deadline, or the tick, if it does not idle. An idle CPU with no
// deadline to keep gets no interrupt at all.
func armTimer() {
	next := nextDeadline()
	idle := isIdle(me())
	if idle && next == never {
		amd64.SetTimer(0)
		return
	}
	now := Nanotime()
	if !idle {
		due := &tickDue[amd64.CPU()]
		if *due <= now { // it was charged, or the CPU idled
			*due = now + amd64.TickNanoseconds
		}
		next = min(next, *due)
	}
	const longest = 1 << 30 // ns; the timer has 32 bits
	wait := uint64(1)
	if next > now {
		wait = min(next-now, longest)
	}
	amd64.SetTimer(uint32(max(wait*timerTicks>>20, 1)))
}

// calibrate finds out how fast the TSC and the APIC timer run: the TSC from
// the CPU or the hypervisor where one says so, else against the PIT; the timer
// against the TSC.
func calibrate() {
	hz := amd64.TSCFrequency()
	if hz == 0 {
		startPIT()
		hz = measure(readPIT, pitHz)
	}
	amd64.SetClock(hz)
	const most, perSecond = 0xffffffff, 1 << 32
	amd64.SetTimer(most)
	// Had the timer so many counts in a second, measure's result would be hz:
	// what it is instead tells how many there are.
	counts := scale(hz, perSecond, measure(readTimer, perSecond))
	amd64.SetTimer(0)
	timerTicks = scale(counts<<timerShift, 1<<20, 1_000_000_000)
}

// scale returns v*by/over without losing the upper half of the product.
func scale(v, by, over uint64) uint64 {
	hi, lo := bits.Mul64(v, by)
	q, _ := bits.Div64(hi, lo, over)
	return q
}

// counter is something that counts down, by at most 16 bits' worth between two
// looks, and how often a second is known.
type counter func() uint16

// measure returns the TSC's ticks in a second from a counter with so many. The
// machine may be an emulated one that its host stops at any moment, so it
// takes the median of some rounds.
func measure(c counter, perSecond uint64) uint64 {
	a, b, d := measureOnce(c, perSecond), measureOnce(c, perSecond), measureOnce(c, perSecond)
	return max(min(a, b), min(max(a, b), d))
}

func measureOnce(c counter, perSecond uint64) uint64 {
	const span = 2400 // counts: 2 ms of either counter
	from, start := look(c)
	to, end := from, start
	for from-to < span {
		to, end = look(c)
	}
	return scale(end-start, perSecond, uint64(from-to))
}

// look reads the counter, and the TSC at the same moment: it looks a few times
// and takes the reading during which least time passed.
func look(c counter) (count uint16, tsc uint64) {
	const looks = 4
	least := ^uint64(0)
	for range looks {
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

// timerShift makes the APIC timer's count fit a counter.
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

// startPIT lets channel 0, which every machine has, count round and round.
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
