// Package epoll implements interest lists (epoll(7)).
//
// A Set has a waiter on the wait queue of every file in it. A wake-up moves the
// interest to the ready list. Collecting events checks the readiness of the
// interests on that list only, so its cost grows with the ready files and not
// with the watched ones.
package epoll

import (
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/wait"
)

// Event is a struct epoll_event.
type Event struct {
	Events uint32 // EPOLLIN and so on, with EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE
	Data   uint64
}

// behaviour has the bits of Event.Events that are not poll(2) conditions.
const behaviour = unix.EPOLLET | unix.EPOLLONESHOT | unix.EPOLLEXCLUSIVE | unix.EPOLLWAKEUP

// Set implements fs.FileOperations for an epoll file.
type Set struct {
	fs.FileBase
	queue   wait.Queue
	nesting *nesting

	mu    sync.Mutex // guards items; taken before readyMu
	items map[key]*item

	// readyMu guards the list and the items' queued flags. A wake-up takes it
	// while it holds the lock of a file's queue. So no other function is called
	// while readyMu is held.
	readyMu sync.Mutex
	ready   []*item
}

// key identifies an interest: two descriptors may watch the same file.
type key struct {
	file       *fs.File
	descriptor int
}

// item is one entry of the interest list. Set.mu guards events, data, armed and
// gone; Set.readyMu guards queued.
type item struct {
	set    *Set
	key    key
	events uint32
	data   uint64
	armed  bool // false after an EPOLLONESHOT event
	gone   bool
	waiter wait.Waiter
	hook   fs.ReleaseHook

	queued bool // on the ready list
}

// New opens an epoll file.
func New(m *fs.Mounts) *fs.File {
	s := &Set{items: make(map[key]*item)}
	s.nesting = m.Service(nestingKey{}, func() any { return &nesting{} }).(*nesting)
	return m.NewAnonymous("eventpoll", 0, s)
}

// Of returns the set of an open file, or nil if the file is not an epoll file.
func Of(f *fs.File) *Set {
	s, _ := f.Operations().(*Set)
	return s
}

// Add is EPOLL_CTL_ADD. Errors: EEXIST, EPERM for a file without a wait queue,
// ELOOP for a cycle or too many levels of sets, EINVAL.
func (s *Set) Add(f *fs.File, descriptor int, e Event) error {
	if f.Queue() == nil {
		return unix.EPERM
	}
	if Of(f) == s || e.Events&unix.EPOLLEXCLUSIVE != 0 && (Of(f) != nil || e.Events&unix.EPOLLONESHOT != 0) {
		return unix.EINVAL
	}
	if below := Of(f); below != nil {
		s.nesting.mu.Lock()
		defer s.nesting.mu.Unlock()
		if err := s.mayWatch(below); err != nil {
			return err
		}
	}
	i := &item{set: s, key: key{f, descriptor}, events: e.Events, data: e.Data, armed: true}
	i.waiter = wait.Waiter{Mask: conditions(e.Events), Notify: func(*wait.Waiter, wait.Events) { i.markReady() }}
	i.hook.Released = func(*fs.File) { s.drop(i) }
	s.mu.Lock()
	if _, there := s.items[i.key]; there {
		s.mu.Unlock()
		return unix.EEXIST
	}
	s.items[i.key] = i
	s.mu.Unlock()
	f.OnRelease(&i.hook)
	f.Queue().Add(&i.waiter)
	i.recheck()
	return nil
}

func conditions(events uint32) wait.Events {
	return wait.Events(events&^uint32(behaviour)) | wait.Always
}

// Modify is EPOLL_CTL_MOD. Errors: ENOENT, EINVAL for EPOLLEXCLUSIVE.
func (s *Set) Modify(f *fs.File, descriptor int, e Event) error {
	s.mu.Lock()
	i, there := s.items[key{f, descriptor}]
	if !there {
		s.mu.Unlock()
		return unix.ENOENT
	}
	if (e.Events|i.events)&unix.EPOLLEXCLUSIVE != 0 {
		s.mu.Unlock()
		return unix.EINVAL
	}
	// The lock of the queue guards the mask of a waiter on it. The mask may
	// change only while the waiter is on no queue.
	f.Queue().Remove(&i.waiter)
	i.events, i.data, i.armed = e.Events, e.Data, true
	i.waiter.Mask = conditions(e.Events)
	f.Queue().Add(&i.waiter)
	s.mu.Unlock()
	i.recheck()
	return nil
}

