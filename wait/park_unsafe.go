//go:build !race

package wait

import (
	"sync/atomic"
	"unsafe"
)

// spot is what a goroutine parks on, by the runtime's own gopark and goready. Two
// switches cost two thirds of those through a channel, and nothing is allocated.
type spot struct {
	state atomic.Uint32
	g     unsafe.Pointer // the parked goroutine; written before state is parked
	attachment
}

// The states of a spot. In awake, unpark leads to token, and park to parked. In
// parked, unpark leads to awake and makes the goroutine runnable.
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

// noReason is the zero of the runtime's wait reasons and of its trace reasons.
// Other values change between releases of Go.
const noReason = 0

// commit runs on the scheduler's stack after the switch away from g. It returns
// false, which cancels the park, if a wake-up came first.
func commit(g, lock unsafe.Pointer) bool {
	p := (*spot)(lock)
	p.g = g
	return p.state.CompareAndSwap(awake, parked)
}

// park blocks until unpark, or returns immediately if there is a token. It takes
// the token.
func (p *spot) park() {
	if t := p.thread.Load(); t != nil {
		p.parkThread(t)
		return
	}
	if p.state.CompareAndSwap(token, awake) {
		return
	}
	p.before()
	gopark(commit, unsafe.Pointer(p), noReason, noReason, 1)
	p.after()
	// If commit cancelled the park, the token is there.
	p.state.CompareAndSwap(token, awake)
}

// unpark ends a park, or leaves the token.
func (p *spot) unpark() {
	if t := p.thread.Load(); t != nil {
		t.Unpark(t.ending)
		return
	}
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
				p.waking()
				goready(g, 1)
				return
			}
		}
	}
}
