package task

import (
	stdelf "debug/elf"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/entry"
	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/mm"
	"slowpath/signal"
	"slowpath/task/elf"
)

// world is a kernel with a simulated user mode: a program is a Go function. The
// instruction pointer of a task's frame selects the function.
type world struct {
	*fstest.World
	k *Kernel

	mu    sync.Mutex
	names map[string]func(*Task) // programs by path
	code  []func(*Task)          // functions by address: code[n] is at codeBase+n
	log   []string
}

// codeBase is the address of the first function. No memory is mapped there.
const codeBase = 0x10

// programBase is the address of the ELF program of the tests, one writable page.
// scratch is its upper half, which the tests use for data.
const (
	programBase = 0x400000
	scratch     = programBase + 0x800
)

// newWorld returns a kernel with its own subsystems and the given ones. At the end
// of the test it checks that all tasks have exited.
func newWorld(t *testing.T, parts ...Subsystem) *world {
	t.Helper()
	w := &world{World: fstest.New(t, 4096), names: make(map[string]func(*Task))}
	w.k = New(Config{
		Run: w.run, Memory: w.Memory, NoRandomize: true,
		Log: func(format string, arguments ...any) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.log = append(w.log, format)
		},
	})
	for _, s := range parts {
		w.k.Register(s)
	}
	w.k.StartReaper()
	t.Cleanup(func() {
		w.eventually("the end of every task", func() bool { return w.k.Threads() == 1 })
	})
	return w
}

// run is the user loop of the tests: it calls the body, delivers signals, and exits
// the process.
func (w *world) run(t *Task) {
	w.body(t)(t)
	w.returnToUser(t)
	if !t.Exiting() {
		t.ExitGroup(ExitStatus(0))
	}
}

// body returns the function that the task executes.
func (w *world) body(t *Task) func(*Task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at := t.Frame.RIP - codeBase; at < uint64(len(w.code)) {
		return w.code[at]
	}
	return w.names[t.Program().Path]
}

// returnToUser delivers signals like the loop before user mode.
func (w *world) returnToUser(t *Task) {
	for !t.Exiting() && entry.Claim(&t.Frame.ThreadFlags, entry.SigPending) {
		t.DeliverSignals(t.Frame)
	}
}

// address registers a function and returns its instruction pointer.
func (w *world) address(body func(*Task)) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.code = append(w.code, body)
	return codeBase + uint64(len(w.code)) - 1
}

// elfFile returns an ELF file with one segment: a page with all permissions.
func elfFile(kind stdelf.Type, interpreter string) string {
	const headers = elf.FileHeaderSize + 2*elf.HeaderSize
	start, base := uint64(programBase+headers), uint64(programBase)
	if kind == stdelf.ET_DYN {
		start, base = headers, 0
	}
	programs := []stdelf.Prog64{{
		Type: uint32(stdelf.PT_LOAD), Flags: uint32(stdelf.PF_R | stdelf.PF_W | stdelf.PF_X), Vaddr: base,
		Filesz: headers, Memsz: mm.PageSize, Align: mm.PageSize,
	}}
	if interpreter != "" {
		programs = append(programs, stdelf.Prog64{Type: uint32(stdelf.PT_INTERP), Off: headers, Filesz: uint64(len(interpreter) + 1)})
	}
	file := elf.Headers(kind, start, programs...)
	return string(file) + strings.Repeat("\x00", headers-len(file)) + interpreter + "\x00"
}

// executable creates a file with execute permission.
func (w *world) executable(name, contents string) {
	w.T.Helper()
	w.Write(name, contents)
	w.chmod(name, 0o755)
}

// chmod changes the permissions of a file.
func (w *world) chmod(name string, mode uint32) {
	w.T.Helper()
	file, err := w.At(name).Open(unix.O_RDONLY, 0)
	if err != nil {
		w.T.Fatal(err)
	}
	defer file.DecRef()
	if err := file.Inode().Change(fs.Changes{Mask: fs.ChangeMode, Mode: mode}); err != nil {
		w.T.Fatal(err)
	}
}

// install creates a program that executes body.
func (w *world) install(name string, body func(*Task)) {
	w.executable(name, elfFile(stdelf.ET_EXEC, ""))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[name] = body
}

// spawn starts a process that executes body.
func (w *world) spawn(body func(*Task)) *ThreadGroup {
	w.T.Helper()
	w.install("/program", body)
	g, err := w.k.Spawn(SpawnRequest{
		Path: "/program", Argv: []string{"/program"}, FDs: fs.NewFDTable(), FS: w.Caller.Context.Copy(),
	})
	if err != nil {
		w.T.Fatalf("Spawn: %v", err)
	}
	return g
}

// process executes body as a process and returns its exit status. The test fails if
// the process does not exit.
func (w *world) process(body func(*Task)) Status {
	w.T.Helper()
	return w.await(w.spawn(body))
}

// patience is the time after which a wait of a test fails.
const patience = 8 * time.Second

// await returns the exit status of the process.
func (w *world) await(g *ThreadGroup) Status {
	w.T.Helper()
	ended := make(chan Status, 1)
	go func() { ended <- g.AwaitEnd() }()
	select {
	case status := <-ended:
		return status
	case <-time.After(patience):
		w.T.Fatalf("process %d did not exit within %v", g.PID(), patience)
	}
	return 0
}

// fork creates a child process that executes body, and returns its id.
func (w *world) fork(t *Task, body func(*Task)) int {
	return w.clone(t, CloneArgs{ExitSignal: unix.SIGCHLD}, body)
}

// threadFlags are the flags of pthread_create(3) without those that need an address.
const threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD

// thread creates a thread that executes body and exits.
func (w *world) thread(t *Task, body func(*Task)) int {
	return w.clone(t, CloneArgs{Flags: threadFlags}, func(t *Task) {
		body(t)
		if !t.Exiting() {
			t.ExitThread(0)
		}
	})
}

// clone creates a task that executes body, and returns its id.
func (w *world) clone(t *Task, a CloneArgs, body func(*Task)) int {
	rip := t.Frame.RIP
	t.Frame.RIP = w.address(body)
	defer func() { t.Frame.RIP = rip }()
	tid, err := t.Clone(a)
	for err == abi.ERESTARTNOINTR && !t.Exiting() { // a signal was pending
		w.returnToUser(t)
		tid, err = t.Clone(a)
	}
	if err != nil && !t.Exiting() {
		w.T.Errorf("clone: %v", err)
	}
	return tid
}

// exit exits the process of t with a code.
func exit(t *Task, code int) { t.ExitGroup(ExitStatus(code)) }

// wait is waitpid(2) of one child.
func (w *world) wait(t *Task, pid, options int) WaitResult {
	result, err := t.Wait(WaitRequest{Kind: WaitPID, ID: pid, Options: options | unix.WEXITED})
	if err != nil {
		w.T.Errorf("waiting for %d: %v", pid, err)
	}
	return result
}

// sleepForever sleeps and delivers signals until the task exits.
func (w *world) sleepForever(t *Task) {
	for !t.Exiting() {
		t.Pause()
		w.returnToUser(t)
	}
}

// handle installs a signal handler at an address without code.
func (w *world) handle(t *Task, s signal.Signal, flags uint64) {
	t.SetAction(s, signal.Action{Handler: 0x1234, Restorer: 0x5678, Flags: flags | signal.SA_RESTORER})
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

// sleeping reports whether every thread of the process sleeps.
func sleeping(g *ThreadGroup) bool {
	for _, t := range g.Threads() {
		if t.StateLetter() == 'R' {
			return false
		}
	}
	return true
}
