// Package seccomp is seccomp(2): strict mode, filters of classic BPF, and listeners
// that decide for a filter (seccomp_unotify(2)).
//
// The state of a task is its mode and its chain of filters, the newest first. A filter
// is immutable, and children share it. SECCOMP_FILTER_FLAG_TSYNC changes the chains of
// other threads, so chains change only with the lock of the process held
// (ThreadGroup.WithThreads), under which clone(2) copies them too (Publish). The task
// itself reads its chain without a lock, once for each call, after its tracer's stop
// at the entry: a filter that is installed meanwhile is obeyed.
//
// The duty SECCOMP is a level that is set while the mode is not disabled. Each filter has
// an entry.Admission for the chain that begins with it, by which most calls are executed
// on the fast path: those that are allowed by their number, and those for which all
// filters return SECCOMP_RET_ALLOW.
//
// # Memory
//
// As on Linux no limit of a user counts filters. A chain has at most maxPath
// instructions. The installation of a filter reserves its memory (mm.Memory.Reserve),
// and the subsystem's HeldMemory tells the OOM killer what a process holds. The garbage
// collector frees a filter after its last task. A listener is charged as an open file;
// its requests are blocked tasks.
package seccomp

import (
	"sync/atomic"

	"slowpath/entry"
	"slowpath/task"
)

// Mode is the mode of a task (seccomp(2), PR_GET_SECCOMP).
type Mode uint32

// The modes. A task in dead mode was killed and executes no more calls.
const (
	Disabled Mode = iota
	Strict
	Filtered
	dead
)

// state is the part of a task.
type state struct {
	mode      atomic.Uint32 // Mode
	chain     atomic.Pointer[filter]
	count     atomic.Int32 // filters in the chain, also after the exit
	suspended atomic.Bool  // PTRACE_O_SUSPEND_SECCOMP
	gone      bool         // the exit has released the chain; the process's lock guards it
}

func (s *state) getMode() Mode { return Mode(s.mode.Load()) }

// of returns the state of a task, nil if the subsystem is not registered.
func of(t *task.Task) *state { return task.SlotOf[state](t) }

// Register adds the subsystem to a kernel. It must be called before the first task is
// made.
func Register(k *task.Kernel) {
	task.NewSlot[state](k)
	k.Register(task.Subsystem{
		Name:       "seccomp",
		Publish:    inherit,
		Exit:       release,
		Levels:     levels,
		Admission:  func(t *task.Task) *entry.Admission { return of(t).chain.Load().admits() },
		HeldMemory: func(t *task.Task) int64 { return of(t).chain.Load().heldBytes() },
	})
}

// Handlers returns the handlers of the duty SECCOMP.
func Handlers() entry.Handlers[*task.Task] {
	return entry.Handlers[*task.Task]{Flag: entry.Seccomp, Entry: Enter}
}

// inherit gives a new task the mode and the filters of its parent. The parent's
// process is locked.
func inherit(parent, child *task.Task, _ *task.CloneArgs) {
	from, to := of(parent), of(child)
	if parent.NoNewPrivileges() {
		child.SetNoNewPrivileges() // TSYNC may have set it after the child copied it
	}
	to.mode.Store(from.mode.Load())
	to.setChain(from.chain.Load())
}

// setChain replaces the chain. The process is locked, or the task is not published.
func (s *state) setChain(f *filter) {
	old := s.chain.Load()
	f.hold()
	s.chain.Store(f)
	s.count.Store(int32(f.depth()))
	old.drop()
}

// release gives up the filters of a task that exits. Its mode stays, for /proc.
func release(t *task.Task) {
	s := of(t)
	count := s.count.Load()
	t.Group().WithThreads(func([]*task.Task) {
		s.setChain(nil)
		s.gone = true
	})
	s.count.Store(count)
}

// levels returns SECCOMP while the task has a mode and its tracer has not suspended it.
func levels(t *task.Task) entry.Flag {
	s := of(t)
	if s.getMode() == Disabled || s.suspended.Load() {
		return 0
	}
	return entry.Seccomp
}
