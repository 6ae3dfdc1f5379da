package task

import (
	"time"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/mm"
	"slowpath/signal"
)

// CloneArgs are the arguments of clone3(2). clone(2), fork(2) and vfork(2) are
// special cases. The addresses are user addresses, and 0 if the flag that uses
// them is not set.
type CloneArgs struct {
	Flags      uint64
	PIDFD      uint64 // CLONE_PIDFD: where the descriptor is stored
	ChildTID   uint64 // CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID
	ParentTID  uint64 // CLONE_PARENT_SETTID
	ExitSignal signal.Signal
	Stack      uint64 // the child's stack pointer; 0 keeps the parent's
	TLS        uint64 // CLONE_SETTLS: the base of FS
	// ThreadArea is CLONE_SETTLS of a 32-bit call: a segment of set_thread_area(2) that
	// CheckThreadArea has accepted, or nil.
	ThreadArea *compat.UserDesc
	SetTID     int // the id of the child; 0 lets the kernel choose
}

// thread reports whether the child is a thread of the parent's process.
func (a *CloneArgs) thread() bool { return a.Flags&unix.CLONE_THREAD != 0 }

// namespaceFlags ask for new namespaces, which this kernel does not have.
const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWTIME

// flagRule is EINVAL for a call with flag if one of needs is missing or one of
// excludes is set.
type flagRule struct{ flag, needs, excludes uint64 }

// flagRules are the rules of clone(2), "ERRORS".
var flagRules = []flagRule{
	{flag: unix.CLONE_NEWNS, excludes: unix.CLONE_FS},
	{flag: unix.CLONE_NEWUSER, excludes: unix.CLONE_FS},
	{flag: unix.CLONE_THREAD, needs: unix.CLONE_SIGHAND, excludes: unix.CLONE_NEWUSER | unix.CLONE_NEWPID},
	{flag: unix.CLONE_SIGHAND, needs: unix.CLONE_VM, excludes: unix.CLONE_CLEAR_SIGHAND},
	{flag: unix.CLONE_PIDFD, excludes: unix.CLONE_THREAD | unix.CLONE_DETACHED},
}

