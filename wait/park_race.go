//go:build race

package wait

import "sync"

// place is where a goroutine parks, for the race detector: its atomics do not
// work on the scheduler's stack, where the other build commits a park.
type place struct {
	once  sync.Once
	token chan struct{}
	load  *Load
}

func (p *place) channel() chan struct{} {
	p.once.Do(func() { p.token = make(chan struct{}, 1) })
	return p.token
}

func (p *place) park() {
	if p.load != nil {
		p.load.Leave()
		defer p.load.Enter()
	}
	<-p.channel()
}

func (p *place) unpark() {
	select {
	case p.channel() <- struct{}{}:
	default:
	}
}
