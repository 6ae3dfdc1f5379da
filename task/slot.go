package task

// Slot is the place of a value of type T in every task: how a package outside
// of package task keeps its own state of a task. The zero Slot is not usable.
type Slot[T any] struct{ index int }

// NewSlot gives every task of k a T. It must be called before the first task
// is made, and panics otherwise.
func NewSlot[T any](k *Kernel) Slot[T] {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := &k.subsystems
	s.mustNotBeSealed("a slot")
	s.slots = append(s.slots, func() any { return new(T) })
	return Slot[T]{len(s.slots) - 1}
}

// Of returns the task's T, never nil. It starts as the zero value, before any
// Fork row runs, and lives as long as the Task: after exit it can still be
// read by whoever has the task. The pointer never changes, so any goroutine may
// call Of without a lock; the T itself needs its own synchronisation, for
// example atomic fields. It neither allocates nor looks up a map.
func (s Slot[T]) Of(t *Task) *T { return t.slots[s.index].(*T) }

// newTask returns a task with empty slots that no other goroutine knows.
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
	return t
}
