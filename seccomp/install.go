package seccomp

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/seccomp/bpf"
	"slowpath/task"
)

// Flags of SECCOMP_SET_MODE_FILTER.
const (
	flagTSync        = 1 << 0
	flagLog          = 1 << 1
	flagSpecAllow    = 1 << 2
	flagNewListener  = 1 << 3
	flagTSyncESRCH   = 1 << 4
	flagWaitKillable = 1 << 5
	allFlags         = 1<<6 - 1
)

// checkFlags applies the rules of seccomp(2) for combinations of flags.
func checkFlags(flags uint64) error {
	const returnsID = flagTSync | flagNewListener // which id would the result be?
	switch {
	case flags&^allFlags != 0,
		flags&returnsID == returnsID && flags&flagTSyncESRCH == 0,
		flags&flagWaitKillable != 0 && flags&flagNewListener == 0:
		return unix.EINVAL
	}
	return nil
}

// SetStrict is SECCOMP_SET_MODE_STRICT: EINVAL in filter mode. Only the task's own
// goroutine calls it.
func SetStrict(t *task.Task) error {
	s := of(t)
	if s == nil {
		return unix.EINVAL
	}
	refused := false
	t.Group().WithThreads(func([]*task.Task) {
		refused = !s.mayBecome(Strict)
		if !refused {
			s.mode.Store(uint32(Strict))
		}
	})
	if refused {
		return unix.EINVAL
	}
	t.Frame.DenyTSC(true) // RDTSC could be a covert channel (Linux: disable_TSC)
	t.UpdateLevels()
	return nil
}

// mayBecome reports whether a task may enter a mode: from Disabled any, else only the
// same again.
func (s *state) mayBecome(m Mode) bool { return s.getMode() == Disabled || s.getMode() == m }

// SetFilter is SECCOMP_SET_MODE_FILTER with the user address of a struct sock_fprog.
// The result is 0, the descriptor of the listener, or with TSYNC the id of a thread
// that cannot be synchronized. Only the task's own goroutine calls it.
//
// Errors: EINVAL, EACCES without no_new_privs or CAP_SYS_ADMIN, EFAULT, ENOMEM also for
// a chain that is too long, EMFILE, EBUSY for a second listener, ESRCH.
func SetFilter(t *task.Task, flags, address uint64) (uint64, error) {
	if of(t) == nil {
		return 0, unix.EINVAL
	}
	if err := checkFlags(flags); err != nil {
		return 0, err
	}
	program, err := copyProgram(t, address)
	if err != nil {
		return 0, err
	}
	room := bpf.CompileBytes(len(program))
	if err := t.Kernel().Memory().Reserve(room); err != nil {
		return 0, err
	}
	defer t.Kernel().Memory().Unreserve(room)
	f := newFilter(program)
	f.logged = flags&flagLog != 0
	i := installation{task: t, filter: f, flags: flags}
	if flags&flagNewListener == 0 {
		return i.commit()
	}
	return i.withListener()
}

// copyInHead reads a struct sock_fprog in the layout of the call.
func copyInHead(t *task.Task, address uint64) (abi.SockFprog, error) {
	if t.Layout.Narrow() {
		n, err := abi.CopyIn[compat.SockFprog](t, address)
		return abi.SockFprog{Len: n.Len, Filter: uint64(n.Filter)}, err
	}
	return abi.CopyIn[abi.SockFprog](t, address)
}

// copyProgram copies and checks the instructions of a struct sock_fprog.
func copyProgram(t *task.Task, address uint64) ([]bpf.Instruction, error) {
	head, err := copyInHead(t, address)
	if err != nil {
		return nil, err
	}
	if head.Len == 0 || head.Len > bpf.MaxInstructions {
		return nil, unix.EINVAL
	}
	if !t.NoNewPrivileges() && !t.Credentials().Has(cred.SysAdmin) {
		return nil, unix.EACCES
	}
	const instructionBytes = 8
	if err := t.Kernel().Memory().Admit(int64(head.Len) * instructionBytes); err != nil {
		return nil, err
	}
	program := make([]bpf.Instruction, head.Len)
	if err := abi.CopyInSlice(t, head.Filter, program); err != nil {
		return nil, err
	}
	return program, bpf.Check(program)
}

