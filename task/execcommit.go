package task

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
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
	t.kernel.subsystems.exec(t, &Execution{Program: l.program, Secure: p.secure, program: p, image: l})
	t.UpdateLevels()
	return nil
}

// endOtherThreads kills the other threads of the process, waits for their exit,
// and makes the task the leader (Linux: de_thread). EAGAIN if the process is
// exiting, or if another thread is in execve(2).
func (t *Task) endOtherThreads() error {
	g := t.group
	g.mu.Lock()
	if g.groupExit || g.execTask != nil || t.killed.Load() {
		g.mu.Unlock()
		return unix.EAGAIN
	}
	g.execTask = t
	for _, other := range g.threads {
		if other != t && !other.ended {
			other.kill()
		}
	}
	g.mu.Unlock()
	err := t.BlockKillable(&g.done, waitReadable, 0, t.isAlone)
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

// isAlone reports whether all other threads have exited. The leader then is a
// zombie: it is not released, because the process has its id.
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
	number := t.id
	number.task = nil
	k.pids.release(number)
	g.mu.Lock()
	g.threads = []*Task{t}
	old.pending.Discard(^signal.Set(0))
	g.mu.Unlock()
	t.setID(g.id)
	t.exitSignal, t.parentTask = unix.SIGCHLD, old.parentTask
	for _, child := range g.children {
		child.leader().parentTask = t
	}
	old.exitState.Store(uint32(dead))
	k.threads--
	k.users.get(old.Credentials().UID).processes.Add(-1)
}

// programSubsystem is what /proc shows of the program, and the thread's name.
var programSubsystem = Subsystem{
	Name: "program",
	Fork: func(parent, child *Task, _ *CloneArgs) error {
		child.comm = parent.Comm()
		child.program.Store(parent.program.Load())
		return nil
	},
	Exec: func(t *Task, x *Execution) {
		t.program.Store(x.Program)
		t.SetComm(x.program.comm)
	},
}

// Program returns the program that the task runs, nil for the kernel's own task.
// Any goroutine may call it.
func (t *Task) Program() *Program { return t.program.Load() }

// credentialsSubsystem is the identity (credentials(7)).
var credentialsSubsystem = Subsystem{
	Name: "credentials",
	Fork: func(parent, child *Task, _ *CloneArgs) error {
		child.credentials.Store(parent.Credentials())
		return nil
	},
	Exec: func(t *Task, x *Execution) {
		next := x.program.credentials
		if x.Secure || next.Permitted&^t.Credentials().Permitted != 0 {
			// The parent must not signal a program that has more privileges
			// (prctl(2), PR_SET_PDEATHSIG; Linux: begin_new_exec, commit_creds).
			t.parentDeath.Store(0)
		}
		t.setCredentials(next)
	},
}

// Bits of a file's mode and of PR_SET_SECUREBITS that matter to execve(2).
const (
	secureNoRoot   = 1 << 0 // SECBIT_NOROOT
	secureKeepCaps = 1 << 4 // SECBIT_KEEP_CAPS
)

// execCredentials returns the credentials after the execution of file, and
// whether they have more privileges than those before (execve(2),
// capabilities(7)).
func (t *Task) execCredentials(file *fs.File) (*cred.Credentials, bool) {
	old := t.Credentials()
	next := old.Clone()
	attributes := file.Attributes()
	privileged := false
	if !t.noNewPrivs.Load() && !file.Path().Statistics().NoSUID {
		if attributes.Mode&unix.S_ISUID != 0 {
			next.EUID, privileged = attributes.UID, true
		}
		if attributes.Mode&(unix.S_ISGID|unix.S_IXGRP) == unix.S_ISGID|unix.S_IXGRP {
			next.EGID, privileged = attributes.GID, true
		}
	}
	next.SUID, next.FSUID = next.EUID, next.EUID
	next.SGID, next.FSGID = next.EGID, next.EGID
	changed := next.EUID != old.EUID || next.EGID != old.EGID
	if privileged && changed {
		next.Ambient = 0
	}
	execCapabilities(next)
	next.SecureBits &^= secureKeepCaps
	gained := next.Permitted&^old.Permitted != 0 && next.UID != 0
	return next, changed || gained || next.EUID != next.UID || next.EGID != next.GID
}

// execCapabilities sets the capabilities of a program whose file has none: root
// gets all, other users keep the ambient set.
func execCapabilities(c *cred.Credentials) {
	if c.SecureBits&secureNoRoot == 0 && (c.EUID == 0 || c.UID == 0) {
		c.Permitted = c.Bounding | c.Inheritable
		c.Effective = 0
		if c.EUID == 0 {
			c.Effective = c.Permitted
		}
		c.Ambient = 0
		return
	}
	c.Permitted, c.Effective = c.Ambient, c.Ambient
}

// setCredentials publishes new credentials. If the real user changes, the task is
// counted for the new one.
func (t *Task) setCredentials(c *cred.Credentials) {
	old := t.credentials.Swap(c)
	if old.UID != c.UID {
		users := &t.kernel.users
		users.get(c.UID).processes.Add(1)
		users.get(old.UID).processes.Add(-1)
	}
}

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
