package sched

import "slowpath/entry"

// Schedulable is a task with an entity.
type Schedulable interface{ Entity() *Entity }

// Handlers returns the handler of NEED_RESCHED. It gets no register frame,
// because it needs none.
func Handlers[T Schedulable](s *Scheduler) entry.Handlers[T] {
	return entry.Handlers[T]{Flag: entry.NeedResched, BeforeUser: func(t T) { s.Reschedule(t.Entity()) }}
}
