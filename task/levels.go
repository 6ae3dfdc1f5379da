package task

import "slowpath/entry"

// Levels returns the level duties that every task owes.
func (k *Kernel) Levels() entry.Flag { return entry.Flag(k.levels.Load()) }

// RaiseForAll makes every task, of now and of later, owe level duties. It
// does not sleep; a task in user mode notices at its next visit.
func (k *Kernel) RaiseForAll(flags entry.Flag) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.levels.Or(uint32(flags))
	for _, id := range k.pids.byNumber {
		if id.task != nil {
			entry.Raise(&id.task.Frame.ThreadFlags, flags)
		}
	}
}

// LowerForAll ends what RaiseForAll began.
func (k *Kernel) LowerForAll(flags entry.Flag) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.levels.And(^uint32(flags))
	for _, id := range k.pids.byNumber {
		if id.task != nil {
			entry.Lower(&id.task.Frame.ThreadFlags, flags)
		}
	}
}
