package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/entry"
	"slowpath/signal"
)

// CloneArgs are the arguments of clone3(2); clone(2), fork(2) and vfork(2) are
// special cases. Addresses are the user's, 0 where the flag that uses them is
// not set.
type CloneArgs struct {
	Flags      uint64
	PIDFD      uint64 // CLONE_PIDFD: where the descriptor is stored
	ChildTID   uint64 // CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID
	ParentTID  uint64 // CLONE_PARENT_SETTID
	ExitSignal signal.Signal
	Stack      uint64 // the child's stack pointer, 0: the parent's
	TLS        uint64 // CLONE_SETTLS
	SetTID     int    // the id that the child is to have, 0: any
}

// namespaceFlags ask for name spaces of which there is only one each.
const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWTIME

// forbiddenPairs are flags that exclude each other, or need each other: the
// first without the second, as far as without says.
var forbiddenPairs = []struct {
	flags, and uint64
	without    bool
}{
	{unix.CLONE_NEWNS, unix.CLONE_FS, false},
	{unix.CLONE_NEWUSER, unix.CLONE_FS, false},
	{unix.CLONE_THREAD, unix.CLONE_SIGHAND, true},
	{unix.CLONE_SIGHAND, unix.CLONE_VM, true},
	{unix.CLONE_THREAD, unix.CLONE_NEWUSER, false},
	{unix.CLONE_THREAD, unix.CLONE_NEWPID, false},
	{unix.CLONE_PIDFD, unix.CLONE_THREAD, false},
	{unix.CLONE_PIDFD, unix.CLONE_DETACHED, false},
	{unix.CLONE_SIGHAND, unix.CLONE_CLEAR_SIGHAND, false},
}

// check applies the rules of clone(2) that need nothing but the flags.
func (a *CloneArgs) check(t *Task) error {
	for _, pair := range forbiddenPairs {
		has := a.Flags&pair.and != 0
		if a.Flags&pair.flags != 0 && has != pair.without {
			return unix.EINVAL
		}
	}
	if a.Flags&unix.CLONE_PARENT != 0 && t.group == t.kernel.init {
		return unix.EINVAL // the child would have no parent
	}
	if a.Flags&namespaceFlags != 0 {
		return t.RefuseNamespace()
	}
	if a.Flags&unix.CLONE_SETTLS != 0 && a.TLS >= amd64.UserLimit {
		return unix.EPERM
	}
	return nil
}

// RefuseNamespace is the answer of a kernel that is built without name spaces:
// EPERM to those who may not make one, EINVAL to the others.
func (t *Task) RefuseNamespace() error {
	if !t.Credentials().Has(cred.SysAdmin) {
		return unix.EPERM
	}
	return unix.EINVAL
}

// Clone makes a task as clone3(2) says, starts it, and returns its id. With
// CLONE_VFORK it returns when the child has called execve(2) or has ended.
//
// Errors: those of clone(2), and ERESTARTNOINTR if a signal came first, so
// that no signal to a process misses a new thread or a new member of a group.
func (t *Task) Clone(a CloneArgs) (int, error) {
	if err := a.check(t); err != nil {
		return 0, err
	}
	if err := t.checkProcessLimit(); err != nil {
		return 0, err
	}
	child, err := t.newChild(&a)
	if err != nil {
		return 0, err
	}
	if err := t.publish(child, &a); err != nil {
		child.discard()
		return 0, err
	}
	tid := child.TID()
	if err := t.storeIDs(child, &a, tid); err != nil {
		return 0, err
	}
	vfork := child.vfork
	t.kernel.Start(child)
	if vfork != nil {
		vfork.wait(t)
	}
	return tid, nil
}

// checkProcessLimit is EAGAIN if the machine has as many tasks as its memory
// allows, and for an ordinary user with more than RLIMIT_NPROC.
func (t *Task) checkProcessLimit() error {
	if t.kernel.Threads() >= t.kernel.ThreadsMax() {
		return unix.EAGAIN
	}
	c := t.Credentials()
	count := t.kernel.users.get(c.UID).processes.Load()
	if uint64(count) < t.group.Limits.Soft(unix.RLIMIT_NPROC) ||
		c.UID == 0 || c.Has(cred.SysResource) || c.Has(cred.SysAdmin) {
		return nil
	}
	return unix.EAGAIN
}

// newChild makes the task with all that it shares or copies. Nobody knows of
// it yet.
func (t *Task) newChild(a *CloneArgs) (*Task, error) {
	child := &Task{kernel: t.kernel, comm: t.Comm()}
	child.credentials.Store(t.Credentials())
	child.blocked = t.Blocked()
	child.inherit(t)
	if err := child.takeMemory(t, a.Flags); err != nil {
		return nil, err
	}
	child.takeFiles(t, a.Flags)
	child.takeRegisters(t, a)
	child.takeGroup(t, a.Flags)
	if a.Flags&unix.CLONE_CHILD_CLEARTID != 0 {
		child.clearChildTID = a.ChildTID
	}
	if a.Flags&unix.CLONE_VFORK != 0 {
		child.vfork = new(vforkWait)
	}
	return child, nil
}

// inherit copies the small attributes that every child has from its parent.
func (child *Task) inherit(t *Task) {
	child.noNewPrivs.Store(t.noNewPrivs.Load())
	child.dumpable.Store(t.dumpable.Load())
	child.program.Store(t.program.Load())
	child.personality.Store(t.personality.Load())
	child.timerSlack.Store(t.timerSlack.Load())
	child.Scheduling.inherit(&t.Scheduling)
}

