package task

import (
	"bytes"
	stdelf "debug/elf"
	"encoding/binary"
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
)

// world is a kernel whose user mode is Go: a program is a function, and the
// instruction pointer of a task's frame says which.
type world struct {
	*fstest.World
	k *Kernel

	mu    sync.Mutex
	names map[string]func(*Task)
	code  []func(*Task)
	log   []string
}

// codeBase is the address of the first function, below every real mapping.
const codeBase = 0x10

// programBase is where the ELF program of the tests is mapped: one page that
// can be written, whose upper half is free for the tests' data.
const (
	programBase = 0x400000
	scratch     = programBase + 0x800
)

// newWorld returns a kernel with the given subsystems besides its own.
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

// run is the user loop of the tests: the body runs once, then the duties until
// the task exits.
func (w *world) run(t *Task) {
	w.body(t)(t)
	w.returnToUser(t)
	if !t.Exiting() {
		t.ExitGroup(ExitStatus(0))
	}
}

func (w *world) body(t *Task) func(*Task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at := t.Frame.RIP - codeBase; at < uint64(len(w.code)) {
		return w.code[at]
	}
	return w.names[t.Program().Path]
}

// returnToUser is what the exit loop does about signals.
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

// elfFile returns a program of one page that can be read, written and run.
func elfFile(kind stdelf.Type, interpreter string) string {
	const headers = 64 + 2*56
	h := stdelf.Header64{
		Type: uint16(kind), Machine: uint16(stdelf.EM_X86_64), Version: 1, Entry: programBase + headers,
		Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	base := uint64(programBase)
	if kind == stdelf.ET_DYN {
		h.Entry, base = headers, 0
	}
	segment := stdelf.Prog64{
		Type: uint32(stdelf.PT_LOAD), Flags: uint32(stdelf.PF_R | stdelf.PF_W | stdelf.PF_X), Vaddr: base,
		Filesz: headers, Memsz: mm.PageSize, Align: mm.PageSize,
	}
	second := stdelf.Prog64{Type: uint32(stdelf.PT_NULL)}
	if interpreter != "" {
		h.Phnum = 2
		second = stdelf.Prog64{Type: uint32(stdelf.PT_INTERP), Off: headers, Filesz: uint64(len(interpreter) + 1)}
	}
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, h)
	binary.Write(&b, binary.LittleEndian, segment)
	binary.Write(&b, binary.LittleEndian, second)
	b.WriteString(interpreter + "\x00")
	return b.String()
}

// executable makes a file that may be executed.
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

// install makes an executable whose user mode is body.
func (w *world) install(name string, body func(*Task)) {
	w.executable(name, elfFile(stdelf.ET_EXEC, ""))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[name] = body
}

// spawn runs body as a process of its own and returns it.
func (w *world) spawn(body func(*Task)) *ThreadGroup {
	w.T.Helper()
	w.install("/program", body)
	g, err := w.k.Spawn(SpawnRequest{
		Path: "/program", Argv: []string{"/program"}, FDs: fs.NewFDTable(), FS: w.Caller.Context.Copy(),
	})
	if err != nil {
		w.T.Fatalf("the program cannot be started: %v", err)
	}
	return g
}

// process runs body as a process and waits for its end. The test fails if that
// takes too long: something sleeps for ever.
func (w *world) process(body func(*Task)) Status {
	w.T.Helper()
	return w.await(w.spawn(body))
}

// patience is how long a test waits for what must happen.
const patience = 8 * time.Second

func (w *world) await(g *ThreadGroup) Status {
	w.T.Helper()
	ended := make(chan Status, 1)
	go func() { ended <- g.AwaitEnd() }()
	select {
	case status := <-ended:
		return status
	case <-time.After(patience):
		w.T.Fatalf("process %d does not end", g.PID())
	}
	return 0
}

// fork makes a child process that runs body, and returns its id.
func (w *world) fork(t *Task, body func(*Task)) int {
	return w.clone(t, CloneArgs{ExitSignal: unix.SIGCHLD}, body)
}

// threadFlags are those of pthread_create(3) that need no address.
const threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD

// thread makes a thread that runs body.
func (w *world) thread(t *Task, body func(*Task)) int {
	return w.clone(t, CloneArgs{Flags: threadFlags}, func(t *Task) {
		body(t)
		if !t.Exiting() {
			t.ExitThread(0)
		}
	})
}

func (w *world) clone(t *Task, a CloneArgs, body func(*Task)) int {
	rip := t.Frame.RIP
	t.Frame.RIP = w.address(body)
	defer func() { t.Frame.RIP = rip }()
	tid, err := t.Clone(a)
	for err == abi.ERESTARTNOINTR && !t.Exiting() { // a signal came first
		w.returnToUser(t)
		tid, err = t.Clone(a)
	}
	if err != nil && !t.Exiting() {
		w.T.Errorf("clone: %v", err)
	}
	return tid
}

// exit ends the process of t with a code.
func exit(t *Task, code int) { t.ExitGroup(ExitStatus(code)) }

// wait is waitpid(2) of one child.
func (w *world) wait(t *Task, pid, options int) WaitResult {
	result, err := t.Wait(WaitRequest{Kind: WaitPID, ID: pid, Options: options | unix.WEXITED})
	if err != nil {
		w.T.Errorf("waiting for %d: %v", pid, err)
	}
	return result
}

// sleepForever sleeps until a signal ends it, and lets that be delivered.
func (w *world) sleepForever(t *Task) {
	for !t.Exiting() {
		t.Pause()
		w.returnToUser(t)
	}
}

// handle installs a handler at an address that nothing runs.
func (w *world) handle(t *Task, s signal.Signal, flags uint64) {
	t.SetAction(s, signal.Action{Handler: 0x1234, Restorer: 0x5678, Flags: flags | signal.SA_RESTORER})
}

// eventually waits until condition holds.
func (w *world) eventually(what string, condition func() bool) {
	w.T.Helper()
	for start := time.Now(); !condition(); time.Sleep(time.Millisecond) {
		if time.Since(start) > patience {
			w.T.Errorf("%s does not happen", what)
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
