// Package epoll implements interest lists (epoll(7)).
//
// A Set has a waiter on the wait queue of every file in it. A wake-up moves the
// interest to the ready list. Collecting events checks the readiness of the
// interests on that list only, so its cost grows with the ready files and not
// with the watched ones.
package epoll

import (
	"cmp"
	"reflect"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/guard"
	"slowpath/wait"
)

// Event is a struct epoll_event.
type Event struct {
	Events uint32 // EPOLLIN and so on, with EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE
	Data   uint64

	from *item // of an event that Collect returned
}

// behaviour has the bits of Event.Events that are not poll(2) conditions.
const behaviour = unix.EPOLLET | unix.EPOLLONESHOT | unix.EPOLLEXCLUSIVE | unix.EPOLLWAKEUP

// exclusiveAllowed has the bits that may accompany EPOLLEXCLUSIVE (epoll_ctl(2)).
const exclusiveAllowed = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLERR | unix.EPOLLHUP |
	unix.EPOLLWAKEUP | unix.EPOLLET | unix.EPOLLEXCLUSIVE

// Set implements fs.FileOperations for an epoll file.
type Set struct {
	fs.FileBase
	queue   wait.Queue
	nesting *nesting
	file    *fs.File // the set's own file, without a reference
	watches watches

	// mu guards items. It is held while an item is added, changed, removed or
	// examined, so an item is on the list and on its file's queue or on neither.
	// The lock of a set is taken before the locks of the sets that it watches,
	// and before readyMu.
	mu    sync.Mutex
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

// New opens an epoll file. The caller's user is charged for its interests.
func New(m *fs.Mounts, caller fs.Caller) *fs.File {
	s := &Set{items: make(map[key]*item), watches: watches{mounts: m, uid: caller.Credentials().UID}}
	s.nesting = m.Service(nestingKey{}, func() any { return &nesting{} }).(*nesting)
	s.file = m.NewAnonymous("eventpoll", 0, s)
	return s.file
}

// Of returns the set of an open file, or nil if the file is not an epoll file.
func Of(f *fs.File) *Set {
	s, _ := f.Operations().(*Set)
	return s
}

// Add is EPOLL_CTL_ADD. Errors: EEXIST, EPERM for a file without a wait queue,
// ELOOP for a cycle or too many levels of sets, EINVAL for the set itself, for
// flags that EPOLLEXCLUSIVE forbids, and for too many wake-up paths; ENOSPC at the
// user's limit of interests, ENOMEM.
func (s *Set) Add(f *fs.File, descriptor int, e Event) error {
	if f.Queue() == nil {
		return unix.EPERM
	}
	if Of(f) == s || e.Events&unix.EPOLLEXCLUSIVE != 0 && (Of(f) != nil || e.Events&^uint32(exclusiveAllowed) != 0) {
		return unix.EINVAL
	}
	i := newItem(s, key{f, descriptor}, e)
	if Of(f) == nil && len(watchers(s.file)) == 0 {
		return s.insert(i, nil)
	}
	s.nesting.mu.Lock()
	defer s.nesting.mu.Unlock()
	reached, err := s.reachedBy(f)
	if err != nil {
		return err
	}
	return s.insert(i, reached)
}

func newItem(s *Set, k key, e Event) *item {
	i := &item{set: s, key: k, events: e.Events, data: e.Data, armed: true}
	i.waiter.Mask = conditions(e.Events)
	if e.Events&unix.EPOLLEXCLUSIVE != 0 {
		i.waiter.NotifyOne = func(*wait.Waiter, wait.Events) bool { return i.markReadyExclusively() }
	} else {
		i.waiter.Notify = func(*wait.Waiter, wait.Events) { i.markReady() }
	}
	i.hook = fs.ReleaseHook{Released: func(*fs.File) { s.drop(i) }, Owner: i}
	return i
}

// insert adds an item. reached are the files whose wake-up paths the item adds
// to. Errors: EEXIST, EINVAL for too many paths.
func (s *Set) insert(i *item, reached []*fs.File) error {
	f := i.key.file
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.items[i.key]; there {
		return unix.EEXIST
	}
	if err := s.watches.charge(); err != nil {
		return err
	}
	f.OnRelease(&i.hook)
	if tooManyPaths(reached) {
		f.CancelRelease(&i.hook)
		s.watches.release(1)
		return unix.EINVAL
	}
	s.items[i.key] = i
	f.Queue().Add(&i.waiter)
	i.recheck()
	return nil
}

func conditions(events uint32) wait.Events {
	return wait.Events(events&^uint32(behaviour)) | wait.Always
}

// Target returns the file that the set watches under a descriptor, without a reference,
// or nil. Several files may have been added under one descriptor: index chooses one of
// them (kcmp(2), KCMP_EPOLL_TFD).
func (s *Set) Target(descriptor, index int) *fs.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	var files []*fs.File
	for k := range s.items {
		if k.descriptor == descriptor {
			files = append(files, k.file)
		}
	}
	if index < 0 || index >= len(files) {
		return nil
	}
	address := func(f *fs.File) uintptr { return reflect.ValueOf(f).Pointer() }
	slices.SortFunc(files, func(a, b *fs.File) int { return cmp.Compare(address(a), address(b)) })
	return files[index]
}

