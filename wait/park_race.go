//go:build race

package wait

import (
	"sync"
	"sync/atomic"
)

// spot is what a goroutine parks on, in builds with the race detector. Its
// atomics do not work on the scheduler's stack, where the other implementation
// commits a park.
type spot struct {
	once  sync.Once
	token chan struct{}
	attachment
	parked atomic.Bool
}

func (p *spot) channel() chan struct{} {
	p.once.Do(func() { p.token = make(chan struct{}, 1) })
	return p.token
}

func (p *spot) park() {
	if t := p.thread.Load(); t != nil {
		p.parkThread(t)
		return
	}
	select {
	case <-p.channel():
		return
	default:
	}
	p.before()
	defer p.after()
	p.parked.Store(true)
	defer p.parked.Store(false)
	<-p.channel()
}

func (p *spot) unpark() {
	if t := p.thread.Load(); t != nil {
		t.Unpark(t.ending)
		return
	}
	if p.parked.CompareAndSwap(true, false) {
		p.waking()
	}
	select {
	case p.channel() <- struct{}{}:
	default:
	}
}
