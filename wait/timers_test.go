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
	var d Timers
	called := 0
	d.UseQueues(2, func() int { return 1 }, func(cpu int) { called += cpu })
	var entries []*timer
	for i := range int64(5000) {
		if at := random.IntN(2*len(entries) + 2); at < len(entries) {
			entries[at].cancel()
			entries = slices.Delete(entries, at, at+1)
		} else {
			e := new(timer)
			before, calls := d.Earliest(1).Load(), called
			d.set(e, 1+random.Int64N(1000)*5000+i, random.Int64N(3))
			entries = append(entries, e)
			if isEarliest := before == 0 || e.hard < before; (called != calls) != isEarliest {
				t.Fatalf("deadline %d after %d: earlier was called: %v", e.hard, before, called != calls)
			}
		}
		want := int64(0)
		for _, e := range entries {
			if want == 0 || e.hard < want {
				want = e.hard
			}
		}
		if got := d.Earliest(1).Load(); got != want {
			t.Fatalf("the earliest of %d deadlines is %d, want %d", len(entries), got, want)
		}
	}
}

// TestExpireFiresTimersInOrder: those that have expired, and no others.
func TestExpireFiresTimersInOrder(t *testing.T) {
	var d Timers
	d.UseQueues(1, func() int { return 0 }, nil)
	random := rand.New(rand.NewPCG(1, 2))
	var fired []int64
	for _, at := range random.Perm(1000) {
		e := &timer{}
		e.fire = func() { fired = append(fired, e.soft) }
		d.set(e, int64(at)+1, 0)
	}
	d.Expire(0, 500)
	if len(fired) != 500 || !slices.IsSorted(fired) || fired[499] != 500 {
		t.Errorf("%d timers have fired at 500, in order: %v", len(fired), slices.IsSorted(fired))
	}
}

// TestSleepEndsWhenItsTimerExpires: the deadline is queued during the sleep, and only then.
func TestSleepEndsWhenItsTimerExpires(t *testing.T) {
	var l Load
	added := make(chan bool, 1)
	l.Timers.UseQueues(1, func() int { return 0 }, func(int) { added <- true })
	var s Sleeper
	s.CountIn(&l, nil, nil)
	deadline := clock.Monotonic() + 5*clock.Millisecond
	go func() {
		<-added
		if got := l.Timers.Earliest(0).Load(); got != deadline {
			t.Errorf("the deadline is %d, want %d", got, deadline)
		}
		for clock.Monotonic() < deadline {
			time.Sleep(time.Millisecond)
		}
		l.Timers.Expire(0, clock.Monotonic())
	}()
	for !s.Sleep(deadline) {
	}
	if got := l.Timers.Earliest(0).Load(); got != 0 {
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

// TestAlarmFiresOnceUnlessStopped checks the queue and, without one, the runtime's timers.
func TestAlarmFiresOnceUnlessStopped(t *testing.T) {
	var queued, plain Timers
	queued.UseQueues(1, func() int { return 0 }, nil)
	fired := make(chan bool, 2)
	a := queued.AfterFunc(time.Millisecond, func() { fired <- true })
	queued.AfterFunc(0, func() { panic("bug") })
	time.Sleep(2 * time.Millisecond)
	queued.Expire(0, clock.Monotonic())
	<-fired
	if a.Stop() {
		t.Error("an alarm that has fired was stopped")
	}
	if !queued.AfterFunc(1<<63-1, func() {}).Stop() || !plain.AfterFunc(time.Hour, func() {}).Stop() {
		t.Error("an alarm was not stopped")
	}
	if at := queued.Earliest(0).Load(); at != 0 {
		t.Errorf("the deadline %d is left after all alarms", at)
	}
}

// TestTimerWithSlackExpiresAtInterruptBetweenItsExpiries: the interrupt of another timer expires
// it, but the deadline that is armed is the hard expiry.
func TestTimerWithSlackExpiresAtInterruptBetweenItsExpiries(t *testing.T) {
	var d Timers
	d.UseQueues(1, func() int { return 0 }, nil)
	var fired []string
	set := func(name string, at, slack int64) {
		d.set(&timer{fire: func() { fired = append(fired, name) }}, at, slack)
	}
	set("slack", 1000, 500)
	if at := d.Earliest(0).Load(); at != 1500 {
		t.Errorf("the timer is armed at %d, want 1500", at)
	}
	set("exact", 1200, 0)
	set("late", 1201, 500)
	d.Expire(0, 999)
	if d.Due(0, 1199) || len(fired) != 0 {
		t.Errorf("before the first deadline %q have fired", fired)
	}
	d.Expire(0, 1200)
	if want := []string{"exact", "slack"}; !slices.Equal(fired, want) {
		t.Errorf("at the interrupt %q have fired, want %q", fired, want)
	}
	set("endless", 1<<63-2, 1<<62)
	if d.Expire(0, 1701); d.Due(0, 1<<62) {
		t.Errorf("a slack has overflown: %q have fired", fired)
	}
}
