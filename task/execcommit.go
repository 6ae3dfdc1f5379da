package task

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/guard"
	"slowpath/mm"
	"slowpath/signal"
)

// Execution is the new program in the Exec functions of subsystems.
type Execution struct {
	// Program describes the new program for /proc.
	Program *Program
	// Secure is AT_SECURE: the program has more privileges than its caller.
	Secure bool

	program *program
	image   *loaded
}

// commitExec replaces the task's program. After the other threads have been
// killed, an error comes with a fatal signal.
func (t *Task) commitExec(p *program) error {
	l, err := t.load(p)
	if err != nil {
		// Linux has released the old memory at this point, and kills the task.
		t.ForceFatal(unix.SIGSEGV)
		return err
	}
	if err := t.endOtherThreads(); err != nil {
		l.memory.DecRef()
		return err
	}
	t.personality.Store(p.personality)
	t.kernel.subsystems.exec(t, &Execution{Program: l.program, Secure: p.secure, program: p, image: l})
	t.UpdateLevels()
	return nil
}

// endOtherThreads kills the other threads of the process, waits for their exit,
// and makes the task the leader (Linux: de_thread). EAGAIN if the process is
// exiting, or if another thread is in execve(2).
func (t *Task) endOtherThreads() error {
	if !t.killOtherThreads() {
		return unix.EAGAIN
	}
	g := t.group
	err := t.BlockKillable(&g.done, waitReadable, 0, t.mayExecute)
	if err == nil {
		t.kernel.makeLeader(t)
	}
	g.mu.Lock()
	g.execTask = nil
	g.mu.Unlock()
	if err != nil {
		return unix.EAGAIN
	}
	return nil
}

// killOtherThreads makes the task the one that executes a program, and kills the other
// threads. It reports false if the process is exiting, or if another thread is in
// execve(2).
func (t *Task) killOtherThreads() bool {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.groupExit || g.execTask != nil || t.killed.Load() {
		return false
	}
	g.execTask = t
	for _, other := range g.threads {
		if other != t && !other.ended {
			other.kill()
		}
	}
	return true
}

// mayExecute reports whether all other threads were released, except the leader, which
// is a zombie: the process has its id. A thread that is traced is released when its
// tracer has waited for it, as on Linux.
func (t *Task) mayExecute() bool {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.threads {
		if other != t && (i > 0 || exitState(other.exitState.Load()) == alive) {
			return false
		}
	}
	return true
}

// isAlone reports whether all other threads have exited.
func (t *Task) isAlone() bool {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, other := range g.threads {
		if other != t && exitState(other.exitState.Load()) == alive {
			return false
		}
	}
	return true
}

// makeLeader makes t, the only live thread, the leader, with the leader's id.
func (k *Kernel) makeLeader(t *Task) {
	k.mu.Lock()
	defer k.mu.Unlock()
	g := t.group
	old := g.leader()
	if old == t {
		return
	}
	k.untrace(old)
	number := t.id
	number.task = nil
	k.pids.release(number)
	guard.With(&g.mu, func() {
		g.threads = []*Task{t}
		old.pending.Discard(^signal.Set(0))
	})
	t.setID(g.id)
	t.exitSignal, t.parentTask = unix.SIGCHLD, old.parentTask
	for _, child := range g.children {
		child.leader().parentTask = t
	}
	old.exitState.Store(uint32(dead))
	k.threads--
	k.users.addTasks(old.Credentials().UID, -1)
}

// programSubsystem is what /proc shows of the program, and the thread's name.
var programSubsystem = Subsystem{
	Name: "program",
	Fork: func(parent, child *Task, a *CloneArgs) error {
		child.comm.Store(parent.comm.Load())
		cell := parent.program.Load()
		if cell != nil && a.Flags&unix.CLONE_VM == 0 {
			cell = newProgramCell(cell.load())
		}
		child.program.Store(cell)
		return nil
	},
	Exec: func(t *Task, x *Execution) { t.SetComm(x.program.comm) },
}

// Program returns the program that the task runs, nil for the kernel's own task.
// Any goroutine may call it.
func (t *Task) Program() *Program { return t.program.Load().load() }

// memoryLimits returns the resource limits that package mm enforces.
func (g *ThreadGroup) memoryLimits(c *cred.Credentials) mm.Limits {
	locked := g.Limits.Soft(unix.RLIMIT_MEMLOCK)
	if c.Has(cred.IPCLock) {
		locked = mm.Unlimited
	}
	return mm.Limits{
		Space:  g.Limits.Soft(unix.RLIMIT_AS),
		Data:   g.Limits.Soft(unix.RLIMIT_DATA),
		Stack:  g.Limits.Soft(unix.RLIMIT_STACK),
		Locked: locked,
	}
}
