package signal

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
)

// The flags of an action (sigaction(2), include/uapi/asm-generic/signal-defs.h).
const (
	SA_NOCLDSTOP      = 0x00000001
	SA_NOCLDWAIT      = 0x00000002
	SA_SIGINFO        = 0x00000004
	SA_UNSUPPORTED    = 0x00000400
	SA_EXPOSE_TAGBITS = 0x00000800
	SA_RESTORER       = 0x04000000
	SA_ONSTACK        = 0x08000000
	SA_RESTART        = 0x10000000
	SA_NODEFER        = 0x40000000
	SA_RESETHAND      = 0x80000000
)

// supportedFlags are the flags of an action that Linux keeps on x86. It clears the
// others, so a program can read its action back to detect what is supported.
const supportedFlags = SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK |
	SA_RESTART | SA_NODEFER | SA_RESETHAND | SA_EXPOSE_TAGBITS | SA_RESTORER

// The values of Handler that are not addresses.
const (
	SIG_DFL = 0
	SIG_IGN = 1
)

// Action says what a process does when it gets a signal (Linux: struct sigaction).
type Action struct {
	Handler  uint64 // user address, SIG_DFL or SIG_IGN
	Flags    uint64 // SA_*
	Restorer uint64 // user address of the code that calls rt_sigreturn(2)
	Mask     Set    // blocked while the handler runs, in addition to the signal
}

// Sigaction returns the action in the layout of rt_sigaction(2).
func (a *Action) Sigaction() abi.Sigaction {
	return abi.Sigaction{Handler: a.Handler, Flags: a.Flags &^ SA_IA32_ABI, Restorer: a.Restorer, Mask: uint64(a.Mask)}
}

// ActionOf returns the action that a program's struct sigaction describes.
func ActionOf(s *abi.Sigaction) Action {
	return Action{Handler: s.Handler, Flags: s.Flags &^ SA_IA32_ABI, Restorer: s.Restorer, Mask: Set(s.Mask)}
}

// Sigaction32 returns the action in the layout of rt_sigaction(2) for 32-bit programs.
func (a *Action) Sigaction32() compat.Sigaction {
	return compat.Sigaction{
		Handler: uint32(a.Handler), Flags: uint32(a.Flags &^ SA_IA32_ABI), Restorer: uint32(a.Restorer),
		Mask: compat.NewUint64(uint64(a.Mask)),
	}
}

// ActionOf32 returns the action that the struct sigaction of a 32-bit program describes.
func ActionOf32(s *compat.Sigaction) Action {
	return Action{
		Handler: uint64(s.Handler), Flags: uint64(s.Flags) | SA_IA32_ABI, Restorer: uint64(s.Restorer), Mask: Set(s.Mask.Value()),
	}
}

// Caught reports whether the action runs a handler of the program.
func (a *Action) Caught() bool { return a.Handler != SIG_DFL && a.Handler != SIG_IGN }

// Discards reports whether s has no effect under an action with this handler. Such a
// signal does not become pending.
func Discards(handler uint64, s Signal) bool {
	return handler == SIG_IGN || handler == SIG_DFL && DefaultIgnored(s)
}

// Actions is the table of the actions of all signals. The threads of a process
// share it, and so do processes that were created with CLONE_SIGHAND (clone(2)). In
// the zero value every signal has its default action. It is safe for concurrent
// use.
type Actions struct {
	mu sync.Mutex // of the writers
	// version is odd while a writer changes the table. A reader whose reads are
	// between two equal even values needs no lock.
	version   atomic.Uint32
	table     [Last + 1]actionSlot
	immutable atomic.Uint64 // Set: see MakeFatal
}

// actionSlot holds an Action that is read while it may be changed.
type actionSlot struct{ handler, flags, restorer, mask atomic.Uint64 }

func (s *actionSlot) load() Action {
	return Action{Handler: s.handler.Load(), Flags: s.flags.Load(), Restorer: s.restorer.Load(), Mask: Set(s.mask.Load())}
}

