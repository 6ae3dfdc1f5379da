//go:build race

package wait

import "sync"

// spot is what a goroutine parks on, in builds with the race detector. Its
// atomics do not work on the scheduler's stack, where the other implementation
// commits a park.
type spot struct {
	once  sync.Once
	token chan struct{}
	load  *Load
}

func (p *spot) channel() chan struct{} {
	p.once.Do(func() { p.token = make(chan struct{}, 1) })
	return p.token
}

func (p *spot) park() {
	if p.load != nil {
		p.load.pause()
		defer p.load.Update()
		p.load.Leave()
		defer p.load.Enter()
	}
	<-p.channel()
}

func (p *spot) unpark() {
	select {
	case p.channel() <- struct{}{}:
	default:
	}
}
