package signal

import (
	"sync/atomic"
)

// Account counts the queued signals of one real user against
// RLIMIT_SIGPENDING (getrlimit(2)). The zero value is ready for use and safe
// for concurrent use.
type Account struct{ queued atomic.Int64 }

// Queued returns how many signals wait in queues for this user.
func (a *Account) Queued() int64 { return a.queued.Load() }

// Charge takes one place of at most limit and reports whether there was one.
// Besides pending queues, POSIX timers use it for the place they keep.
func (a *Account) Charge(limit uint64) bool {
	if n := a.queued.Add(1); uint64(n) > limit {
		a.queued.Add(-1)
		return false
	}
	return true
}

// Release gives one place back.
func (a *Account) Release() { a.queued.Add(-1) }

// Pending is a queue of signals that wait for delivery, of a thread or of a
// whole process. The zero value is empty. Its owner's lock guards it.
type Pending struct {
	// Set has the signals of the queue. A signal may be in Set without an
	// Info: its sender found no room for one.
	Set         Set
	first, last *queued
	spare       *queued // taken off the queue, for the next signal
}

// queued is one Info in a queue.
type queued struct {
	info    Info
	account *Account
	next    *queued
}

// Outcome says what became of a signal that was put on a queue.
type Outcome uint8

// The outcomes of Pending.Put.
const (
	// Queued: the signal waits with its Info.
	Queued Outcome = iota
	// Coalesced: a standard signal that was pending already.
	Coalesced
	// Bare: no room for the Info, but the signal itself is pending.
	Bare
	// Full: a real-time signal with an Info that cannot be kept. The caller
	// fails with EAGAIN (sigqueue(3)).
	Full
)

// Put queues a signal. Standard signals coalesce; real-time signals queue
// (signal(7)). A signal that comes from kill(2) or from the kernel is never
// lost for want of room: it goes without its Info. It does not sleep.
func (p *Pending) Put(info Info, account *Account, limit uint64) Outcome {
	s := info.Signo
	realtime := s >= FirstRealtime
	if !realtime && p.Set.Has(s) {
		return Coalesced
	}
	if !account.Charge(exempt(&info, limit)) {
		if realtime && info.Code != SI_USER && info.Code != SI_KERNEL {
			return Full
		}
		p.Set.Add(s)
		return Bare
	}
	p.Set.Add(s)
	p.append(&info, account)
	return Queued
}

// exempt lifts the limit for what must arrive with its Info: standard signals
// of the kernel and of kill(2).
func exempt(info *Info, limit uint64) uint64 {
	if info.Signo < FirstRealtime && info.Code >= 0 {
		return ^uint64(0) >> 1
	}
	return limit
}

func (p *Pending) append(info *Info, account *Account) {
	q := p.spare
	if p.spare = nil; q == nil {
		q = new(queued)
	}
	q.info, q.account, q.next = *info, account, nil
	if p.last != nil {
		p.last.next = q
	} else {
		p.first = q
	}
	p.last = q
}

// Next returns the signal that is to be delivered first of those outside
// blocked, or 0: synchronous ones before others, then the lowest number.
func (p *Pending) Next(blocked Set) Signal {
	ready := p.Set &^ blocked
	if urgent := ready & Synchronous; urgent != 0 {
		return urgent.First()
	}
	return ready.First()
}

// Take removes the oldest instance of s and returns its Info. A signal that is
// pending without one gets an Info of SI_USER from process 0, as in Linux.
func (p *Pending) Take(s Signal) (Info, bool) {
	if !p.Set.Has(s) {
		return Info{}, false
	}
	info, found, more := Info{}, false, false
	var previous *queued
	for q := p.first; q != nil; q = q.next {
		if q.info.Signo != s {
			previous = q
			continue
		}
		if found {
			more = true
			break
		}
		info, found = q.info, true
		p.unlink(previous, q)
	}
	if !more {
		p.Set.Remove(s)
	}
	if !found {
		info = UserInfo(s, SI_USER, 0, 0)
	}
	return info, true
}

// unlink removes q, whose predecessor is previous, and gives its place back.
func (p *Pending) unlink(previous, q *queued) {
	if previous != nil {
		previous.next = q.next
	} else {
		p.first = q.next
	}
	if p.last == q {
		p.last = previous
	}
	q.account.Release()
	p.spare = q
}

// Discard removes every instance of the signals in set.
func (p *Pending) Discard(set Set) {
	if p.Set&set == 0 {
		return
	}
	p.Set &^= set
	var previous *queued
	for q := p.first; q != nil; q = q.next {
		if set.Has(q.info.Signo) {
			p.unlink(previous, q)
			continue
		}
		previous = q
	}
}
