package epoll

import (
	"sync"

	"golang.org/x/sys/unix"
)

// nesting serialises the additions of a set to another set: a check for cycles
// is valid only while no other such addition runs. There is one per namespace.
type nesting struct{ mu sync.Mutex }

type nestingKey struct{}

// maxNesting is the maximum number of levels of sets (epoll_ctl(2), ELOOP).
const maxNesting = 5

// mayWatch returns ELOOP if watching below would create a cycle or too many
// levels. s.nesting is locked.
func (s *Set) mayWatch(below *Set) error {
	depth, cycle := below.depth(s, 0)
	if cycle || depth+1 > maxNesting {
		return unix.ELOOP
	}
	return nil
}

// depth returns the number of levels of sets that start at s, and whether
// sought is one of those sets.
func (s *Set) depth(sought *Set, level int) (depth int, found bool) {
	if s == sought {
		return 0, true
	}
	if level > maxNesting {
		return level, false
	}
	for _, below := range s.nested() {
		d, cycle := below.depth(sought, level+1)
		if cycle {
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