// store changes the action of a signal. a.mu is held.
func (a *Actions) store(s Signal, action Action) {
	slot := &a.table[s]
	a.version.Add(1)
	slot.handler.Store(action.Handler)
	slot.flags.Store(action.Flags)
	slot.restorer.Store(action.Restorer)
	slot.mask.Store(uint64(action.Mask))
	a.version.Add(1)
}

// setHandler changes only the handler of a signal, which needs no version. a.mu is
// held.
func (a *Actions) setHandler(s Signal, handler uint64) { a.table[s].handler.Store(handler) }

// Get returns the action of s, which must be a valid signal.
func (a *Actions) Get(s Signal) Action {
	before := a.version.Load()
	action := a.table[s].load()
	if before&1 == 0 && a.version.Load() == before {
		return action
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.table[s].load()
}

// Handler returns the handler of s: a user address, SIG_DFL or SIG_IGN.
func (a *Actions) Handler(s Signal) uint64 { return a.table[s].handler.Load() }

// Set changes the action of s, which must be a valid signal, and returns the old
// action. EINVAL for SIGKILL and SIGSTOP, and after MakeFatal: these actions cannot
// change.
func (a *Actions) Set(s Signal, action Action) (Action, error) {
	if Unblockable.Has(s) {
		return Action{}, unix.EINVAL
	}
	action.Flags &= supportedFlags | SA_IA32_ABI
	action.Mask &^= Unblockable
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.table[s].load()
	if a.Immutable(s) {
		return old, unix.EINVAL
	}
	a.store(s, action)
	return old, nil
}

// Claim returns the action for the delivery of s. If the action has SA_RESETHAND,
// Claim resets the handler in the table to SIG_DFL.
func (a *Actions) Claim(s Signal) Action {
	action := a.Get(s)
	if !action.Caught() || action.Flags&SA_RESETHAND == 0 {
		return action
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	action = a.table[s].load()
	if action.Caught() && action.Flags&SA_RESETHAND != 0 {
		a.setHandler(s, SIG_DFL)
	}
	return action
}

// ForceDefault sets the action of s to the default. The signal of a fault then kills
// the process even if the program ignores or blocks it.
func (a *Actions) ForceDefault(s Signal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.setHandler(s, SIG_DFL)
}

// MakeFatal is ForceDefault, and makes the action unchangeable: neither the program nor
// a tracer can prevent that the signal ends the process (Linux: SA_IMMUTABLE).
func (a *Actions) MakeFatal(s Signal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.setHandler(s, SIG_DFL)
	a.immutable.Or(uint64(SetOf(s)))
}

// Immutable reports whether MakeFatal was called for s.
func (a *Actions) Immutable(s Signal) bool { return Set(a.immutable.Load()).Has(s) }

// Clone returns a copy of the table, for fork(2).
func (a *Actions) Clone() *Actions {
	a.mu.Lock()
	defer a.mu.Unlock()
	clone := new(Actions)
	for s := range a.table {
		clone.store(Signal(s), a.table[s].load())
	}
	return clone
}

// CloneWithoutHandlers returns a copy in which SIG_DFL replaces every handler.
// Ignored signals stay ignored. It is for execve(2) and CLONE_CLEAR_SIGHAND.
func (a *Actions) CloneWithoutHandlers() *Actions {
	clone := new(Actions)
	for s := range a.table {
		if a.Handler(Signal(s)) == SIG_IGN {
			clone.setHandler(Signal(s), SIG_IGN)
		}
	}
	return clone
}

// Sets returns the set of ignored signals and the set of caught signals, for
// /proc/pid/status.
func (a *Actions) Sets() (ignored, caught Set) {
	for s := Signal(1); s <= Last; s++ {
		switch action := a.Get(s); {
		case action.Handler == SIG_IGN:
			ignored.Add(s)
		case action.Caught():
			caught.Add(s)
		}
	}
	return ignored, caught
}