// takeMemory shares or copies the address space. A child that shares it, but
// is no vfork child, has no alternate stack: two threads must not run on one.
func (child *Task) takeMemory(t *Task, flags uint64) error {
	if flags&unix.CLONE_VM != 0 {
		t.MM.IncRef()
		child.MM = t.MM
		if flags&unix.CLONE_VFORK != 0 {
			child.AltStack = t.AltStack
		}
		return nil
	}
	memory, err := t.MM.Fork()
	if err != nil {
		return err
	}
	child.MM = memory
	child.AltStack = t.AltStack
	child.rseq = t.rseq
	return nil
}

func (child *Task) takeFiles(t *Task, flags uint64) {
	if flags&unix.CLONE_FILES != 0 {
		child.FDs = t.FDs.Share()
	} else {
		child.FDs = t.FDs.Copy()
	}
	if flags&unix.CLONE_FS != 0 {
		child.FS = t.FS.Share()
	} else {
		child.FS = t.FS.Copy()
	}
}

// takeRegisters copies the frame: the child returns 0 from the same call.
func (child *Task) takeRegisters(t *Task, a *CloneArgs) {
	child.Frame = amd64.NewFrame(child.MM.Root())
	child.Frame.Copy(t.Frame)
	child.Frame.SetAffinity(t.Frame.Affinity())
	child.Frame.RAX = 0
	if a.Stack != 0 {
		child.Frame.RSP = a.Stack
	}
	if a.Flags&unix.CLONE_SETTLS != 0 {
		child.Frame.FSBase = a.TLS
	}
}

// takeGroup makes the process of a child that is no thread.
func (child *Task) takeGroup(t *Task, flags uint64) {
	if flags&unix.CLONE_THREAD != 0 {
		child.group = t.group
		return
	}
	g := newThreadGroup(t.kernel)
	g.Actions = t.group.Actions
	if flags&unix.CLONE_SIGHAND == 0 {
		g.Actions = t.group.Actions.Clone(flags&unix.CLONE_CLEAR_SIGHAND != 0)
	}
	g.Limits.SetAll(t.group.Limits.All())
	g.OOMAdjust.Store(t.group.OOMAdjust.Load())
	child.group = g
}

// discard gives back what a child holds that was never published.
func (child *Task) discard() {
	child.FDs.Release()
	child.FS.Release()
	child.MM.DecRef()
}

// publish makes the child known: from here on it can be found, signalled and
// waited for.
func (t *Task) publish(child *Task, a *CloneArgs) error {
	k := t.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	t.recalculate()
	if t.Interrupted() {
		return abi.ERESTARTNOINTR
	}
	id, err := k.newID(a.SetTID)
	if err != nil {
		return err
	}
	child.setID(id)
	child.parentTask = t
	if a.Flags&unix.CLONE_THREAD != 0 {
		g.threads = append(g.threads, child)
		g.live++
	} else {
		k.addProcess(t, child, a)
	}
	k.count(child)
	return nil
}

func (k *Kernel) newID(number int) (*pid, error) {
	if number != 0 {
		return k.pids.allocateNumber(number)
	}
	return k.pids.allocate()
}

// setID gives the task its id. The kernel's lock is held.
func (t *Task) setID(id *pid) {
	t.id = id
	id.task = t
	t.tid.Store(int32(id.number))
}

// count enters a new task into the statistics.
func (k *Kernel) count(t *Task) {
	entry.Raise(&t.Frame.ThreadFlags, k.Levels())
	k.threads++
	k.forks.Add(1)
	k.users.get(t.Credentials().UID).processes.Add(1)
}

// addProcess makes child the leader of its own process, a child of t's or,
// with CLONE_PARENT, a sibling.
func (k *Kernel) addProcess(t, child *Task, a *CloneArgs) {
	g := child.group
	g.id = child.id
	g.id.group = g
	g.threads = []*Task{child}
	g.live = 1
	g.setParent(t.group)
	child.exitSignal = a.ExitSignal
	if a.Flags&unix.CLONE_PARENT != 0 {
		g.setParent(t.group.parent)
		child.parentTask = t.group.leader().parentTask
		child.exitSignal = t.group.leader().exitSignal
	}
	g.parent.children = append(g.parent.children, g)
	k.join(g, t.group.pgrp)
}

// storeIDs writes the child's id, and a descriptor of it, where the parent
// wants them.
func (t *Task) storeIDs(child *Task, a *CloneArgs, tid int) error {
	if a.Flags&unix.CLONE_PIDFD != 0 {
		if err := t.storePIDFD(child, a.PIDFD); err != nil {
			child.abandon()
			return err
		}
	}
	if a.Flags&unix.CLONE_PARENT_SETTID != 0 {
		t.StoreUint32(a.ParentTID, uint32(tid)) // a bad address is ignored, as by Linux
	}
	if a.Flags&unix.CLONE_CHILD_SETTID != 0 {
		child.StoreUint32(a.ChildTID, uint32(tid))
	}
	return nil
}

// abandon ends a child that was published but may not start: its goroutine
// runs only to end it.
func (child *Task) abandon() {
	child.vfork = nil
	child.group.kernel.mu.Lock()
	child.exitSignal = 0
	child.group.kernel.mu.Unlock()
	child.exit()
}
