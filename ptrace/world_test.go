package ptrace

import (
	stdelf "debug/elf"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/entry"
	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/mm"
	"slowpath/signal"
	"slowpath/task"
	"slowpath/task/elf"
)

// world is a kernel with a simulated user mode: a program is a Go function. The
// instruction pointer of a task's frame selects the function.
type world struct {
	*fstest.World
	k *task.Kernel

	spawned atomic.Int32 // processes
	mu      sync.Mutex
	names   map[string]body // programs by path
	code    []body          // functions by address: code[n] is at codeBase+n
}

// body is the program of a task.
type body func(t *task.Task)

// codeBase is the address of the first function. No memory is mapped there.
const codeBase = 0x10

// programBase is the address of the ELF program of the tests, one writable page.
// scratch is its upper half, which the tests use for data.
const (
	programBase = 0x400000
	scratch     = programBase + 0x800
)

// newWorld returns a kernel with package ptrace. At the end of the test it checks
// that all tasks have exited.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: fstest.New(t, 4096), names: make(map[string]body)}
	w.k = task.New(task.Config{Run: w.run, Memory: w.Memory, NoRandomize: true, Log: t.Logf})
	Register(w.k)
	w.k.StartReaper()
	t.Cleanup(func() {
		w.eventually("the end of every task", func() bool {
			for _, g := range w.k.Groups() {
				if g.PID() != 1 {
					g.Kill()
				}
			}
			return w.k.Threads() == 1
		})
	})
	return w
}

// run is the user loop of the tests: it calls the body, delivers signals, and exits
// the process.
func (w *world) run(t *task.Task) {
	w.body(t)(t)
	w.user(t)
	if !t.Exiting() {
		t.ExitGroup(task.ExitStatus(0))
	}
}

// body returns the function that the task executes.
func (w *world) body(t *task.Task) body {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at := t.Frame.RIP - codeBase; at < uint64(len(w.code)) {
		return w.code[at]
	}
	return w.names[t.Program().Path]
}

// user delivers signals like the loop before user mode.
func (w *world) user(t *task.Task) {
	for !t.Exiting() && entry.Claim(&t.Frame.ThreadFlags, entry.SigPending) {
		t.DeliverSignals(t.Frame)
	}
}

// address registers a function and returns its instruction pointer.
func (w *world) address(f body) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.code = append(w.code, f)
	return codeBase + uint64(len(w.code)) - 1
}

