//go:build !race

package wait

import (
	"sync/atomic"
	"unsafe"
)

// place is where a goroutine parks: the runtime's own gopark and goready. Two
// switches cost two thirds of what a channel's cost, and nothing is allocated.
type place struct {
	state atomic.Uint32
	g     unsafe.Pointer // the parked goroutine; written before state is parked
	load  *Load          // counts who is awake; nil if nobody counts
}

// The states of a place. From awake, unpark leads to token and a park to
// parked; unpark takes parked back to awake and makes the goroutine runnable.
const (
	awake uint32 = iota
	token
	parked
)

// gopark parks the calling goroutine once commit returns true; goready makes
// it runnable again. Both are on the runtime's list of tolerated names.
//
//go:linkname gopark runtime.gopark
func gopark(commit func(g, lock unsafe.Pointer) bool, lock unsafe.Pointer, reason, traceReason uint8, skip int)

//go:linkname goready runtime.goready
func goready(g unsafe.Pointer, skip int)

// noReason is the zero of the runtime's wait reasons and of its trace reasons:
// the only value of either that no release of Go has moved.
const noReason = 0

// commit runs on the scheduler's stack when the goroutine is out of the way.
// It refuses the park if a wake-up came first.
func commit(g, lock unsafe.Pointer) bool {
	p := (*place)(lock)
	p.g = g
	if p.load != nil {
		p.load.Leave() // first: who wakes p counts it again
	}
	if p.state.CompareAndSwap(awake, parked) {
		return true
	}
	if p.load != nil {
		p.load.Enter()
	}
	return false
}

// park gives the CPU away until unpark, and takes the token.
func (p *place) park() {
	if p.state.CompareAndSwap(token, awake) {
		return
	}
	gopark(commit, unsafe.Pointer(p), noReason, noReason, 1)
	// Woken, or refused by commit: in the second case the token is there.
	p.state.CompareAndSwap(token, awake)
}

// unpark ends a park, or leaves the one token that ends the next at once.
func (p *place) unpark() {
	for {
		switch p.state.Load() {
		case token:
			return
		case awake:
			if p.state.CompareAndSwap(awake, token) {
				return
			}
		case parked:
			g := p.g
			if p.state.CompareAndSwap(parked, awake) {
				if p.load != nil {
					p.load.Enter()
				}
				goready(g, 1)
				return
			}
		}
	}
}
