package signal

import (
	"sync/atomic"
)

// Account counts the queued signals of one real user, for RLIMIT_SIGPENDING
// (getrlimit(2)). Each POSIX timer counts as one. The zero value is ready for use.
// It is safe for concurrent use.
type Account struct{ queued atomic.Int64 }

// Queued returns the number of signals and timers that are counted.
func (a *Account) Queued() int64 { return a.queued.Load() }

// Charge adds one to the count. If the count would exceed limit, it does not, and
// reports false.
func (a *Account) Charge(limit uint64) bool {
	if n := a.queued.Add(1); uint64(n) > limit {
		a.queued.Add(-1)
		return false
	}
	return true
}

// Release subtracts one from the count. It undoes one Charge.
func (a *Account) Release() { a.queued.Add(-1) }

// Reservation is a place in a queue for one signal, charged in advance. A POSIX timer
// has one, so that its signal is never refused or dropped (Linux: SIGQUEUE_PREALLOC).
// The lock of the queue's owner guards it.
type Reservation struct {
	account  *Account
	queued   bool // the signal is in a queue
	released bool
}

// Reserve charges account for one signal. It returns nil if the count would exceed
// limit.
func (a *Account) Reserve(limit uint64) *Reservation {
	if !a.Charge(limit) {
		return nil
	}
	return &Reservation{account: a}
}

// Release ends the reservation. While the signal is still in a queue, it stays
// charged.
func (r *Reservation) Release() {
	r.released = true
	r.settle()
}

// settle releases the charge if nothing needs it any more.
func (r *Reservation) settle() {
	if r.released && !r.queued {
		r.account.Release()
	}
}

// Pending is the queue of the pending signals of a thread or of a process. The zero
// value is empty. The lock of its owner guards it.
type Pending struct {
	// Set is the set of pending signals. A signal may be in Set without an Info
	// in the queue: see Bare.
	Set         Set
	first, last *queued
	spare       *queued // an unused element, to avoid an allocation
}

// queuedBytes is the size of an element with its share of the heap.
const queuedBytes = 192

// Bytes returns about how many bytes of the kernel's heap the queue needs.
func (p *Pending) Bytes() int64 {
	n := int64(0)
	for q := p.first; q != nil; q = q.next {
		n += queuedBytes
	}
	return n
}

// queued is an element of a queue.
type queued struct {
	info    Info
	account *Account     // charged for the element, or nil
	place   *Reservation // of the element, or nil
	next    *queued
}

// Outcome is the result of Pending.Put.
type Outcome uint8

// The values of Outcome.
const (
	// Queued: the signal is pending and its Info is in the queue.
	Queued Outcome = iota
	// Coalesced: the signal is a standard signal and was pending already. The
	// new Info is dropped.
	Coalesced
	// Bare: the signal is pending, but its Info is dropped, because the limit
	// is reached.
	Bare
	// Full: the signal is not pending, because the limit is reached. The caller
	// must fail with EAGAIN (sigqueue(3)).
	Full
)

// Put makes the signal pending (signal(7)). A standard signal that is pending already
// is not queued again; real-time signals are. At most limit signals of account are
// queued with their Info. Beyond the limit, Put drops the Info; it refuses only
// real-time signals that neither kill(2) nor the kernel has sent. It does not sleep.
func (p *Pending) Put(info *Info, account *Account, limit uint64) Outcome {
	s := info.Signo
	realtime := s >= FirstRealtime
	if !realtime && p.Set.Has(s) {
		return Coalesced
	}
	if !account.Charge(limitFor(info, limit)) {
		if realtime && info.Code != SI_USER && info.Code != SI_KERNEL {
			return Full
		}
		p.Set.Add(s)
		return Bare
	}
	p.Set.Add(s)
	p.append(info, account, nil)
	return Queued
}

// PutReserved makes the signal pending in its reserved place, also if it is a standard
// signal that is pending already (Linux: send_sigqueue). It does nothing if the place
// is still taken by an earlier instance.
func (p *Pending) PutReserved(info Info, r *Reservation) {
	if r.queued {
		return
	}
	r.queued = true
	p.Set.Add(info.Signo)
	p.append(&info, nil, r)
}

// limitFor returns the limit that applies to a signal. Standard signals that kill(2)
// or the kernel sends have no limit, because their Info must not be lost.
func limitFor(info *Info, limit uint64) uint64 {
	if info.Signo < FirstRealtime && info.Code >= 0 {
		return ^uint64(0) >> 1
	}
	return limit
}

// append adds an element to the end of the queue.
func (p *Pending) append(info *Info, account *Account, place *Reservation) {
	q := p.spare
	if p.spare = nil; q == nil {
		q = new(queued)
	}
	q.info, q.account, q.place, q.next = *info, account, place, nil
	if p.last != nil {
		p.last.next = q
	} else {
		p.first = q
	}
	p.last = q
}

// At returns the Info at a place of the queue, counted from 0, and false beyond its
// end.
func (p *Pending) At(place uint64) (Info, bool) {
	q := p.first
	for ; q != nil && place > 0; place-- {
		q = q.next
	}
	if q == nil {
		return Info{}, false
	}
	return q.info, true
}

// Next returns the pending signal outside of blocked that must be delivered first, or
// 0. Synchronous signals precede others; among them the lowest number is first.
func (p *Pending) Next(blocked Set) Signal {
	ready := p.Set &^ blocked
	if synchronous := ready & Synchronous; synchronous != 0 {
		return synchronous.First()
	}
	return ready.First()
}

// Take removes the oldest instance of s and stores its Info. It reports false if s is
// not pending. If s has no Info in the queue, the result is one of SI_USER from process
// 0, as on Linux.
func (p *Pending) Take(s Signal, info *Info) bool {
	if !p.Set.Has(s) {
		return false
	}
	found, more := false, false
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
		found = true
		*info = q.info
		p.unlink(previous, q)
	}
	if !more {
		p.Set.Remove(s)
	}
	if !found {
		*info = UserInfo(s, SI_USER, 0, 0)
	}
	return true
}

// unlink takes q, whose predecessor is previous or nil, off the queue and releases
// its charge.
func (p *Pending) unlink(previous, q *queued) {
	if previous != nil {
		previous.next = q.next
	} else {
		p.first = q.next
	}
	if p.last == q {
		p.last = previous
	}
	if q.place != nil {
		q.place.queued = false
		q.place.settle()
	} else {
		q.account.Release()
	}
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
