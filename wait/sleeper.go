package wait

import (
	"sync"
	"time"

	"slowpath/clock"
)

// Sleeper is what one goroutine sleeps on. The zero value is ready for use. Any
// goroutine may wake it.
type Sleeper struct {
	spot     spot
	deadline timer // of the current sleep, if the Load has queues of timers

	timerMu sync.Mutex
	timer   *time.Timer // otherwise

	own Waiter // see OwnWaiter
}

// Wake ends the sleep, or leaves a token that ends the next one immediately. Any
// number of calls before a sleep leave one token. It does not sleep.
func (s *Sleeper) Wake() { s.spot.unpark() }

// Sleep parks the calling goroutine until Wake or until the deadline, a time of
// clock.Monotonic in nanoseconds; 0 is no deadline. It reports whether the
// deadline has passed. Wake-ups may be spurious, so callers check their condition
// in a loop.
func (s *Sleeper) Sleep(deadline int64) (timedOut bool) { return s.SleepWithin(deadline, 0) }

// SleepWithin is Sleep with a timer slack: the sleep may end so many nanoseconds after the
// deadline, if no interrupt comes before.
func (s *Sleeper) SleepWithin(deadline, slack int64) (timedOut bool) {
	if deadline == 0 {
		s.spot.park()
		return false
	}
	left := deadline - clock.Monotonic()
	if left <= 0 {
		return true
	}
	if l := s.spot.load; l != nil && l.Timers.queues != nil {
		if s.deadline.fire == nil {
			s.deadline.fire = s.expire
		}
		l.Timers.set(&s.deadline, deadline, slack)
		defer s.deadline.cancel()
		s.spot.park()
		return clock.Monotonic() >= deadline
	}
	s.arm(time.Duration(left))
	s.spot.park()
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

// expire runs on the goroutine of the timers. If it runs after its sleep has ended, the
// next sleep has a spurious wake-up, which Sleep allows.
func (s *Sleeper) expire() { s.Wake() }

// OwnWaiter returns the sleeper's own queue entry, which wakes s on the events of mask.
// It saves an allocation where the goroutine waits on one queue only: the entry must be
// removed from its queue before the next call.
func (s *Sleeper) OwnWaiter(mask Events) *Waiter {
	if s.own.Notify == nil {
		s.own.Notify = func(*Waiter, Events) { s.Wake() }
	}
	s.own.Mask = mask
	return &s.own
}

// Waiter returns a queue entry that wakes s on the events of mask.
func (s *Sleeper) Waiter(mask Events) *Waiter {
	return &Waiter{Mask: mask, Notify: func(*Waiter, Events) { s.Wake() }}
}