// installation is one call of SetFilter.
type installation struct {
	task     *task.Task
	filter   *filter
	flags    uint64
	listener *listener // nil without NEW_LISTENER

	stuck *task.Task // a thread that cannot be synchronized
	err   error
}

// withListener installs the filter with a listener, whose descriptor it returns.
func (i *installation) withListener() (uint64, error) {
	t := i.task
	fd, err := t.FDs.Reserve(0, t.DescriptorLimit())
	if err != nil {
		return 0, err
	}
	installed := false
	defer func() {
		if !installed {
			t.FDs.Cancel(fd)
		}
	}()
	i.listener = newListener(t, i.filter, i.flags&flagWaitKillable != 0)
	file := t.FS.Mounts().NewAnonymousNamed("seccomp notify", 0, i.listener)
	id, err := i.commit()
	if err != nil || i.stuck != nil {
		file.DecRef()
		return id, err
	}
	installed = true
	t.FDs.Fill(fd, file, fs.CloseOnExec)
	return uint64(fd), nil
}

// commit puts the filter on the chain of the task, and with TSYNC on those of the other
// threads.
func (i *installation) commit() (uint64, error) {
	t := i.task
	var changed []*task.Task
	t.Group().WithThreads(func(threads []*task.Task) { changed = i.attach(threads) })
	if i.err != nil {
		return 0, i.err
	}
	if i.stuck != nil && i.flags&flagTSyncESRCH != 0 {
		return 0, unix.ESRCH
	}
	if i.stuck != nil {
		return uint64(i.stuck.TID()), nil
	}
	for _, other := range changed {
		other.UpdateLevels()
	}
	return 0, nil
}

// attach is commit with the lock of the process held. It returns the threads whose
// chain has changed (Linux: seccomp_attach_filter).
func (i *installation) attach(threads []*task.Task) (changed []*task.Task) {
	s, f := of(i.task), i.filter
	chain := s.chain.Load()
	switch {
	case !s.mayBecome(Filtered):
		i.err = unix.EINVAL
	case i.listener != nil && chain.hasListener():
		i.err = unix.EBUSY
	case chain.pathLength()+bpf.Length(f.instructions) > maxPath:
		i.err = unix.ENOMEM
	case i.flags&flagTSync != 0:
		i.stuck = unsynchronized(threads, i.task, chain)
	}
	if i.err != nil || i.stuck != nil {
		return nil
	}
	f.extend(chain)
	if i.listener != nil {
		f.listener.Store(i.listener)
	}
	changed = []*task.Task{i.task}
	if i.flags&flagTSync != 0 {
		changed = threads
	}
	changed = append([]*task.Task(nil), changed...)
	for _, t := range changed {
		give(t, f, i.task.NoNewPrivileges())
	}
	return changed
}

// give makes f the chain of a thread.
func give(t *task.Task, f *filter, noNewPrivileges bool) {
	s := of(t)
	if s.gone {
		return
	}
	if noNewPrivileges {
		t.SetNoNewPrivileges()
	}
	s.setChain(f)
	s.mode.CompareAndSwap(uint32(Disabled), uint32(Filtered))
}

// unsynchronized returns a thread that is in strict mode, or has a filter that is not
// in the caller's chain, or nil (Linux: seccomp_can_sync_threads).
func unsynchronized(threads []*task.Task, caller *task.Task, chain *filter) *task.Task {
	for _, t := range threads {
		s := of(t)
		if t == caller || s.gone || s.getMode() == Disabled {
			continue
		}
		if s.getMode() != Filtered || !chain.descendsFrom(s.chain.Load()) {
			return t
		}
	}
	return nil
}
