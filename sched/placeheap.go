package sched

// placed is an element of a placeHeap. It knows its place, so that it can be removed.
type placed[T any] interface {
	before(other T) bool
	setPlace(i int)
}

// placeHeap is a binary heap: first is an element that no other is before.
type placeHeap[T placed[T]] struct{ items []T }

func (h *placeHeap[T]) empty() bool { return len(h.items) == 0 }
func (h *placeHeap[T]) first() T    { return h.items[0] }

func (h *placeHeap[T]) push(x T) {
	h.items = append(h.items, x)
	x.setPlace(len(h.items) - 1)
	h.fix(len(h.items) - 1)
}

// remove removes the element at place i.
func (h *placeHeap[T]) remove(i int) {
	var none T
	last := len(h.items) - 1
	h.swap(i, last)
	h.items[last] = none
	h.items = h.items[:last]
	if i < last {
		h.fix(i)
	}
}

// fix restores the order after the element at place i has changed.
func (h *placeHeap[T]) fix(i int) {
	for i > 0 && h.items[i].before(h.items[(i-1)/2]) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	for {
		child := 2*i + 1
		if child+1 < len(h.items) && h.items[child+1].before(h.items[child]) {
			child++
		}
		if child >= len(h.items) || !h.items[child].before(h.items[i]) {
			return
		}
		h.swap(i, child)
		i = child
	}
}

func (h *placeHeap[T]) swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	h.items[i].setPlace(i)
	h.items[j].setPlace(j)
}
