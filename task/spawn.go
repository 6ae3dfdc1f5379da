package task

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/signal"
	"slowpath/wait"
)

// SpawnRequest describes a process for Kernel.Spawn.
type SpawnRequest struct {
	// Path is the program, with its arguments and environment.
	Path       string
	Argv, Envp []string
	// FDs and FS are taken over by the process.
	FDs *fs.FDTable
	FS  *fs.Context
	// Credentials: nil stands for root's.
	Credentials *cred.Credentials
	// CoreFiles lets the process write core files of any size: RLIMIT_CORE.
	CoreFiles bool
	// Terminal is the controlling terminal, or nil.
	Terminal Terminal
}

// StartReaper makes process 1 a process of the kernel, which adopts orphans and
// reaps them. Programs then do not have init's protection from signals. It must
// be called before Spawn. If it is not called, the first program is process 1.
func (k *Kernel) StartReaper() {
	t := k.newFirstTask(cred.Root())
	t.SetComm("init")
	t.group.Actions().Set(unix.SIGCHLD, signal.Action{Handler: signal.SIG_IGN})
	t.SetExiting()
	if err := k.addFirst(t, nil); err != nil {
		panic("task: there is no process id for the first process: " + err.Error())
	}
}

// newFirstTask returns a process of one thread that has no parent (Linux:
// init_task). It sets what Fork rows set for other tasks. The process has no
// memory and no files.
func (k *Kernel) newFirstTask(c *cred.Credentials) *Task {
	g := newThreadGroup(k)
	g.actions.Store(new(signal.Actions))
	g.Limits.SetAll(DefaultLimits(k.ThreadsMax()))
	t := k.newTask()
	t.group, t.Frame = g, amd64.NewFrame(0)
	t.credentials.Store(c)
	t.user.Store(k.users.get(c.UID))
	t.timerSlack.Store(defaultTimerSlack)
	t.defaultSlack.Store(defaultTimerSlack)
	g.threads = []*Task{t}
	g.live = 1
	return t
}

// defaultTimerSlack is PR_GET_TIMERSLACK of the first process, in nanoseconds.
const defaultTimerSlack = 50000

// Spawn starts a program as a process in a session of its own, a child of
// process 1, and returns it. It takes over FDs and FS, also on an error. Errors:
// those of execve(2). It may sleep.
func (k *Kernel) Spawn(r SpawnRequest) (*ThreadGroup, error) {
	if r.Credentials == nil {
		r.Credentials = cred.Root()
	}
	t := k.newFirstTask(r.Credentials)
	if r.CoreFiles {
		limits := t.group.Limits.All()
		limits[unix.RLIMIT_CORE] = Limit{Infinity, Infinity}
		t.group.Limits.SetAll(limits)
	}
	r.FDs.SetMemory(k.Memory())
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
	if k.config.Isolated != 0 {
		k.Scheduler().SetAffinity(t.Entity(), k.allCPUs()&^k.config.Isolated)
	}
	k.Start(t)
	return t.group, nil
}

// addFirst publishes a process without a parent, as a child of init.
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

// AwaitEnd sleeps until the process has exited, and returns its status. It is for
// the kernel's own goroutines: a task uses Task.Wait.
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
