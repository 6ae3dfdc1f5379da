package sched

import "math/bits"

// realtimeQueue has the waiting entities of a CPU that are above the fair class: SCHED_FIFO and
// SCHED_RR in a list for each priority (Linux: rt_prio_array), and SCHED_DEADLINE. The
// scheduler's lock guards it.
type realtimeQueue struct {
	deadlines placeHeap[*server]
	present   [2]uint64 // a bit for each priority whose list is not empty
	lists     [MaxPriority + 1]realtimeList
	waiting   int
}

type realtimeList struct{ first, last *Entity }

// add appends e to the list of its priority, or puts it first if it was preempted: it keeps its
// turn (sched(7)).
func (q *realtimeQueue) add(e *Entity, first bool) {
	q.waiting++
	if e.server != nil {
		q.deadlines.push(e.server)
		return
	}
	l := &q.lists[e.Priority]
	q.present[e.Priority>>6] |= 1 << (e.Priority & 63)
	if first {
		e.previous, e.next = nil, l.first
	} else {
		e.previous, e.next = l.last, nil
	}
	if e.previous != nil {
		e.previous.next = e
	} else {
		l.first = e
	}
	if e.next != nil {
		e.next.previous = e
	} else {
		l.last = e
	}
}

func (q *realtimeQueue) remove(e *Entity) {
	q.waiting--
	if e.server != nil {
		q.deadlines.remove(e.server.index)
		return
	}
	l := &q.lists[e.Priority]
	if e.previous != nil {
		e.previous.next = e.next
	} else {
		l.first = e.next
	}
	if e.next != nil {
		e.next.previous = e.previous
	} else {
		l.last = e.previous
	}
	e.next, e.previous = nil, nil
	if l.first == nil {
		q.present[e.Priority>>6] &^= 1 << (e.Priority & 63)
	}
}

// first returns the entity with the earliest deadline, else the one with the greatest priority
// that has waited longest, or nil.
func (q *realtimeQueue) first() *Entity {
	if !q.deadlines.empty() {
		return q.deadlines.first().entity
	}
	for word := 1; word >= 0; word-- {
		if p := q.present[word]; p != 0 {
			return q.lists[word<<6+bits.Len64(p)-1].first
		}
	}
	return nil
}

// firstFor is first among the entities that may run on a CPU.
func (q *realtimeQueue) firstFor(cpu int) (best *Entity) {
	for _, v := range q.deadlines.items {
		if v.entity.mayRunOn(cpu) && (best == nil || v.at < best.server.at) {
			best = v.entity
		}
	}
	for p := MaxPriority; p > 0 && best == nil && q.waiting > 0; p-- {
		for best = q.lists[p].first; best != nil && !best.mayRunOn(cpu); {
			best = best.next
		}
	}
	return best
}

// fairQueue has the waiting entities of the fair class of a CPU: a binary heap by virtual
// time. The scheduler's lock guards it.
type fairQueue struct {
	heap   []fairEntry
	weight int64 // the sum of the weights
}

// fairEntry has a copy of the entity's vruntime, which does not change while it waits.
type fairEntry struct {
	vruntime int64
	entity   *Entity
}

func (q *fairQueue) add(e *Entity) {
	q.weight += e.weight
	q.heap = append(q.heap, fairEntry{})
	q.up(len(q.heap)-1, fairEntry{e.vruntime, e})
}

func (q *fairQueue) remove(e *Entity) {
	q.weight -= e.weight
	i, last := e.index, len(q.heap)-1
	moved := q.heap[last]
	q.heap[last] = fairEntry{}
	q.heap = q.heap[:last]
	switch {
	case i == last:
	case i > 0 && moved.vruntime < q.heap[(i-1)/2].vruntime:
		q.up(i, moved)
	default:
		q.down(i, moved)
	}
}

// up puts an entry at place i, or nearer to the top.
func (q *fairQueue) up(i int, moved fairEntry) {
	for i > 0 {
		parent := (i - 1) / 2
		if q.heap[parent].vruntime <= moved.vruntime {
			break
		}
		q.put(i, q.heap[parent])
		i = parent
	}
	q.put(i, moved)
}

// replaceFirst removes the first entity and adds e. It takes few steps if e has little more
// virtual time than that one.
func (q *fairQueue) replaceFirst(e *Entity) {
	q.weight += e.weight - q.heap[0].entity.weight
	q.down(0, fairEntry{e.vruntime, e})
}

// down puts an entry at place i, or farther from the top.
func (q *fairQueue) down(i int, moved fairEntry) {
	heap := q.heap
	for {
		child := 2*i + 1
		if uint(child) >= uint(len(heap)) {
			break
		}
		least := heap[child]
		if other := child + 1; uint(other) < uint(len(heap)) && heap[other].vruntime < least.vruntime {
			child, least = other, heap[other]
		}
		if least.vruntime >= moved.vruntime {
			break
		}
		heap[i] = least
		least.entity.index = i
		i = child
	}
	q.put(i, moved)
}

func (q *fairQueue) put(i int, entry fairEntry) {
	q.heap[i] = entry
	entry.entity.index = i
}
