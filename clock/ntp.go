package clock

import (
	"math"

	"golang.org/x/sys/unix"
)

// The parameters of the clock discipline (Linux: include/linux/timex.h).
const (
	shiftPLL      = 2 // of the phase-locked loop: gain of the time constant
	shiftFLL      = 2 // of the frequency-locked loop
	scaleShift    = 32
	ticksInSecond = 250 // Linux rounds offsets to ticks
	minimumFLL    = 256 // seconds between updates below which there is no frequency-locked loop
	maximumPLL    = 2048
	maxConstant   = 10
	maxPhase      = 500_000_000 // ns
	phaseLimit    = 16_000_000  // µs: errors above it mean that the clock is not synchronised
	maxFrequency  = 500_000 << scaleShift
	errorGrowth   = 500 // µs of maxerror in a second
	maxSlew       = 500 // µs of a single-shot adjustment in a second
	nominalTick   = 10_000
	ticksOfUser   = 100
	maxTAI        = 100_000 // s
	// frequencyScale converts the unit of struct timex, 2^-16 ppm, to 2^-32 ns/s.
	frequencyScale = 1000 << (scaleShift - 16)
)

// The modes of adjtime(3), which struct timex has as bits of its own.
const (
	adjAdjtime  = 0x8000
	adjReadOnly = 0x2000
	readOnly    = unix.STA_PPSSIGNAL | unix.STA_PPSJITTER | unix.STA_PPSWANDER | unix.STA_PPSERROR |
		unix.STA_CLOCKERR | unix.STA_NANO | unix.STA_MODE | unix.STA_CLK
)

// The states of the clock for leap seconds, the result of adjtimex(2).
const (
	timeOK int = iota
	timeInsert
	timeDelete
	timeInLeap
	timeWait
	timeError
)

// never is a second that does not come.
const never = math.MaxInt64

// ntp is the clock discipline of adjtimex(2), as RFC 5905 describes it and Linux implements it
// (kernel/time/ntp.c). Wall.discipline guards it. The zero value is that of a machine that has
// just booted; start completes it.
type ntp struct {
	started   bool
	second    int64 // of CLOCK_REALTIME, up to which the discipline has advanced
	status    int32
	state     int
	tick      int64 // µs
	frequency int64 // ns/s, times 2^32
	offset    int64 // phase that is still to be corrected: ns/ticksInSecond, times 2^32
	constant  int64
	maxError  int64 // µs
	estError  int64 // µs
	reference int64 // second of the last update of the offset
	adjust    int64 // rest of a single-shot adjustment, µs
	extra     int64 // correction of the current second: 2^-32 ns in a tick
	leapAt    int64 // second of the next leap second
}

func (n *ntp) start(second int64) {
	if n.started {
		return
	}
	*n = ntp{started: true, second: second, status: unix.STA_UNSYNC, tick: nominalTick, constant: 2,
		maxError: phaseLimit, estError: phaseLimit, leapAt: never}
}

// clear forgets what was to be corrected, after the clock was set (Linux: ntp_clear).
func (n *ntp) clear() {
	n.adjust, n.offset, n.extra, n.leapAt = 0, 0, 0, never
	n.status |= unix.STA_UNSYNC
	n.maxError, n.estError = phaseLimit, phaseLimit
}

// ratio returns nanoseconds of Monotonic in a nanosecond of Raw, times 2^32.
func (n *ntp) ratio() uint64 {
	second := n.tick*1000*ticksOfUser - Second // ns that the tick adds
	adjustment := second<<scaleShift + n.frequency + n.extra*ticksInSecond
	return uint64(int64(one) + adjustment/Second)
}

// shiftRight is a shift that rounds towards zero.
func shiftRight(v int64, by int64) int64 {
	if v < 0 {
		return -(-v >> by)
	}
	return v >> by
}

// chunk returns the part of the offset that the next second corrects.
func (n *ntp) chunk() int64 { return shiftRight(n.offset, shiftPLL+n.constant) }

// isBusy reports whether the next second differs from this one, so that somebody must call
// advance at its beginning.
func (n *ntp) isBusy() bool {
	return n.extra != 0 || n.adjust != 0 || n.chunk() != 0 || n.state != timeOK || n.status&(unix.STA_INS|unix.STA_DEL) != 0
}

// pass advances to a second of CLOCK_REALTIME. It returns the leap second that comes there: -1
// for one that was inserted, 1 for one that was deleted, or 0 (Linux: second_overflow).
func (n *ntp) pass(second int64) (leap int64) {
	if !n.isBusy() {
		n.grow(second - n.second)
		n.second = second
		return 0
	}
	for n.second < second && leap == 0 {
		n.second++
		leap = n.passLeap(n.second)
		n.grow(1)
		n.correct()
	}
	return leap
}

// grow increases the maximum error for a number of seconds.
func (n *ntp) grow(seconds int64) {
	if seconds <= 0 {
		return
	}
	if n.maxError += errorGrowth * min(seconds, phaseLimit); n.maxError > phaseLimit {
		n.maxError = phaseLimit
		n.status |= unix.STA_UNSYNC
	}
}

// correct determines what the second that begins corrects.
func (n *ntp) correct() {
	n.extra = n.chunk()
	n.offset -= n.extra
	slew := max(min(n.adjust, maxSlew), -maxSlew)
	n.adjust -= slew
	n.extra += slew * 1000 / ticksInSecond << scaleShift
}

