package task

// Slot stores a value of type T in every task. Packages outside of package task use
// it for their own state of a task. The zero Slot is not usable.
type Slot[T any] struct{ index int }

// NewSlot adds a T to every task of k. It panics if it is called after the first
// task was created.
func NewSlot[T any](k *Kernel) Slot[T] {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := &k.subsystems
	s.mustNotBeSealed("a slot")
	s.slots = append(s.slots, func() any { return new(T) })
	return Slot[T]{len(s.slots) - 1}
}

// Of returns the task's T, never nil. It starts as the zero value, before any
// Fork row runs, and stays valid after the task has exited. The pointer is
// constant, so any goroutine may call Of without a lock. The T itself needs its own
// synchronisation, for example atomic fields. Of does not allocate.
func (s Slot[T]) Of(t *Task) *T { return t.slots[s.index].(*T) }

// Favor makes Task.Favored return the *T of this slot. One slot of a kernel can be favored. It
// must be called before the first task is created.
func (s Slot[T]) Favor(k *Kernel) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.subsystems.mustNotBeSealed("a favored slot")
	k.subsystems.favored = s.index + 1
}

// Favored returns the *T of the favored slot, nil if there is none. It takes fewer instructions
// than Of, and is for a caller whose instructions are counted.
func (t *Task) Favored() any { return t.favored }

// SlotOf returns the task's T without the Slot, for code that has only the task. It is
// nil if the kernel has no such slot, for example in tests. Any goroutine may call it.
// It does not allocate.
func SlotOf[T any](t *Task) *T {
	for _, slot := range t.slots {
		if value, ok := slot.(*T); ok {
			return value
		}
	}
	return nil
}

// newTask returns an unpublished task with empty slots.
func (k *Kernel) newTask() *Task {
	if !k.subsystems.sealed.Load() {
		k.subsystems.sealed.Store(true)
	}
	t := &Task{kernel: k}
	if makers := k.subsystems.slots; len(makers) > 0 {
		t.slots = make([]any, len(makers))
		for i, makeValue := range makers {
			t.slots[i] = makeValue()
		}
	}
	if i := k.subsystems.favored; i != 0 {
		t.favored = t.slots[i-1]
	}
	return t
}
