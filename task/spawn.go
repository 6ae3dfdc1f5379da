package task

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/signal"
	"slowpath/wait"
)

// SpawnRequest describes a process that the kernel starts itself.
type SpawnRequest struct {
	// Path is the program, with its arguments and environment.
	Path       string
	Argv, Envp []string
	// FDs and FS become the process's own.
	FDs *fs.FDTable
	FS  *fs.Context
	// Credentials are root's if nil.
	Credentials *cred.Credentials
	// Terminal becomes the controlling terminal, if it is not nil.
	Terminal Terminal
}

// StartReaper makes process 1 a process of the kernel's own, which adopts
// orphans and waits for them. Programs then are no init: signals kill them as
// usual. It must be called before Spawn, or not at all: then the first program
// is process 1.
func (k *Kernel) StartReaper() {
	t := k.newFirstTask(cred.Root())
	t.comm = "init"
	t.group.Actions.Set(unix.SIGCHLD, signal.Action{Handler: signal.SIG_IGN})
	t.exiting = true
	if err := k.addFirst(t, nil); err != nil {
		panic("task: there is no process id for the first process: " + err.Error())
	}
}

// newFirstTask returns a process of one thread that has no parent: what Fork
// rows make for others (Linux: init_task). It has no memory and no files.
func (k *Kernel) newFirstTask(c *cred.Credentials) *Task {
	g := newThreadGroup(k)
	g.Actions = new(signal.Actions)
	g.Limits.SetAll(DefaultLimits(k.ThreadsMax()))
	t := k.newTask()
	t.group, t.Frame = g, amd64.NewFrame(0)
	t.credentials.Store(c)
	t.timerSlack.Store(defaultTimerSlack)
	t.dumpable.Store(true)
	g.threads = []*Task{t}
	g.live = 1
	return t
}

// defaultTimerSlack is PR_GET_TIMERSLACK of the first process, in nanoseconds.
const defaultTimerSlack = 50000

// Spawn starts a program as a process in a session of its own, a child of
// process 1, and returns it. The caller's interest in FDs and FS ends. Errors:
// those of execve(2). It may sleep.
func (k *Kernel) Spawn(r SpawnRequest) (*ThreadGroup, error) {
	if r.Credentials == nil {
		r.Credentials = cred.Root()
	}
	t := k.newFirstTask(r.Credentials)
	t.FDs, t.FS = r.FDs, r.FS
	at := fs.At{Caller: t, Name: r.Path, Follow: true}
	if err := t.Exec(ExecRequest{At: at, Argv: r.Argv, Envp: r.Envp}); err != nil {
		k.subsystems.discard(t)
		return nil, err
	}
	if err := k.addFirst(t, r.Terminal); err != nil {
		k.subsystems.discard(t)
		return nil, err
	}
	k.Start(t)
	return t.group, nil
}

// addFirst publishes a process that has no parent but init.
func (k *Kernel) addFirst(t *Task, terminal Terminal) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	id, err := k.pids.allocate()
	if err != nil {
		return err
	}
	g := t.group
	t.setID(id)
	g.id, id.group = id, g
	t.exitSignal = unix.SIGCHLD
	if k.init == nil {
		k.init = g
		g.unkillable = true
	} else {
		g.setParent(k.init)
		t.parentTask = k.init.leader()
		k.init.children = append(k.init.children, g)
	}
	k.newSession(g)
	if terminal != nil {
		g.pgrp.session.terminal, g.pgrp.session.foreground = terminal, g.pgrp
	}
	k.count(t)
	return nil
}

// AwaitEnd waits until the process has ended and returns how. It is for the
// kernel's own goroutines, not for tasks.
func (g *ThreadGroup) AwaitEnd() Status {
	var sleeper wait.Sleeper
	w := sleeper.Waiter(waitReadable)
	g.done.Add(w)
	defer g.done.Remove(w)
	for {
		if status, ended := g.Exited(); ended {
			return status
		}
		sleeper.Sleep(0)
	}
}
