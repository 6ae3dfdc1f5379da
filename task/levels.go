package task

import "slowpath/entry"

// levelDuties is every duty that is a level: UpdateLevels alone changes these
// bits of a task's thread flags.
var levelDuties = func() (levels entry.Flag) {
	for _, d := range entry.Duties() {
		if d.Level {
			levels |= d.Flag
		}
	}
	return levels
}()

// UpdateLevels sets the level duties in the thread flags word to the union of their
// reasons: those of RaiseForAll, and those of each subsystem's Levels. A
// subsystem first changes its reason and then calls UpdateLevels, whether it
// switches the duty on or off. Any goroutine may call it; it does not sleep. A
// task in user mode notices at its next system call.
//
// No update is lost when several reasons change at once: levelsMu makes the
// read of all reasons and the write of the bits one step. The call that takes
// the lock last reads its own change and that of every call before it.
func (t *Task) UpdateLevels() {
	t.levelsMu.Lock()
	defer t.levelsMu.Unlock()
	s := &t.kernel.subsystems
	want := t.kernel.Levels()
	for _, levels := range s.levels {
		want |= levels(t)
	}
	want &= levelDuties
	t.SetAdmission(t.admissionFor(want))
	entry.Raise(&t.Frame.ThreadFlags, want)
	entry.Lower(&t.Frame.ThreadFlags, levelDuties&^want)
}

// admissionFor returns the admission for a task that owes the given levels, nil if one of
// them has none. Several are joined.
func (t *Task) admissionFor(levels entry.Flag) (joined *entry.Admission) {
	if levels == 0 {
		return nil
	}
	for _, admission := range t.kernel.subsystems.admissions {
		a := admission(t)
		switch {
		case a == nil || a.Flag&levels == 0:
		case joined == nil:
			joined = a
		default:
			joined = joined.Join(a)
		}
	}
	if joined == nil || joined.Flag != levels {
		return nil
	}
	return joined
}

// UpdateLevels is Task.UpdateLevels for all tasks, for a subsystem with a
// reason that is the same for all. No task is missed: a new one computes its
// levels when it is published, with the kernel's lock held, so either this loop
// finds it, or it has seen the reason.
func (k *Kernel) UpdateLevels() {
	k.eachTask((*Task).UpdateLevels)
}

// eachTask calls f for every task, with the kernel's lock held.
func (k *Kernel) eachTask(f func(t *Task)) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, id := range k.pids.byNumber {
		if id.task != nil {
			f(id.task)
		}
	}
}

// Levels returns the level duties that RaiseForAll has raised.
func (k *Kernel) Levels() entry.Flag { return entry.Flag(k.levels.Load()) }

// RaiseForAll makes every task owe level duties, and every later one. Any
// goroutine may call it; it does not sleep.
func (k *Kernel) RaiseForAll(flags entry.Flag) {
	k.levels.Or(uint32(flags))
	k.UpdateLevels()
}

// LowerForAll takes back RaiseForAll. A task for which a subsystem has a reason
// of its own keeps the duty.
func (k *Kernel) LowerForAll(flags entry.Flag) {
	k.levels.And(^uint32(flags))
	k.UpdateLevels()
}
