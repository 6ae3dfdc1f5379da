package goos

import "slowpath/arch/amd64"

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

// armTimer sets this CPU's timer to the next thing that time must bring: a
// sleeper's deadline, or the tick, if it does not idle. An idle CPU with no
// deadline to keep gets no interrupt at all.
func armTimer() {
	next := nextDeadline()
	if !isIdle(me()) {
		if tick := Nanotime() + amd64.TickNanoseconds; next == 0 || tick < next {
			next = tick
		}
	}
	if next == 0 {
		amd64.SetTimer(0)
		return
	}
	const longest = 1 << 30 // ns; the timer has 32 bits
	wait := uint64(1)
	if now := Nanotime(); next > now {
		wait = min(next-now, longest)
	}
	amd64.SetTimer(uint32(max(wait*timerTicks>>20, 1)))
}

// calibrate finds out how fast the TSC and the APIC timer run: the TSC from
// the CPU itself where it says so, else against the PIT; the timer against the
// TSC.
func calibrate() {
	hz := amd64.TSCFrequency()
	if hz == 0 {
		hz = measureTSC()
	}
	amd64.SetClock(hz)
	const span = 1 << 20 // ns
	const most = 0xffffffff
	amd64.SetTimer(most)
	for end := Nanotime() + span; Nanotime() < end; {
		amd64.Pause()
	}
	timerTicks = uint64(most - amd64.TimerLeft())
	amd64.SetTimer(0)
}

// The programmable interval timer (Intel 8254).
const (
	pitHz      = 1193182
	pitChannel = 0x40
	pitCommand = 0x43
	pitMode0   = 0x30 // channel 0, both bytes, interrupt on terminal count
	pitLatch   = 0x00
)

// measureTSC counts TSC ticks while channel 0 counts down. It reads the count
// back, because not every machine has the gate of channel 2.
func measureTSC() uint64 {
	const span = pitHz / 250 // 4 ms
	amd64.Out8(pitCommand, pitMode0)
	amd64.Out8(pitChannel, 0xff)
	amd64.Out8(pitChannel, 0xff)
	c0 := readPIT()
	t0 := amd64.TSC()
	c1 := c0
	for c0-c1 < span {
		c1 = readPIT()
	}
	t1 := amd64.TSC()
	return (t1 - t0) * pitHz / uint64(c0-c1)
}

func readPIT() uint16 {
	amd64.Out8(pitCommand, pitLatch)
	low := amd64.In8(pitChannel)
	return uint16(low) | uint16(amd64.In8(pitChannel))<<8
}