// install creates a program that executes f.
func (w *world) install(name string, mode uint32, f body) {
	w.T.Helper()
	const headers = elf.FileHeaderSize + elf.HeaderSize
	file := elf.Headers(stdelf.ET_EXEC, programBase+headers, stdelf.Prog64{
		Type: uint32(stdelf.PT_LOAD), Flags: uint32(stdelf.PF_R | stdelf.PF_W | stdelf.PF_X), Vaddr: programBase,
		Filesz: headers, Memsz: mm.PageSize, Align: mm.PageSize,
	})
	w.Write(name, string(file))
	opened, err := w.At(name).Open(unix.O_RDONLY, 0)
	if err != nil {
		w.T.Fatal(err)
	}
	defer opened.DecRef()
	if err := opened.Inode().Change(fs.Changes{Mask: fs.ChangeMode, Mode: mode}); err != nil {
		w.T.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[name] = f
}

// spawn starts a process of root that executes f.
func (w *world) spawn(f body) *task.ThreadGroup { return w.spawnAs(nil, f) }

// spawnAs starts a process with credentials.
func (w *world) spawnAs(c *cred.Credentials, f body) *task.ThreadGroup {
	w.T.Helper()
	name := fmt.Sprintf("/program%d", w.spawned.Add(1))
	w.install(name, 0o755, f)
	g, err := w.k.Spawn(task.SpawnRequest{
		Path: name, Argv: []string{name}, FDs: fs.NewFDTable(), FS: w.Caller.Context.Copy(), Credentials: c,
	})
	if err != nil {
		w.T.Fatalf("Spawn: %v", err)
	}
	return g
}

// patience is the time after which a wait of a test fails.
const patience = 8 * time.Second

// process executes f as a process of root and returns its exit status. The test fails
// if the process does not exit.
func (w *world) process(f body) task.Status {
	w.T.Helper()
	g := w.spawn(f)
	ended := make(chan task.Status, 1)
	go func() { ended <- g.AwaitEnd() }()
	select {
	case status := <-ended:
		return status
	case <-time.After(patience):
		text := ""
		for _, g := range w.k.Groups() {
			for _, t := range g.Threads() {
				text += fmt.Sprintf(" %v (%c)", t, t.StateLetter())
			}
		}
		w.T.Fatalf("process %d did not exit within %v; there are%s", g.PID(), patience, text)
	}
	return 0
}

// clone creates a task that executes f, and returns it.
func (w *world) clone(t *task.Task, a task.CloneArgs, f body) *task.Task {
	rip := t.Frame.RIP
	t.Frame.RIP = w.address(f)
	defer func() { t.Frame.RIP = rip }()
	tid, err := t.Clone(a)
	for err == abi.ERESTARTNOINTR && !t.Exiting() { // a signal was pending
		w.user(t)
		tid, err = t.Clone(a)
	}
	if err != nil && !t.Exiting() {
		w.T.Errorf("clone: %v", err)
	}
	return w.k.TaskByID(tid)
}

// fork creates a child process that executes f.
func (w *world) fork(t *task.Task, f body) *task.Task {
	return w.clone(t, task.CloneArgs{ExitSignal: unix.SIGCHLD}, f)
}

// threadFlags are the flags of pthread_create(3) without those that need an address.
const threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD

// thread creates a thread that executes f and exits.
func (w *world) thread(t *task.Task, f body) *task.Task {
	return w.clone(t, task.CloneArgs{Flags: threadFlags}, func(t *task.Task) {
		f(t)
		if !t.Exiting() {
			t.ExitThread(0)
		}
	})
}

// sleepForever sleeps and delivers signals until the task exits.
func (w *world) sleepForever(t *task.Task) {
	for !t.Exiting() {
		t.Pause()
		w.user(t)
	}
}

// call makes a system call of a traced task through the table of duties: handle is
// the call.
func (w *world) call(t *task.Task, number uint64, handle func(c *entry.Call) uint64) {
	f := t.Frame
	f.OrigRAX, f.RAX, f.Flags = number, number, 0
	f.Settle()
	f.RAX = entry.NoCall
	verdict := entry.Proceed
	for _, h := range Handlers() {
		if h.Entry != nil && verdict == entry.Proceed && entry.Pending(&f.ThreadFlags)&h.Flag != 0 {
			verdict = h.Entry(t, &t.Call)
		}
	}
	t.Call.NR, t.Call.Args = int32(f.OrigRAX), *f.Args()
	if verdict == entry.Proceed && t.Call.NR >= 0 && t.Call.NR < entry.Calls {
		f.RAX = handle(&t.Call)
	}
	for _, h := range Handlers() {
		if h.Exit != nil && entry.Pending(&f.ThreadFlags)&h.Flag != 0 && !t.Exiting() {
			h.Exit(t, &t.Call)
		}
	}
	f.OrigRAX = amd64.NotInSyscall
	w.user(t)
}

// request makes a request and returns its result.
func (w *world) request(t *task.Task, number int32, tracee *task.Task, addr, data uint64) error {
	_, err := Request(t, number, tracee.TID(), addr, data)
	return err
}

// must makes a request that must succeed.
func (w *world) must(t *task.Task, number int32, tracee *task.Task, data uint64) {
	w.T.Helper()
	if err := w.request(t, number, tracee, 0, data); err != nil {
		w.T.Errorf("%s: %v", requests.row(number).name, err)
	}
}

// traced creates a child that t traces, in the stop of a SIGSTOP before f.
func (w *world) traced(t *task.Task, f body) *task.Task {
	w.T.Helper()
	child := w.fork(t, func(child *task.Task) {
		if _, err := Request(child, unix.PTRACE_TRACEME, 0, 0, 0); err != nil {
			w.T.Errorf("TRACEME: %v", err)
		}
		child.Signal(userSignal(child, unix.SIGSTOP))
		if w.user(child); !child.Exiting() {
			f(child)
		}
	})
	w.expect(t, child, stopped(unix.SIGSTOP, 0))
	return child
}

// wait is waitpid(2) with __WALL for one tracee.
func (w *world) wait(t, child *task.Task) task.WaitResult {
	w.T.Helper()
	result, err := t.Wait(task.WaitRequest{Kind: task.WaitPID, ID: child.TID(), Options: unix.WEXITED | unix.WALL})
	for err == abi.ERESTARTSYS && !t.Exiting() {
		w.user(t)
		result, err = t.Wait(task.WaitRequest{Kind: task.WaitPID, ID: child.TID(), Options: unix.WEXITED | unix.WALL})
	}
	if err != nil && !t.Exiting() {
		w.T.Errorf("waiting for %d: %v", child.TID(), err)
	}
	return result
}

// expect waits for a tracee and compares its status.
func (w *world) expect(t, child *task.Task, want task.Status) {
	w.T.Helper()
	if got := w.wait(t, child); got.Status != want && !t.Exiting() {
		w.T.Errorf("the status is %#x, want %#x", uint32(got.Status), uint32(want))
	}
}

// stopped returns the status of a stop by a signal, with an event.
func stopped(s signal.Signal, event uint32) task.Status {
	return task.Status(event)<<16 | task.Status(s)<<8 | 0x7f
}

// eventually waits until condition returns true. what names the condition.
func (w *world) eventually(what string, condition func() bool) {
	w.T.Helper()
	for start := time.Now(); !condition(); time.Sleep(time.Millisecond) {
		if time.Since(start) > patience {
			w.T.Errorf("%s did not happen within %v", what, patience)
			return
		}
	}
}
