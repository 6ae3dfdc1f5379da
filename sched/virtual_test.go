package sched

import (
	"sync"
	"sync/atomic"
	"time"
)

// virtual is a machine with one CPU and a clock that advances when an entity runs, and in idle
// to the next event. So a test is exact, and takes no real time.
type virtual struct {
	s    *Scheduler
	now  atomic.Int64
	kick chan struct{}
	end  chan struct{} // closed when the test is over: idle blocks then

	mu     sync.Mutex
	events []event
	live   sync.WaitGroup
}

type event struct {
	at int64
	f  func()
}

func newVirtual() *virtual {
	v := &virtual{kick: make(chan struct{}, 1), end: make(chan struct{})}
	v.now.Store(1)
	v.s = New(1, &Processors{Idle: v.idle, Kick: v.wakeUp, Arm: func(int) {}, Current: func() int { return 0 }, Now: v.now.Load})
	v.s.after = func(delay int64, f func()) { v.at(v.now.Load()+delay, f) }
	return v
}

func (v *virtual) wakeUp(int) {
	select {
	case v.kick <- struct{}{}:
	default:
	}
}

// at adds an event.
func (v *virtual) at(at int64, f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.events = append(v.events, event{at, f})
}

// next removes the earliest event up to a time, and returns it with its time.
func (v *virtual) next(limit int64) (f func(), at int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	best := -1
	for i, e := range v.events {
		if e.at <= limit && (best < 0 || e.at < v.events[best].at) {
			best = i
		}
	}
	if best < 0 {
		return nil, 0
	}
	e := v.events[best]
	v.events = append(v.events[:best], v.events[best+1:]...)
	return e.f, e.at
}

// idle advances the clock to the next event. Without one it waits for a kick.
func (v *virtual) idle(int) {
	select {
	case <-v.kick:
		return
	default:
	}
	if f, at := v.next(1 << 62); f != nil {
		v.now.Store(max(v.now.Load(), at))
		f()
		return
	}
	select {
	case <-v.kick:
	case <-v.end:
		select {}
	case <-time.After(time.Second): // the next event may come from another goroutine
	}
}

// step is how long an entity runs between two interrupts, in nanoseconds.
const step = 20_000

// run lets a program run in user mode for a time.
func (v *virtual) run(p *program, time int64) {
	for ; time > 0; time -= step {
		now := v.now.Add(min(step, time))
		for {
			f, _ := v.next(now)
			if f == nil {
				break
			}
			f()
		}
		p.tick()
	}
}

// sleep lets a program sleep until a time.
func (v *virtual) sleep(p *program, until int64) {
	if until <= v.now.Load() {
		return
	}
	v.at(until, func() { p.Unpark(ending) })
	p.Park()
}

// start starts a program. Programs start together, when the function of all has returned.
func (v *virtual) start(p *program, f func()) {
	p.s = v.s
	v.live.Add(1)
	v.s.Start(&p.Entity, p, func() {
		defer v.live.Done()
		f()
	})
}

// all starts the programs of f, while nothing runs, and waits for their end.
func (v *virtual) all(f func()) {
	v.start(new(program), f)
	v.live.Wait()
	close(v.end)
}

// spinner starts a program that runs until a time, and counts how long.
func (v *virtual) spinner(until int64, p *program) *int64 {
	ran := new(int64)
	v.start(p, func() {
		for v.now.Load() < until {
			v.run(p, step)
			*ran += step
		}
	})
	return ran
}
