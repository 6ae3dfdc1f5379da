package goos

import (
	"testing"

	"slowpath/arch/amd64"
)

func nowTSC() uint64 { return amd64.TSC() }

func TestScale(t *testing.T) {
	for _, c := range []struct{ v, by, over, want uint64 }{
		{3_000_000_000, 1 << 32, 1 << 32, 3_000_000_000},
		{2_500_000_000, 1193182, 2386364, 1_250_000_000},
		{1 << 40, 1 << 40, 1 << 50, 1 << 30},
	} {
		if got := scale(c.v, c.by, c.over); got != c.want {
			t.Errorf("%d*%d/%d is %d, want %d", c.v, c.by, c.over, got, c.want)
		}
	}
}

// TestMeasureIgnoresAStalledRound: in one of the rounds the host stops the
// machine between the reading of the counter and that of the TSC.
func TestMeasureIgnoresAStalledRound(t *testing.T) {
	const perTick = 4096 // TSC ticks for a count
	stalls := 0
	honest := func() uint16 { return uint16(-(nowTSC() / perTick)) }
	stalling := func() uint16 {
		n := honest()
		if stalls++; stalls == 2 || stalls == 3 {
			for end := nowTSC() + 3000*perTick; nowTSC() < end; {
			}
		}
		return n
	}
	const perSecond = 1_000_000
	want := uint64(perTick * perSecond)
	got := measure(stalling, perSecond)
	if got < want-want/50 || got > want+want/50 {
		t.Errorf("measured %d ticks in a second, want %d", got, want)
	}
}

// TestPassedDeadlineInterruptsAtOnceUnlessSeen: the timer's interrupt may come a few
// nanoseconds early, and the deadline pass before the timer is set again.
func TestPassedDeadlineInterruptsAtOnceUnlessSeen(t *testing.T) {
	for _, c := range []struct{ deadline, seen, want uint64 }{
		{0, 0, never},
		{2000, 0, 2000},
		{1000, 0, 1000},
		{1000, 900, 1000},
		{1000, 1000, 1000 + againAfter},
	} {
		if got := until(c.deadline, 1000, c.seen); got != c.want {
			t.Errorf("at 1000 the timer interrupts at %d for the deadline %d, of which %d was seen; want %d", got, c.deadline, c.seen, c.want)
		}
	}
}
