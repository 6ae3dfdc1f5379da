package epoll

import (
	"sync"

	"golang.org/x/sys/unix"
)

// nesting serialises those additions that put one set into another: only with
// all of them at rest can a circle be ruled out. There is one per name space.
type nesting struct{ mu sync.Mutex }

type nestingKey struct{}

// maxNesting is how many sets may watch each other in a row (epoll_ctl(2),
// ELOOP).
const maxNesting = 5

// mayWatch returns ELOOP if watching below would close a circle or make a chain
// that is too long. s.nesting is locked.
func (s *Set) mayWatch(below *Set) error {
	depth, circle := below.depth(s, 0)
	if circle || depth+1 > maxNesting {
		return unix.ELOOP
	}
	return nil
}

// depth returns how many sets lie below s in a row, itself included, and
// whether sought is one of them.
func (s *Set) depth(sought *Set, level int) (depth int, found bool) {
	if s == sought {
		return 0, true
	}
	if level > maxNesting {
		return level, false
	}
	for _, below := range s.nested() {
		d, circle := below.depth(sought, level+1)
		if circle {
			return 0, true
		}
		depth = max(depth, d)
	}
	return depth + 1, false
}

// nested returns the sets that s watches.
func (s *Set) nested() []*Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	var below []*Set
	for k := range s.items {
		if b := Of(k.file); b != nil {
			below = append(below, b)
		}
	}
	return below
}