// Modify is EPOLL_CTL_MOD. Errors: ENOENT, EINVAL for EPOLLEXCLUSIVE.
func (s *Set) Modify(f *fs.File, descriptor int, e Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, there := s.items[key{f, descriptor}]
	if !there {
		return unix.ENOENT
	}
	if (e.Events|i.events)&unix.EPOLLEXCLUSIVE != 0 {
		return unix.EINVAL
	}
	// The lock of the queue guards the mask of a waiter on it. The mask may
	// change only while the waiter is on no queue.
	f.Queue().Remove(&i.waiter)
	i.events, i.data, i.armed = e.Events, e.Data, true
	i.waiter.Mask = conditions(e.Events)
	f.Queue().Add(&i.waiter)
	i.recheck()
	return nil
}

// Delete is EPOLL_CTL_DEL. Error: ENOENT.
func (s *Set) Delete(f *fs.File, descriptor int) error {
	locked := guard.Lock(&s.mu)
	defer locked.Release()
	i, there := s.items[key{f, descriptor}]
	locked.Release()
	if !there || !s.drop(i) {
		return unix.ENOENT
	}
	f.CancelRelease(&i.hook)
	return nil
}

// drop removes an item from the set, and reports whether it was there.
func (s *Set) drop(i *item) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i.gone {
		return false
	}
	i.gone = true
	delete(s.items, i.key)
	s.watches.release(1)
	i.key.file.Queue().Remove(&i.waiter)
	return true
}

// markReady adds the item to the ready list and wakes the set's queue. It may
// be called with the lock of the file's queue held.
func (i *item) markReady() {
	i.queue()
	i.set.queue.Wake(wait.Readable)
}

// markReadyExclusively is markReady for an item with EPOLLEXCLUSIVE. It reports
// whether the set had a waiter: if not, the next set is notified too.
func (i *item) markReadyExclusively() bool {
	waiting := !i.set.queue.Empty()
	i.markReady()
	return waiting
}

// queue adds the item to the ready list.
func (i *item) queue() {
	s := i.set
	s.readyMu.Lock()
	defer s.readyMu.Unlock()
	if !i.queued {
		i.queued = true
		s.ready = append(s.ready, i)
	}
}

// recheck marks the item ready if its file is ready. Set.mu is held.
func (i *item) recheck() {
	if i.holds() != 0 {
		i.markReady()
	}
}

// holds returns the events of the item that hold now. Set.mu is held.
func (i *item) holds() wait.Events {
	if i.gone || !i.armed {
		return 0
	}
	return i.key.file.Readiness() & i.waiter.Mask
}

// takeReady empties the ready list and returns its items. Their files were
// ready at some time. Set.mu is held until the items that stay ready are back on
// the list: another call must not find the list empty in between.
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
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.takeReady()
	var events []Event
	var again []*item
	for n, i := range taken {
		if len(events) == limit {
			s.requeueFront(taken[n:])
			break
		}
		holds := i.holds()
		if holds == 0 {
			continue
		}
		events = append(events, Event{Events: uint32(holds), Data: i.data, from: i})
		if i.events&unix.EPOLLONESHOT != 0 {
			i.armed = false
		}
		if i.events&(unix.EPOLLONESHOT|unix.EPOLLET) == 0 {
			again = append(again, i)
		}
	}
	if len(again) > 0 {
		s.requeueBack(again)
	}
	return events
}

// PutBack makes the set report events again that Collect has returned and the caller could
// not deliver.
func (s *Set) PutBack(events []Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := make([]*item, len(events))
	for n, e := range events {
		e.from.armed = true
		items[n] = e.from
	}
	s.requeueFront(items)
}

// Readiness implements fs.FileOperations: readable if there are events. It stops
// at the first ready file, and drops the items before it from the ready list, so
// a tree of sets is not examined again and again.
func (s *Set) Readiness() wait.Events {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.takeReady()
	for n, i := range taken {
		if i.holds() != 0 {
			s.requeueFront(taken[n:])
			return wait.Readable
		}
	}
	return 0
}

// Queue implements fs.FileOperations.
func (s *Set) Queue() *wait.Queue { return &s.queue }

// Release implements fs.FileOperations.
func (s *Set) Release() {
	for _, i := range s.removeAll() {
		i.key.file.CancelRelease(&i.hook)
	}
}

// removeAll removes all items and returns them.
func (s *Set) removeAll() map[key]*item {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := s.items
	s.items = make(map[key]*item)
	s.watches.release(len(items))
	for _, i := range items {
		i.gone = true
		i.key.file.Queue().Remove(&i.waiter)
	}
	return items
}
