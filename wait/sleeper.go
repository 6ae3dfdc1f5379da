package wait

import (
	"sync"
	"time"

	"slowpath/clock"
)

// Sleeper is the parking place of one goroutine. The zero value is ready for
// use. One goroutine sleeps on it; anybody may wake it.
type Sleeper struct {
	place place

	timerMu sync.Mutex
	timer   *time.Timer
}

// Wake ends a sleep, or leaves a token that ends the next one at once. Any
// number of wake-ups before a sleep make one token. It does not sleep.
func (s *Sleeper) Wake() { s.place.unpark() }

// Sleep parks the calling goroutine until Wake or until the deadline, a time
// of clock.Monotonic in nanoseconds; 0 is no deadline. It reports whether the
// deadline ended it. It may return early without cause, so callers look at
// what they wait for in a loop.
func (s *Sleeper) Sleep(deadline int64) (timedOut bool) {
	if deadline == 0 {
		s.place.park()
		return false
	}
	left := deadline - clock.Monotonic()
	if left <= 0 {
		return true
	}
	s.arm(time.Duration(left))
	s.place.park()
	s.disarm()
	return clock.Monotonic() >= deadline
}

func (s *Sleeper) arm(d time.Duration) {
	s.timerMu.Lock()
	defer s.timerMu.Unlock()
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.expire)
		return
	}
	s.timer.Reset(d)
}

func (s *Sleeper) disarm() {
	s.timerMu.Lock()
	defer s.timerMu.Unlock()
	s.timer.Stop()
}

// expire runs in the timer's goroutine. One that comes late, after the sleep
// it was for, wakes the next sleep without cause, which Sleep allows.
func (s *Sleeper) expire() { s.Wake() }

// Waiter returns an entry for a queue that wakes s on the events of mask.
func (s *Sleeper) Waiter(mask Events) *Waiter {
	return &Waiter{Mask: mask, Notify: func(*Waiter, Events) { s.Wake() }}
}