// check applies the rules of clone(2) that depend only on the arguments.
func (a *CloneArgs) check(t *Task) error {
	for _, rule := range flagRules {
		if a.Flags&rule.flag != 0 && (a.Flags&rule.needs != rule.needs || a.Flags&rule.excludes != 0) {
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

// RefuseNamespace returns the error of a kernel that is built without
// namespaces: EPERM for a caller without CAP_SYS_ADMIN, else EINVAL.
func (t *Task) RefuseNamespace() error {
	if !t.Credentials().Has(cred.SysAdmin) {
		return unix.EPERM
	}
	return unix.EINVAL
}

// Clone is clone3(2): it makes and starts a task and returns its id. With
// CLONE_VFORK it returns after the child has called execve(2) or has exited.
// Only the task's own goroutine calls it; it may sleep.
//
// Errors: those of clone(2), and ERESTARTNOINTR if a signal is pending. The
// signal is handled first, so that a signal to a process or a process group
// also reaches a thread or process that is being made.
func (t *Task) Clone(a CloneArgs) (int, error) {
	for tries := 0; ; tries++ {
		reserved := t.kernel.Memory().Reserved() > 0
		tid, err := t.tryClone(a)
		if err != unix.ENOMEM || tries == maxCloneTries || !t.freeMemoryForClone(reserved) {
			return tid, err
		}
	}
}

// A privileged clone waits up to maxCloneTries times reservationPause for memory that
// other tasks have reserved, and kills at most that many processes.
const (
	maxCloneTries    = 1000
	reservationPause = time.Millisecond
)

// freeMemoryForClone lets the OOM killer free memory for a privileged task, or waits
// for the reservations of others, and reports whether clone must be tried again. An
// administrator must be able to start the process that ends a program which takes all
// memory (Linux: admin_reserve_kbytes). An unprivileged task gets the error: it may be
// one of thousands of that program. reserved says whether others had reservations when
// clone was tried: they may have ended since.
func (t *Task) freeMemoryForClone(reserved bool) bool {
	if t.Killed() || !t.Credentials().Has(cred.SysResource) {
		return false
	}
	memory := t.kernel.Memory()
	if memory.Shortage() != mm.Enough || memory.Stats().Available <= oomRoom {
		return t.kernel.OOMKillAndWait(t.group) && !t.Killed()
	}
	if reserved {
		time.Sleep(reservationPause)
	}
	return reserved
}

// tryClone is Clone without the OOM killer.
func (t *Task) tryClone(a CloneArgs) (int, error) {
	if err := a.check(t); err != nil {
		return 0, err
	}
	if err := t.checkProcessLimit(t.kernel.Threads()); err != nil {
		return 0, err
	}
	// Until the child's goroutine has its stack, the task is counted as used: many
	// tasks may be here at the same time, and each may wait for another.
	if err := t.kernel.Memory().Reserve(taskBytes); err != nil {
		return 0, err
	}
	parts := &t.kernel.subsystems
	child := t.kernel.newTask()
	child.reserved = taskBytes
	abandon := func(*Task) {} // what an error or a panic must do with the child
	defer func() {
		if abandon != nil {
			child.unreserve()
			abandon(child)
		}
	}()
	if err := parts.fork(t, child, &a); err != nil {
		return 0, err
	}
	abandon = parts.discard
	pidfd, err := t.storePIDFD(child, &a)
	if err != nil {
		return 0, err
	}
	if err := t.publish(child, &a); err != nil {
		pidfd.discard(t)
		return 0, err
	}
	abandon = (*Task).exitUnstarted
	pidfd.publish()
	tid := child.TID()
	t.storeIDs(child, &a, tid)
	if p := &t.kernel.Tracepoints.Forked; p.Active() {
		p.Call(Forked{Parent: t, Child: child, Arguments: &a})
	}
	abandon = nil
	t.kernel.Start(child)
	parts.started(t, child, &a)
	t.awaitVfork(child, tid)
	return tid, nil
}

// checkProcessLimit returns EAGAIN if there are ThreadsMax tasks, or if the user
// has RLIMIT_NPROC tasks and no privilege. tasks is the number of tasks. publish checks
// again under the kernel's lock, because many tasks may be between the check and there.
func (t *Task) checkProcessLimit(tasks int) error {
	if tasks >= t.kernel.ThreadsMax() {
		return unix.EAGAIN
	}
	c := t.Credentials()
	count := t.kernel.users.get(c.UID).processes.Load()
	if uint64(count) < t.group.Limits.Soft(unix.RLIMIT_NPROC) ||
		c.UID == 0 || c.ExemptFromUserLimits() {
		return nil
	}
	return unix.EAGAIN
}

// unreserve ends the reservation of memory for the task, if it has one.
func (t *Task) unreserve() {
	t.kernel.Memory().Unreserve(t.reserved)
	t.reserved = 0
}

// publish gives the child its id: from now on other tasks can find it, send it
// signals and wait for it.
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
	if err := t.checkProcessLimit(k.threads); err != nil {
		return err
	}
	id, err := k.newID(a.SetTID)
	if err != nil {
		return err
	}
	child.setID(id)
	child.parentTask = t
	if a.thread() {
		g.threads = append(g.threads, child)
		g.live++
	} else {
		k.addProcess(t, child, a)
	}
	k.subsystems.publish(t, child, a)
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
	t.Visit.Task = int32(id.number)
}

// count adds a new task to the statistics, and gives it its level duties. The
// kernel's lock is held.
func (k *Kernel) count(t *Task) {
	t.UpdateLevels()
	k.threads++
	k.forks.Add(1)
	k.users.addTasks(t.Credentials().UID, 1)
}

// addProcess makes child the leader of a process of its own. The process is a
// child of t's process, or with CLONE_PARENT a sibling of it.
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

// storeIDs stores the child's id at the addresses that the flags ask for. Linux
// ignores a bad address too.
func (t *Task) storeIDs(child *Task, a *CloneArgs, tid int) {
	if a.Flags&unix.CLONE_PARENT_SETTID != 0 {
		t.StoreUint32(a.ParentTID, uint32(tid))
	}
	if a.Flags&unix.CLONE_CHILD_SETTID != 0 {
		child.MM.WriteRemote(a.ChildTID, wordBytes(uint32(tid)), mm.ByProtection)
	}
}

// exitUnstarted ends a child that was published but not started, because the call
// panicked, on the parent's goroutine. The parent gets no signal.
func (child *Task) exitUnstarted() {
	child.silence()
	child.exit()
	k := child.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	if g := child.group; g.leader() == child && exitState(child.exitState.Load()) == zombie {
		k.reap(g) // init, with CLONE_PARENT, reaps only children that send SIGCHLD
	}
}

// silence makes the task's exit send no signal.
func (child *Task) silence() {
	k := child.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	child.exitSignal = 0
	k.untrace(child)
}