// passLeap advances the state of leap seconds.
func (n *ntp) passLeap(second int64) (leap int64) {
	const day = 86400
	switch n.state {
	case timeOK:
		switch {
		case n.status&unix.STA_INS != 0:
			n.state, n.leapAt = timeInsert, second+day-second%day
		case n.status&unix.STA_DEL != 0:
			n.state, n.leapAt = timeDelete, second+day-(second+1)%day
		}
	case timeInsert:
		switch {
		case n.status&unix.STA_INS == 0:
			n.state, n.leapAt = timeOK, never
		case second == n.leapAt:
			n.state, leap = timeInLeap, -1
		}
	case timeDelete:
		switch {
		case n.status&unix.STA_DEL == 0:
			n.state, n.leapAt = timeOK, never
		case second == n.leapAt:
			n.state, n.leapAt, leap = timeWait, never, 1
		}
	case timeInLeap:
		n.state, n.leapAt = timeWait, never
	case timeWait:
		if n.status&(unix.STA_INS|unix.STA_DEL) == 0 {
			n.state = timeOK
		}
	}
	return leap
}

// setStatus is ADJ_STATUS.
func (n *ntp) setStatus(status int32, second int64) {
	if n.status&unix.STA_PLL != 0 && status&unix.STA_PLL == 0 {
		n.state, n.status, n.leapAt = timeOK, unix.STA_UNSYNC, never
	}
	if n.status&unix.STA_PLL == 0 && status&unix.STA_PLL != 0 {
		n.reference = second
	}
	n.status = n.status&readOnly | status&^readOnly
}

// setOffset is ADJ_OFFSET: it begins to correct a phase, and changes the frequency by the
// phase-locked or the frequency-locked loop.
func (n *ntp) setOffset(offset, second int64) {
	if n.status&unix.STA_PLL == 0 {
		return
	}
	if n.status&unix.STA_NANO == 0 {
		offset = max(min(offset, Second/1000), -Second/1000) * 1000
	}
	offset = max(min(offset, maxPhase), -maxPhase)
	since := second - n.reference
	if n.status&unix.STA_FREQHOLD != 0 {
		since = 0
	}
	n.reference = second
	change := n.lockFrequency(offset, since)
	since = min(since, 1<<(shiftPLL+1+n.constant))
	change += offset * since << (scaleShift - 2*(shiftPLL+2+n.constant))
	n.frequency = clampFrequency(n.frequency + change)
	n.offset = offset << scaleShift / ticksInSecond
}

// lockFrequency returns the change of the frequency by the frequency-locked loop.
func (n *ntp) lockFrequency(offset, since int64) int64 {
	n.status &^= unix.STA_MODE
	if since < minimumFLL || n.status&unix.STA_FLL == 0 && since <= maximumPLL {
		return 0
	}
	n.status |= unix.STA_MODE
	return offset << (scaleShift - shiftFLL) / since
}

func clampFrequency(f int64) int64 { return max(min(f, maxFrequency), -maxFrequency) }

// setConstant is ADJ_TIMECONST.
func (n *ntp) setConstant(constant int64) {
	n.constant = max(min(constant, maxConstant), 0)
	if n.status&unix.STA_NANO == 0 {
		n.constant = min(n.constant+4, maxConstant)
	}
}

// setModes obeys the modes of x but ADJ_SETOFFSET and ADJ_TAI.
func (n *ntp) setModes(x *unix.Timex, second int64) {
	limited := func(v int64) int64 { return max(min(v, phaseLimit), 0) }
	for _, mode := range [...]struct {
		bit uint32
		set func()
	}{
		{unix.ADJ_STATUS, func() { n.setStatus(x.Status, second) }},
		{unix.ADJ_NANO, func() { n.status |= unix.STA_NANO }},
		{unix.ADJ_MICRO, func() { n.status &^= unix.STA_NANO }},
		{unix.ADJ_FREQUENCY, func() { n.frequency = clampFrequency(x.Freq * frequencyScale) }},
		{unix.ADJ_MAXERROR, func() { n.maxError = limited(x.Maxerror) }},
		{unix.ADJ_ESTERROR, func() { n.estError = limited(x.Esterror) }},
		{unix.ADJ_TIMECONST, func() { n.setConstant(x.Constant) }},
		{unix.ADJ_OFFSET, func() { n.setOffset(x.Offset, second) }},
		{unix.ADJ_TICK, func() { n.tick = x.Tick }},
	} {
		if x.Modes&mode.bit != 0 {
			mode.set()
		}
	}
}

// fill stores the state in x.
func (n *ntp) fill(x *unix.Timex) {
	x.Freq = frequencyOf(n.frequency)
	x.Maxerror, x.Esterror, x.Status, x.Constant = n.maxError, n.estError, n.status, n.constant
	x.Precision, x.Tolerance, x.Tick = 1, maxFrequency/frequencyScale, n.tick
	x.Ppsfreq, x.Jitter, x.Shift, x.Stabil = 0, 0, 0, 0
	x.Jitcnt, x.Calcnt, x.Errcnt, x.Stbcnt = 0, 0, 0, 0
}

// frequencyOf converts a frequency to the unit of struct timex, rounded as on Linux.
func frequencyOf(frequency int64) int64 {
	const shift = 19
	const inverse = 1<<(shift+scaleShift)/frequencyScale + 1
	return shiftRight(frequency>>shift*inverse, scaleShift)
}

// offsetOf returns the phase that is still to be corrected, in the unit of the status.
func (n *ntp) offsetOf() int64 {
	offset := shiftRight(n.offset*ticksInSecond, scaleShift)
	if n.status&unix.STA_NANO == 0 {
		offset /= 1000
	}
	return offset
}

// result is the result of adjtimex(2).
func (n *ntp) result() int {
	if n.status&(unix.STA_UNSYNC|unix.STA_CLOCKERR) != 0 {
		return timeError
	}
	return n.state
}