// Delete is EPOLL_CTL_DEL. Error: ENOENT.
func (s *Set) Delete(f *fs.File, descriptor int) error {
	s.mu.Lock()
	i, there := s.items[key{f, descriptor}]
	s.mu.Unlock()
	if !there {
		return unix.ENOENT
	}
	f.CancelRelease(&i.hook)
	s.drop(i)
	return nil
}

// drop removes an item from the set.
func (s *Set) drop(i *item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i.gone {
		return
	}
	i.gone = true
	delete(s.items, i.key)
	i.key.file.Queue().Remove(&i.waiter)
}

// markReady adds the item to the ready list and wakes the set's queue. It may
// be called with the lock of the file's queue held.
func (i *item) markReady() {
	s := i.set
	s.readyMu.Lock()
	if !i.queued {
		i.queued = true
		s.ready = append(s.ready, i)
	}
	s.readyMu.Unlock()
	s.queue.Wake(wait.Readable)
}

// recheck marks the item ready if its file is ready.
func (i *item) recheck() {
	if i.key.file.Readiness()&i.waiter.Mask != 0 {
		i.markReady()
	}
}

// takeReady empties the ready list and returns its items. Their files were
// ready at some time.
func (s *Set) takeReady() []*item {
	s.readyMu.Lock()
	defer s.readyMu.Unlock()
	taken := s.ready
	s.ready = nil
	for _, i := range taken {
		i.queued = false
	}
	return taken
}

// requeueFront puts items back at the front of the ready list.
func (s *Set) requeueFront(items []*item) {
	s.readyMu.Lock()
	defer s.readyMu.Unlock()
	s.ready = append(markQueued(items), s.ready...)
}

// requeueBack puts items back at the end of the ready list.
func (s *Set) requeueBack(items []*item) {
	s.readyMu.Lock()
	defer s.readyMu.Unlock()
	s.ready = append(s.ready, markQueued(items)...)
}

// markQueued sets the queued flag of the items that are not on the ready list,
// and returns those items. readyMu is held.
func markQueued(items []*item) []*item {
	var kept []*item
	for _, i := range items {
		if !i.queued {
			i.queued = true
			kept = append(kept, i)
		}
	}
	return kept
}

// Collect returns up to limit events of files that are ready now, without
// waiting. Level-triggered items go to the end of the ready list, so every
// ready file is reported in turn.
func (s *Set) Collect(limit int) []Event {
	taken := s.takeReady()
	var events []Event
	var again []*item
	for n, i := range taken {
		if len(events) == limit {
			s.requeueFront(taken[n:])
			break
		}
		event, level, ok := s.examine(i)
		if !ok {
			continue
		}
		events = append(events, event)
		if level {
			again = append(again, i)
		}
	}
	if len(again) > 0 {
		s.requeueBack(again)
	}
	return events
}

// examine returns the event of an item if its file is ready. level reports that
// the item is level-triggered and must be examined again.
func (s *Set) examine(i *item) (event Event, level, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i.gone || !i.armed {
		return Event{}, false, false
	}
	holds := i.key.file.Readiness() & i.waiter.Mask
	if holds == 0 {
		return Event{}, false, false
	}
	if i.events&unix.EPOLLONESHOT != 0 {
		i.armed = false
	}
	level = i.events&(unix.EPOLLONESHOT|unix.EPOLLET) == 0
	return Event{Events: uint32(holds), Data: i.data}, level, true
}

// Readiness implements fs.FileOperations: readable if there are events.
func (s *Set) Readiness() wait.Events {
	taken := s.takeReady()
	ready := false
	var kept []*item
	for _, i := range taken {
		s.mu.Lock()
		holds := !i.gone && i.armed && i.key.file.Readiness()&i.waiter.Mask != 0
		s.mu.Unlock()
		if holds {
			ready = true
			kept = append(kept, i)
		}
	}
	s.requeueFront(kept)
	if ready {
		return wait.Readable
	}
	return 0
}

// Queue implements fs.FileOperations.
func (s *Set) Queue() *wait.Queue { return &s.queue }

// Release implements fs.FileOperations.
func (s *Set) Release() {
	s.mu.Lock()
	items := s.items
	s.items = make(map[key]*item)
	for _, i := range items {
		i.gone = true
		i.key.file.Queue().Remove(&i.waiter)
	}
	s.mu.Unlock()
	for _, i := range items {
		i.key.file.CancelRelease(&i.hook)
	}
}
