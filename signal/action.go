package signal

import (
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/abi"
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

// supportedFlags are what Linux keeps of a new action's flags on x86; a
// program finds out what is supported by reading its action back.
const supportedFlags = SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK |
	SA_RESTART | SA_NODEFER | SA_RESETHAND | SA_EXPOSE_TAGBITS | SA_RESTORER

// The two handlers that are no addresses.
const (
	SIG_DFL = 0
	SIG_IGN = 1
)

// Action is what a process does on a signal: the kernel's struct sigaction.
type Action struct {
	Handler  uint64 // user address, SIG_DFL or SIG_IGN
	Flags    uint64 // SA_*
	Restorer uint64 // user address of the code that calls rt_sigreturn(2)
	Mask     Set    // blocked while the handler runs, besides the signal itself
}

// Sigaction returns the action in the layout of rt_sigaction(2).
func (a *Action) Sigaction() abi.Sigaction {
	return abi.Sigaction{Handler: a.Handler, Flags: a.Flags, Restorer: a.Restorer, Mask: uint64(a.Mask)}
}

// ActionOf returns the action that a program's struct sigaction describes.
func ActionOf(s *abi.Sigaction) Action {
	return Action{Handler: s.Handler, Flags: s.Flags, Restorer: s.Restorer, Mask: Set(s.Mask)}
}

// Caught reports whether the action runs a handler of the user's.
func (a *Action) Caught() bool { return a.Handler != SIG_DFL && a.Handler != SIG_IGN }

// Discards reports whether s does nothing under this action, so that it need
// not become pending.
func (a *Action) Discards(s Signal) bool {
	return a.Handler == SIG_IGN || a.Handler == SIG_DFL && DefaultIgnored(s)
}

// Actions is the table of actions that the threads of a process share, and
// with it the tasks that clone(2) made with CLONE_SIGHAND. The zero value has
// the default for every signal. It is safe for concurrent use.
type Actions struct {
	mu    sync.Mutex
	table [Last + 1]Action
}

// Get returns the action of a valid signal.
func (a *Actions) Get(s Signal) Action {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.table[s]
}

// Set changes the action of a valid signal and returns the old one. SIGKILL
// and SIGSTOP cannot be changed (EINVAL).
func (a *Actions) Set(s Signal, action Action) (Action, error) {
	if Unblockable.Has(s) {
		return Action{}, unix.EINVAL
	}
	action.Flags &= supportedFlags
	action.Mask &^= Unblockable
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.table[s]
	a.table[s] = action
	return old, nil
}

// Claim returns the action for a delivery of s, and resets it first where
// SA_RESETHAND asks for it.
func (a *Actions) Claim(s Signal) Action {
	a.mu.Lock()
	defer a.mu.Unlock()
	action := a.table[s]
	if action.Caught() && action.Flags&SA_RESETHAND != 0 {
		a.table[s].Handler = SIG_DFL
	}
	return action
}

// ForceDefault makes the default the action of s: a fault that is ignored or
// blocked must still end the process.
func (a *Actions) ForceDefault(s Signal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.table[s].Handler = SIG_DFL
}

// Clone returns a copy of the table (fork(2)).
func (a *Actions) Clone() *Actions {
	a.mu.Lock()
	defer a.mu.Unlock()
	return &Actions{table: a.table}
}

// CloneWithoutHandlers returns a copy in which every handler is SIG_DFL, and
// what was SIG_IGN still is (execve(2), CLONE_CLEAR_SIGHAND).
func (a *Actions) CloneWithoutHandlers() *Actions {
	clone := a.Clone()
	for s := range clone.table {
		handler := uint64(SIG_DFL)
		if clone.table[s].Handler == SIG_IGN {
			handler = SIG_IGN
		}
		clone.table[s] = Action{Handler: handler}
	}
	return clone
}

// Sets returns the ignored and the caught signals, as /proc/pid/status shows
// them.
func (a *Actions) Sets() (ignored, caught Set) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for s := Signal(1); s <= Last; s++ {
		switch {
		case a.table[s].Handler == SIG_IGN:
			ignored.Add(s)
		case a.table[s].Caught():
			caught.Add(s)
		}
	}
	return ignored, caught
}
