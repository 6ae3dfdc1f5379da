package clock

import (
	"testing"

	"golang.org/x/sys/unix"
)

// restoreRate makes the machine's clock run at its own rate after the test.
func restoreRate(t *testing.T) {
	t.Cleanup(func() { machine.setRatio(one) })
}

func mustAdjust(t *testing.T, w *Wall, x unix.Timex) (unix.Timex, int) {
	t.Helper()
	if err := CheckAdjust(&x, true); err != nil {
		t.Fatal(err)
	}
	state, err := w.Adjust(&x)
	if err != nil {
		t.Fatal(err)
	}
	return x, state
}

func TestRateConvertsBothWays(t *testing.T) {
	for _, r := range []Rate{
		{Ratio: one}, {Raw: 5_000_000_000, Mono: 4_999_000_000, Ratio: one + one/2000}, {Raw: 7, Mono: 1 << 40, Ratio: one - one/10}, {Raw: 1e15, Mono: 9e14, Ratio: one + one/10},
	} {
		for mono := r.Mono; mono < 1<<62; mono += 1 + (mono-r.Mono)/3 {
			raw := r.rawAt(mono)
			if r.at(raw) < mono || raw > r.Raw && r.at(raw-1) >= mono {
				t.Fatalf("%+v: the clock is %d at %d and %d before; want the first moment at which it is at least %d", r, r.at(raw), raw, r.at(raw-1), mono)
			}
		}
		if got := r.rawAt(1<<63 - 1); got < 1<<62 {
			t.Errorf("%+v: the end of time is at %d", r, got)
		}
	}
}

func TestFrequencyChangesMonotonicAndNotRaw(t *testing.T) {
	restoreRate(t)
	var w Wall
	const ppm = 1 << 16
	for _, c := range []struct {
		frequency, tick int64
		want            uint64
	}{
		{0, 10000, one}, {100 * ppm, 10000, one + 429496}, {-500 * ppm, 10000, one - 2147483}, {900 * ppm, 10000, one + 2147483}, {0, 11000, one + one/10},
	} {
		before, raw := Monotonic(), Raw()
		x, _ := mustAdjust(t, &w, unix.Timex{Modes: unix.ADJ_FREQUENCY | unix.ADJ_TICK, Freq: c.frequency, Tick: c.tick})
		if got := CurrentRate().Ratio; got != c.want {
			t.Errorf("the frequency %d and the tick %d give the ratio %d, want %d", c.frequency, c.tick, got, c.want)
		}
		if want := max(min(c.frequency, 500*ppm), -500*ppm); x.Freq != want || x.Tick != c.tick {
			t.Errorf("adjtimex returns frequency %d and tick %d", x.Freq, x.Tick)
		}
		if Monotonic() < before || Raw() < raw {
			t.Error("a clock went back")
		}
	}
	if w.NextSecond() != 0 {
		t.Error("a clock with a constant rate asks to be called each second")
	}
}

// TestOffsetIsSlewedByPhaseLockedLoop passes the seconds that correct an offset. The figures are
// those of Linux's formulas.
func TestOffsetIsSlewedByPhaseLockedLoop(t *testing.T) {
	var n ntp
	n.start(1000)
	n.setModes(&unix.Timex{Modes: unix.ADJ_STATUS | unix.ADJ_NANO | unix.ADJ_TIMECONST, Status: unix.STA_PLL}, 1000)
	n.setModes(&unix.Timex{Modes: unix.ADJ_OFFSET, Offset: 4_000_000}, 1004)
	if got, want := n.frequency, int64(4_000_000*4)<<24; got != want {
		t.Errorf("the frequency is %d, want %d", got, want)
	}
	before := n.ratio()
	n.frequency = 0
	left := []int64{3_000_000, 2_250_000, 1_687_500}
	n.second = 1004
	for i, want := range left {
		n.pass(1005 + int64(i))
		if got := n.offsetOf(); got < want-2 || got > want {
			t.Errorf("after %d seconds the offset is %d, want %d", i+1, got, want)
		}
	}
	if n.ratio() <= one || before <= one {
		t.Error("a positive offset does not make the clock faster")
	}
	n.pass(3000)
	if n.pass(3001); n.isBusy() || n.ratio() != one {
		t.Errorf("the offset %d never ends", n.offset)
	}
}

func TestSingleShotAdjustmentEnds(t *testing.T) {
	var n ntp
	n.start(0)
	n.adjust = -1200
	var slewed int64
	for second := int64(1); second <= 4; second++ {
		n.pass(second)
		slewed += n.extra * ticksInSecond >> scaleShift
	}
	if slewed != -1_200_000 || n.isBusy() {
		t.Errorf("the clock was slewed by %d ns, and %d µs are left", slewed, n.adjust)
	}
}

func TestErrorGrowsUntilClockIsNotSynchronised(t *testing.T) {
	var n ntp
	n.start(0)
	n.setModes(&unix.Timex{Modes: unix.ADJ_STATUS | unix.ADJ_MAXERROR}, 0)
	n.pass(31_999)
	if n.maxError != 15_999_500 || n.result() != timeOK {
		t.Errorf("the error is %d µs, and the state %d", n.maxError, n.result())
	}
	n.pass(32_001)
	if n.maxError != phaseLimit || n.result() != timeError || n.status&unix.STA_UNSYNC == 0 {
		t.Errorf("after a second more the error is %d µs, and the state %d", n.maxError, n.result())
	}
}

