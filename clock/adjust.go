package clock

import "golang.org/x/sys/unix"

// NeedsPrivilege reports whether modes of struct timex change anything (adjtimex(2)).
func NeedsPrivilege(modes uint32) bool {
	if modes&adjAdjtime != 0 {
		return modes&adjReadOnly == 0 || modes&unix.ADJ_SETOFFSET != 0
	}
	return modes != 0
}

// CheckAdjust returns EINVAL for modes or values that adjtimex(2) refuses, or EPERM if the
// caller would need a privilege that it does not have (Linux: timekeeping_validate_timex).
func CheckAdjust(x *unix.Timex, privileged bool) error {
	if x.Modes&adjAdjtime != 0 && x.Modes&unix.ADJ_OFFSET == 0 {
		return unix.EINVAL
	}
	if NeedsPrivilege(x.Modes) && !privileged {
		return unix.EPERM
	}
	const least, most = nominalTick * 9 / 10, nominalTick * 11 / 10
	if x.Modes&(adjAdjtime|unix.ADJ_TICK) == unix.ADJ_TICK && (x.Tick < least || x.Tick > most) {
		return unix.EINVAL
	}
	if x.Modes&unix.ADJ_SETOFFSET != 0 && (x.Time.Usec < 0 || x.Time.Usec >= fractions(x.Modes&unix.ADJ_NANO != 0)) {
		return unix.EINVAL
	}
	const greatest = (1<<63 - 1) / frequencyScale
	if x.Modes&unix.ADJ_FREQUENCY != 0 && (x.Freq < -greatest || x.Freq > greatest) {
		return unix.EINVAL
	}
	return nil
}

// fractions returns the number of nanoseconds or microseconds in a second.
func fractions(nano bool) int64 {
	if nano {
		return Second
	}
	return Second / Microsecond
}

// Adjust is adjtimex(2): it obeys the modes of x and stores the state of the clock in x. x has
// passed CheckAdjust. It returns the state of the clock. It calls Changed, and the functions of
// Watch after a step. Error: EINVAL for a step to a time that cannot be set.
func (w *Wall) Adjust(x *unix.Timex) (state int, err error) {
	before := w.sets.Load()
	state, err = w.adjust(x)
	if w.sets.Load() != before {
		w.announce()
	}
	return state, err
}

func (w *Wall) adjust(x *unix.Timex) (state int, err error) {
	w.discipline.Lock()
	defer w.discipline.Unlock()
	w.advance()
	if x.Modes&unix.ADJ_SETOFFSET != 0 {
		if err := w.shift(x); err != nil {
			return 0, err
		}
	}
	n := &w.ntp
	now := w.Now()
	if x.Modes&adjAdjtime != 0 {
		old := n.adjust
		if x.Modes&adjReadOnly == 0 {
			n.adjust = x.Offset
		}
		x.Offset = old
	} else {
		n.setModes(x, now/Second)
		w.setTAI(x)
		x.Offset = n.offsetOf()
	}
	n.fill(x)
	x.Time = unix.Timeval{Sec: now / Second, Usec: now % Second}
	if n.status&unix.STA_NANO == 0 {
		x.Time.Usec /= Microsecond
	}
	x.Tai = int32(w.tai.Load() / Second)
	w.apply()
	return n.result(), nil
}

// shift is ADJ_SETOFFSET: it steps the clock by the time of x.
func (w *Wall) shift(x *unix.Timex) error {
	part := x.Time.Usec
	if x.Modes&unix.ADJ_NANO == 0 {
		part *= Microsecond
	}
	const most = (1<<63 - 1) / Second / 2
	if x.Time.Sec > most || x.Time.Sec < -most {
		return unix.EINVAL
	}
	by, now := x.Time.Sec*Second+part, w.Now()
	if by > latest-now {
		return unix.EINVAL
	}
	return w.step(now + by)
}

// setTAI is ADJ_TAI. The lock is held.
func (w *Wall) setTAI(x *unix.Timex) {
	if x.Modes&unix.ADJ_TAI == 0 || x.Constant < 0 || x.Constant > maxTAI {
		return
	}
	if next := x.Constant * Second; w.tai.Swap(next) != next {
		w.sets.Add(1)
		w.changed()
	}
}

// advance advances the discipline to the present. The lock is held.
func (w *Wall) advance() {
	w.ntp.start(w.Now() / Second)
	for w.ntp.second < w.Now()/Second {
		if leap := w.ntp.pass(w.Now() / Second); leap != 0 {
			w.offset.Add(leap * Second)
			w.tai.Add(-leap * Second)
			w.ntp.second += leap
			w.sets.Add(1)
			w.changed()
		}
	}
}

// apply makes the clocks obey the discipline. The lock is held.
func (w *Wall) apply() {
	if machine.setRatio(w.ntp.ratio()) {
		w.changed()
	}
}

// Advance advances the adjustment of the clock to the present. It must be called at each second
// of CLOCK_REALTIME while NextSecond is not 0. It calls Changed, and the functions of Watch
// after a leap second. It reports whether the rate of Monotonic has changed.
func (w *Wall) Advance() (changed bool) {
	before, rate := w.sets.Load(), CurrentRate()
	w.advanceAndApply()
	if w.sets.Load() != before {
		w.announce()
	}
	return CurrentRate() != rate
}

func (w *Wall) advanceAndApply() {
	w.discipline.Lock()
	defer w.discipline.Unlock()
	w.advance()
	w.apply()
}

// NextSecond returns the time until Advance must be called, in nanoseconds of Monotonic, or 0 if
// the next second is like this one.
func (w *Wall) NextSecond() int64 {
	w.discipline.Lock()
	defer w.discipline.Unlock()
	if !w.ntp.started || !w.ntp.isBusy() {
		return 0
	}
	return Second - w.Now()%Second
}
