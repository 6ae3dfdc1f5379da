package wait

import (
	"sync"
	"testing"
	"time"

	"slowpath/clock"
)

func TestWakeBeforeSleepLeavesOneToken(t *testing.T) {
	var s Sleeper
	s.Wake()
	s.Wake()
	if s.Sleep(clock.Monotonic() + 5*clock.Second) {
		t.Fatal("the token was lost")
	}
	if !s.Sleep(clock.Monotonic() + 10*clock.Millisecond) {
		t.Fatal("two wake-ups left two tokens")
	}
}

func TestDeadlineEndsSleep(t *testing.T) {
	var s Sleeper
	start := clock.Monotonic()
	for !s.Sleep(start + 20*clock.Millisecond) {
	}
	if d := clock.Monotonic() - start; d < 20*clock.Millisecond {
		t.Fatalf("slept %d ns of 20 ms", d)
	}
}

// TestNoWakeUpIsLost lets two goroutines wake each other in turn. A lost wake-up
// would block both.
func TestNoWakeUpIsLost(t *testing.T) {
	const rounds = 20000
	var a, b Sleeper
	var mu sync.Mutex
	turn := 0
	play := func(me int, mine, other *Sleeper) {
		for i := 0; i < rounds; {
			mu.Lock()
			if turn == me {
				turn = 1 - me
				i++
				mu.Unlock()
				other.Wake()
				continue
			}
			mu.Unlock()
			mine.Sleep(0)
		}
	}
	done := make(chan bool)
	go func() { play(1, &b, &a); done <- true }()
	go func() { play(0, &a, &b); done <- true }()
	for range 2 {
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			t.Fatal("both sleep: a wake-up was lost")
		}
	}
}

func TestQueueWakesByMask(t *testing.T) {
	var q Queue
	var got []string
	waiter := func(name string, mask Events) *Waiter {
		return &Waiter{Mask: mask, Notify: func(*Waiter, Events) { got = append(got, name) }}
	}
	in, out := waiter("in", In), waiter("out", Out)
	q.Add(in)
	q.Add(out)
	q.Wake(Out)
	q.Wake(Hup) // every waiter gets it
	q.Remove(in)
	q.Remove(in)
	q.Wake(All)
	if want := []string{"out", "in", "out", "out"}; !equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	q.Remove(out)
	if !q.Empty() {
		t.Fatal("the queue is not empty")
	}
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func BenchmarkPingPong(b *testing.B) {
	var x, y Sleeper
	go func() {
		for range b.N {
			x.Sleep(0)
			y.Wake()
		}
	}()
	for range b.N {
		x.Wake()
		y.Sleep(0)
	}
}