func TestLeapSecondIsInsertedAndDeletedAtMidnight(t *testing.T) {
	const day = 86400
	for _, c := range []struct {
		status int32
		at     int64
		leap   int64
		states []int
	}{
		{unix.STA_INS, day, -1, []int{timeInsert, timeInLeap, timeWait}},
		{unix.STA_DEL, day - 1, 1, []int{timeDelete, timeWait, timeWait}},
	} {
		var n ntp
		n.start(day - 10)
		n.setStatus(c.status, day-10)
		if leap := n.pass(c.at - 1); leap != 0 || n.state != c.states[0] {
			t.Errorf("before midnight the state is %d", n.state)
		}
		if leap := n.pass(c.at); leap != c.leap || n.state != c.states[1] {
			t.Errorf("the leap is %d at %d, want %d; the state is %d", leap, c.at, c.leap, n.state)
		}
		n.pass(c.at + 1)
		if n.state != c.states[2] {
			t.Errorf("then the state is %d, want %d", n.state, c.states[2])
		}
		n.setStatus(0, c.at+1)
		if n.pass(c.at + 2); n.state != timeOK || n.isBusy() {
			t.Errorf("at the end the state is %d", n.state)
		}
	}
}

func TestStepMovesClockAndForgetsAdjustment(t *testing.T) {
	restoreRate(t)
	var w Wall
	watched, changes := 0, 0
	defer w.Watch(func() { watched++ })()
	w.Changed = func(Parameters) { changes++ }
	mustAdjust(t, &w, unix.Timex{Modes: unix.ADJ_OFFSET_SINGLESHOT, Offset: 100_000})
	before := w.Now()
	mustAdjust(t, &w, unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO, Time: unix.Timeval{Sec: 99, Usec: 500_000_000}})
	if moved := w.Now() - before; moved < 99_500_000_000 || moved > 109_000_000_000 {
		t.Errorf("the clock has moved by %d", moved)
	}
	if x, state := mustAdjust(t, &w, unix.Timex{Modes: unix.ADJ_OFFSET_SS_READ}); x.Offset != 0 || state != timeError || watched != 1 || changes == 0 {
		t.Errorf("%d µs are left, state %d, %d watchers and %d changes", x.Offset, state, watched, changes)
	}
	mustAdjust(t, &w, unix.Timex{Modes: unix.ADJ_TAI, Constant: 37})
	if tai := w.TAI() - w.Now(); tai < 36_000_000_000 || tai > 37_000_000_000 || watched != 2 {
		t.Errorf("TAI is ahead by %d, after %d calls", tai, watched)
	}
	for _, to := range []int64{0, -1, 1<<63 - 1} {
		if w.Set(to) != unix.EINVAL {
			t.Errorf("the clock can be set to %d", to)
		}
	}
	if err := w.Set(2_000_000_000 * Second); err != nil || w.Now()/Second != 2_000_000_000 {
		t.Errorf("the clock is %d, %v", w.Now(), err)
	}
}

func TestAdjustRefusesWhatLinuxRefuses(t *testing.T) {
	for _, c := range []struct {
		x          unix.Timex
		privileged bool
		want       error
	}{
		{unix.Timex{}, false, nil},
		{unix.Timex{Modes: unix.ADJ_OFFSET_SS_READ}, false, nil},
		{unix.Timex{Modes: unix.ADJ_OFFSET_SINGLESHOT}, false, unix.EPERM},
		{unix.Timex{Modes: unix.ADJ_OFFSET_SINGLESHOT}, true, nil},
		{unix.Timex{Modes: adjAdjtime}, true, unix.EINVAL},
		{unix.Timex{Modes: adjAdjtime}, false, unix.EINVAL},
		{unix.Timex{Modes: unix.ADJ_ESTERROR}, false, unix.EPERM},
		{unix.Timex{Modes: unix.ADJ_TICK, Tick: 8999}, true, unix.EINVAL},
		{unix.Timex{Modes: unix.ADJ_TICK, Tick: 11001}, true, unix.EINVAL},
		{unix.Timex{Modes: unix.ADJ_TICK, Tick: 11000}, true, nil},
		{unix.Timex{Modes: unix.ADJ_SETOFFSET, Time: unix.Timeval{Usec: 1_000_000}}, true, unix.EINVAL},
		{unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO, Time: unix.Timeval{Usec: 1_000_000}}, true, nil},
		{unix.Timex{Modes: unix.ADJ_SETOFFSET, Time: unix.Timeval{Usec: -1}}, true, unix.EINVAL},
		{unix.Timex{Modes: unix.ADJ_FREQUENCY, Freq: 1 << 62}, true, unix.EINVAL},
	} {
		if got := CheckAdjust(&c.x, c.privileged); got != c.want {
			t.Errorf("%+v with privilege %v: %v, want %v", c.x, c.privileged, got, c.want)
		}
	}
}

// FuzzAdjust looks for values that panic, or that make the clock go back or run away.
func FuzzAdjust(f *testing.F) {
	f.Add(uint32(unix.ADJ_OFFSET|unix.ADJ_STATUS), int64(1)<<62, int64(0), int32(1), int64(7), int64(1), int64(1), int64(10000))
	f.Fuzz(func(t *testing.T, modes uint32, offset, freq int64, status int32, constant, sec, usec, tick int64) {
		restoreRate(t)
		var w Wall
		x := unix.Timex{Modes: modes, Offset: offset, Freq: freq, Status: status, Constant: constant, Tick: tick, Time: unix.Timeval{Sec: sec, Usec: usec}}
		if CheckAdjust(&x, true) != nil {
			return
		}
		before := Monotonic()
		w.Adjust(&x)
		w.ntp.pass(w.ntp.second + 100)
		if ratio := w.ntp.ratio(); ratio < one*8/10 || ratio > one*12/10 {
			t.Errorf("the ratio is %d", ratio)
		}
		if Monotonic() < before {
			t.Error("the clock went back")
		}
	})
}
