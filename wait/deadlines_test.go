package wait

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"slowpath/clock"
)

// TestEarliestDeadlineIsPublished compares the heap with a sorted slice.
func TestEarliestDeadlineIsPublished(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var d Deadlines
	called := 0
	d.Earlier = func() { called++ }
	var entries []*deadlineEntry
	for i := range int64(5000) {
		if at := random.IntN(2*len(entries) + 2); at < len(entries) {
			d.remove(entries[at])
			entries = slices.Delete(entries, at, at+1)
		} else {
			e := new(deadlineEntry)
			before, calls := d.Earliest().Load(), called
			d.add(e, 1+random.Int64N(1000)*5000+i)
			entries = append(entries, e)
			if isEarliest := before == 0 || e.at < before; (called != calls) != isEarliest {
				t.Fatalf("deadline %d after %d: Earlier was called: %v", e.at, before, called != calls)
			}
		}
		want := int64(0)
		for _, e := range entries {
			if want == 0 || e.at < want {
				want = e.at
			}
		}
		if got := d.Earliest().Load(); got != want {
			t.Fatalf("the earliest of %d deadlines is %d, want %d", len(entries), got, want)
		}
	}
}

// TestSleepPublishesItsDeadline: the deadline is there during the sleep, and only then.
func TestSleepPublishesItsDeadline(t *testing.T) {
	var l Load
	var s Sleeper
	s.CountIn(&l, nil, nil)
	deadline := clock.Monotonic() + 30*clock.Millisecond
	seen := make(chan int64)
	l.Deadlines.Earlier = func() { go func() { seen <- l.Deadlines.Earliest().Load() }() }
	for !s.Sleep(deadline) {
	}
	if got := <-seen; got != deadline && got != 0 {
		t.Errorf("the deadline is %d, want %d", got, deadline)
	}
	if got := l.Deadlines.Earliest().Load(); got != 0 {
		t.Errorf("the deadline %d is left after the sleep", got)
	}
}

// meterLog records the calls of a Meter.
type meterLog struct{ calls []string }

func (m *meterLog) Pause()  { m.calls = append(m.calls, "pause") }
func (m *meterLog) Update() { m.calls = append(m.calls, "update") }

// TestMeterIsPausedWhileGoroutineSleeps: a wake-up that came first costs no sleep.
func TestMeterIsPausedWhileGoroutineSleeps(t *testing.T) {
	m := new(meterLog)
	l := Load{Meter: m}
	var s Sleeper
	s.CountIn(&l, nil, nil)
	time.AfterFunc(10*time.Millisecond, s.Wake)
	s.Sleep(0)
	if want := []string{"pause", "update"}; !slices.Equal(m.calls, want) {
		t.Errorf("the calls are %q, want %q", m.calls, want)
	}
}

// TestAlarmPublishesItsDeadline: a program that spins must be interrupted for it.
func TestAlarmPublishesItsDeadline(t *testing.T) {
	var d Deadlines
	fired := make(chan bool)
	before := clock.Monotonic()
	a := d.AfterFunc(20*time.Millisecond, func() { fired <- true })
	if at := d.Earliest().Load(); at < before+20*clock.Millisecond {
		t.Errorf("the earliest deadline is %d, before the alarm's", at)
	}
	<-fired
	a.Stop()
	d.AfterFunc(time.Hour, func() {}).Stop()
	d.AfterFunc(1<<63-1, func() {}).Stop()
	if at := d.Earliest().Load(); at != 0 {
		t.Errorf("the deadline %d is left after both alarms", at)
	}
}
