package task

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/fs/pipe"
	"slowpath/guard"
	"slowpath/mm"
	"slowpath/mm/mmtest"
)

// scarceMachine is a machine that has no free frame while short is set.
type scarceMachine struct {
	*mmtest.Machine
	short atomic.Bool
}

func (m *scarceMachine) FreeCount() int {
	if m.short.Load() {
		return 0
	}
	return m.Machine.FreeCount()
}

// oomWorld is a kernel on a machine whose memory a test exhausts.
type oomWorld struct {
	*world
	machine *scarceMachine
	release chan struct{} // ends every process that hold has started

	programs int // how many start has installed

	mu    sync.Mutex
	kills []string // log messages, one for each process killed
	ended []string // messages of OutOfMemory
}

// newOOMWorld returns such a kernel. At the end of the test the machine has memory
// again, and all tasks have exited.
func newOOMWorld(t *testing.T) *oomWorld {
	t.Helper()
	inner, err := mmtest.NewMachine(4096)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(inner.Close)
	machine := &scarceMachine{Machine: inner}
	memory, err := inner.NewMemory(machine)
	if err != nil {
		t.Fatal(err)
	}
	w := &oomWorld{
		world:   &world{World: fstest.NewOn(t, memory, inner), names: make(map[string]func(*Task))},
		machine: machine, release: make(chan struct{}),
	}
	w.k = New(Config{
		Run: w.run, Memory: memory, NoRandomize: true,
		Log: func(format string, arguments ...any) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.kills = append(w.kills, fmt.Sprintf(format, arguments...))
		},
		OutOfMemory: func(message string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ended = append(w.ended, message)
		},
	})
	t.Cleanup(func() {
		close(w.release)
		w.eventually("the end of every process", func() bool {
			return !slices.ContainsFunc(w.k.Groups(), func(g *ThreadGroup) bool {
				return g.withMemory(func(*mm.AddressSpace) {})
			})
		})
	})
	return w
}

// start is spawn for several processes: each has a program file of its own, because
// a program that is running cannot be written.
func (w *oomWorld) start(body func(*Task)) *ThreadGroup {
	w.T.Helper()
	w.programs++
	path := fmt.Sprintf("/program%d", w.programs)
	w.install(path, body)
	g, err := w.k.Spawn(SpawnRequest{
		Path: path, Argv: []string{path}, FDs: fs.NewFDTable(), FS: w.Caller.Context.Copy(),
	})
	if err != nil {
		w.T.Fatalf("Spawn: %v", err)
	}
	return g
}

// hold starts a process that uses some pages of memory and then waits, deaf to
// signals, as a task does that waits for a lock. It returns when the pages are used.
func (w *oomWorld) hold(pages int) *ThreadGroup {
	w.T.Helper()
	ready := make(chan struct{})
	g := w.start(func(t *Task) {
		w.use(t, pages)
		close(ready)
		<-w.release
	})
	<-ready
	return g
}

// use writes to new pages of memory of the task.
func (w *oomWorld) use(t *Task, pages int) (address uint64) {
	address, err := t.MM.Mmap(mm.MapRequest{
		Length: uint64(pages) * mm.PageSize, Prot: mm.ProtRead | mm.ProtWrite, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS,
	})
	for i := range pages {
		if err == nil {
			err = t.CopyOut(address+uint64(i)*mm.PageSize, []byte{1})
		}
	}
	if err != nil {
		w.T.Errorf("using %d pages: %v", pages, err)
	}
	return address
}

// victims returns the ids of the processes killed so far, in order.
func (w *oomWorld) victims() (pids []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.kills {
		var pid int
		if _, err := fmt.Sscanf(line, "Out of memory: killed process %d", &pid); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// exhaust calls the OOM killer as a task with a lock does until it chooses the next process,
// with no frame free. It does not wait for the patience to end.
func (w *oomWorld) exhaust() (found bool) {
	w.machine.short.Store(true)
	defer w.machine.short.Store(false)
	w.k.OOMKill()
	w.passPatience()
	return w.k.OOMKill()
}

// passPatience lets the time pass that the OOM killer waits for dying processes.
func (w *oomWorld) passPatience() {
	w.k.oom.mu.Lock()
	defer w.k.oom.mu.Unlock()
	if w.k.oom.since != 0 {
		w.k.oom.since -= oomPatience
	}
	for _, g := range w.k.Groups() {
		guard.With(&g.mu, func() {
			if g.groupExit {
				g.exitBegan -= oomPatience
			}
		})
	}
}

// anonymous returns how many private pages the process has.
func anonymous(g *ThreadGroup) (pages int64) {
	g.withMemory(func(as *mm.AddressSpace) { pages = as.Usage().Anonymous })
	return pages
}

func TestOOMKillerReapsTheLargestProcessAtOnce(t *testing.T) {
	w := newOOMWorld(t)
	w.k.StartReaper()
	small, large := w.hold(10), w.hold(300)
	before := w.k.Memory().Stats().Free
	w.machine.short.Store(true)
	found := w.k.OOMKill()
	w.machine.short.Store(false)
	if !found || !slices.Equal(w.victims(), []int{large.PID()}) {
		t.Errorf("OOMKill returns %v and kills %v, want process %d", found, w.victims(), large.PID())
	}
	if _, ended := large.Exited(); ended {
		t.Fatal("the victim has exited; it should wait for a lock")
	}
	if left, freed := anonymous(large), w.k.Memory().Stats().Free-before; left != 0 || freed < 300 {
		t.Errorf("the victim still has %d pages, and %d frames were freed, want 0 and 300", left, freed)
	}
	if anonymous(small) < 10 {
		t.Error("the other process has lost pages")
	}
}

func TestOOMVictimIsNotChosenTwice(t *testing.T) {
	w := newOOMWorld(t)
	w.k.StartReaper()
	small, large := w.hold(10), w.hold(300)
	w.exhaust()
	w.exhaust()
	w.exhaust()
	if want := []int{large.PID(), small.PID()}; !slices.Equal(w.victims(), want) {
		t.Errorf("processes %v were killed, want %v, each once", w.victims(), want)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.ended) != 0 {
		t.Errorf("the machine ends while a victim has not exited: %q", w.ended)
	}
}

// TestOOMKillerWaitsForAProcessThatExits has a process that another signal has killed. While
// it closes its files, it is charged with nothing.
func TestOOMKillerWaitsForAProcessThatExits(t *testing.T) {
	w := newOOMWorld(t)
	w.k.StartReaper()
	small, exiting := w.hold(10), w.hold(300)
	exiting.Kill()
	w.machine.short.Store(true)
	found := true
	for range 200 { // many tasks may call at once
		found = w.k.OOMKill() && found
	}
	w.machine.short.Store(false)
	if victims := w.victims(); !found || len(victims) != 0 {
		t.Errorf("OOMKill finds memory: %v; processes %v were killed while another exits, want none", found, victims)
	}
	w.exhaust()
	if want := []int{small.PID()}; !slices.Equal(w.victims(), want) {
		t.Errorf("processes %v were killed after a long wait, want %v", w.victims(), want)
	}
}

// TestOOMKillerWaitsForProcessesThatBeganToExitLater has a process that a signal kills when
// the wait for an earlier victim has ended.
func TestOOMKillerWaitsForProcessesThatBeganToExitLater(t *testing.T) {
	w := newOOMWorld(t)
	w.k.StartReaper()
	shell, later, victim := w.hold(10), w.hold(100), w.hold(300)
	w.machine.short.Store(true)
	defer w.machine.short.Store(false)
	w.k.OOMKill()
	w.passPatience()
	later.Kill()
	w.k.OOMKill()
	if want := []int{victim.PID()}; !slices.Equal(w.victims(), want) || shell.Leader().Killed() {
		t.Errorf("processes %v were killed while another has just begun to exit, want %v", w.victims(), want)
	}
}

func TestMachineEndsIfOnlyInitAndExemptProcessesAreLeft(t *testing.T) {
	w := newOOMWorld(t)
	init := w.hold(200) // without StartReaper the first program is init
	exempt := w.hold(100)
	exempt.OOMAdjust.Store(neverKilled)
	begin := make(chan struct{})
	victim := w.start(func(*Task) { <-begin })
	w.exhaust()
	close(begin)
	w.await(victim)
	if !slices.Equal(w.victims(), []int{victim.PID()}) {
		t.Errorf("processes %v were killed, want %d only", w.victims(), victim.PID())
	}
	if found := w.exhaust(); found || len(w.ended) == 0 || !strings.HasPrefix(w.ended[0], "Out of memory, and no process is left") {
		t.Errorf("OOMKill finds memory: %v; the machine ends with %q", found, w.ended)
	}
	if init.Leader().Killed() || exempt.Leader().Killed() {
		t.Errorf("init is killed: %v, the exempt process: %v", init.Leader().Killed(), exempt.Leader().Killed())
	}
}

func TestOOMKillerKillsProcessesThatShareTheMemory(t *testing.T) {
	w := newOOMWorld(t)
	w.k.StartReaper()
	var child atomic.Int64
	ready := make(chan struct{})
	parent := w.start(func(t *Task) {
		w.use(t, 100)
		w.clone(t, CloneArgs{Flags: unix.CLONE_VM, ExitSignal: unix.SIGCHLD}, func(t *Task) {
			child.Store(int64(t.TID()))
			close(ready)
			<-w.release
		})
		<-w.release
	})
	<-ready
	other := w.hold(10)
	w.machine.short.Store(true)
	w.k.OOMKill()
	w.machine.short.Store(false)
	for _, g := range []*ThreadGroup{parent, w.k.TaskByID(int(child.Load())).Group()} {
		if !g.Leader().Killed() {
			t.Errorf("process %d uses the memory and was not killed", g.PID())
		}
	}
	if other.Leader().Killed() || anonymous(parent) != 0 {
		t.Errorf("the other process is killed: %v; the victim has %d pages, want 0", other.Leader().Killed(), anonymous(parent))
	}
}

// family starts a process of user 1000 that forks while it holds many files. It returns the
// process and its children, which then wait.
func (w *oomWorld) family(children int) (family []*ThreadGroup) {
	w.T.Helper()
	const descriptors = 20000
	w.Write("/file", "")
	ready := make(chan *ThreadGroup, children+1)
	wait := func(t *Task) {
		ready <- t.Group()
		<-w.release
	}
	w.start(func(t *Task) {
		f, err := w.At("/file").Open(unix.O_RDONLY, 0)
		if err != nil {
			w.T.Error(err)
			return
		}
		for range descriptors {
			f.IncRef()
			t.FDs.Install(f, 0, descriptors, fs.KeepOnExec)
		}
		f.DecRef()
		t.SetAllUIDs(1000, 1000, 1000)
		for range children {
			w.clone(t, CloneArgs{ExitSignal: unix.SIGCHLD}, wait)
		}
		wait(t)
	})
	for range children + 1 {
		family = append(family, <-ready)
	}
	return family
}

// TestOOMKillerKillsProcessesThatHoldTheSameFilesTogether has a family of which each process
// alone would free nothing. The other process is of another user, and is charged with more
// than each of the family, as a shell beside a fork bomb is.
func TestOOMKillerKillsProcessesThatHoldTheSameFilesTogether(t *testing.T) {
	w := newOOMWorld(t)
	w.k.StartReaper()
	family := w.family(5)
	other := w.hold(int(family[0].charge().pages) + 10)
	if own, one := other.charge(), family[0].charge(); own.badness <= one.badness {
		t.Fatalf("the other process is charged with %d pages, one of the family with %d", own.badness, one.badness)
	}
	w.machine.short.Store(true)
	defer w.machine.short.Store(false)
	if !w.k.OOMKill() {
		t.Fatal("nothing was killed")
	}
	for _, g := range family {
		if !g.Leader().Killed() {
			t.Errorf("process %d holds the same files and was not killed", g.PID())
		}
	}
	if other.Leader().Killed() {
		t.Error("a process that holds little was killed too")
	}
}

func TestMemoryThatInitSharesIsNotReaped(t *testing.T) {
	w := newOOMWorld(t)
	ready := make(chan struct{})
	init := w.start(func(t *Task) {
		w.use(t, 100)
		w.clone(t, CloneArgs{Flags: unix.CLONE_VM, ExitSignal: unix.SIGCHLD}, func(*Task) {
			close(ready)
			<-w.release
		})
		<-w.release
	})
	<-ready
	w.machine.short.Store(true)
	w.k.OOMKill()
	w.machine.short.Store(false)
	if len(w.victims()) != 1 || init.Leader().Killed() || anonymous(init) < 100 {
		t.Errorf("victims %v, init killed: %v, its pages: %d; want its child only, and all its pages",
			w.victims(), init.Leader().Killed(), anonymous(init))
	}
}

// TestAdministratorForksAfterAnOutOfMemoryKill checks that clone frees memory for a
// privileged task, and only reports the error to another.
func TestAdministratorForksAfterAnOutOfMemoryKill(t *testing.T) {
	w := newOOMWorld(t)
	w.k.StartReaper()
	large := w.hold(300)
	var unprivileged error
	w.await(w.start(func(t *Task) {
		w.machine.short.Store(true)
		admin := t.Credentials()
		t.credentials.Store(&cred.Credentials{UID: 1000, EUID: 1000, SUID: 1000, FSUID: 1000})
		_, unprivileged = t.Clone(CloneArgs{ExitSignal: unix.SIGCHLD})
		if victims := w.victims(); len(victims) != 0 {
			w.T.Errorf("an unprivileged clone has killed %v", victims)
		}
		t.credentials.Store(admin)
		go func() {
			w.eventually("a kill", func() bool { return large.Leader().Killed() })
			w.machine.short.Store(false)
		}()
		w.clone(t, CloneArgs{ExitSignal: unix.SIGCHLD}, func(*Task) {})
	}))
	if unprivileged != unix.ENOMEM {
		t.Errorf("an unprivileged clone without memory: %v, want ENOMEM", unprivileged)
	}
	if !slices.Equal(w.victims(), []int{large.PID()}) {
		t.Errorf("processes %v were killed, want %d", w.victims(), large.PID())
	}
}

func TestAdministratorForksWhenOthersEndTheirReservations(t *testing.T) {
	w := newOOMWorld(t)
	w.k.StartReaper()
	w.await(w.start(func(t *Task) {
		w.k.Memory().Drain()
		bytes := int64(w.k.Memory().Stats().Available) * mm.PageSize
		if err := w.k.Memory().Reserve(bytes); err != nil {
			w.T.Errorf("Reserve: %v", err)
		}
		time.AfterFunc(20*time.Millisecond, func() { w.k.Memory().Unreserve(bytes) })
		w.clone(t, CloneArgs{ExitSignal: unix.SIGCHLD}, func(*Task) {})
	}))
	if len(w.victims()) != 0 {
		t.Errorf("processes %v were killed, want none", w.victims())
	}
}

// oomSink stores what a pipe gives to its reader, who lacks memory meanwhile.
type oomSink struct {
	fs.Sink
	w       *oomWorld
	started chan struct{} // closed by Put
}

func (s oomSink) Put(p []byte) (int, error) {
	close(s.started)
	s.w.machine.short.Store(true)
	defer s.w.machine.short.Store(false)
	for range 50 {
		s.w.k.OOMKill()
	}
	return s.Sink.Put(p)
}

func TestOOMKillerNeverWaitsForAVictimThatNeedsTheCallersLock(t *testing.T) {
	w := newOOMWorld(t)
	w.k.StartReaper()
	reader, writer, err := pipe.New(w.Mounts, w.Caller, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.DecRef()
	defer writer.DecRef()
	if _, err := writer.Write(fs.NewBytesSource([]byte("data"))); err != nil {
		t.Fatal(err)
	}
	ready, locked, written := make(chan struct{}), make(chan struct{}), make(chan struct{})
	victim := w.start(func(t *Task) {
		w.use(t, 100)
		close(ready)
		<-locked
		writer.Write(fs.NewBytesSource([]byte("more"))) // waits for the lock that the reader holds
		close(written)
	})
	<-ready
	read := make(chan string, 1)
	go func() {
		sink := fs.NewBytesSink(make([]byte, 4))
		reader.Read(oomSink{sink, w, locked})
		read <- string(sink.Bytes())
	}()
	select {
	case got := <-read:
		if got != "data" || !slices.Equal(w.victims(), []int{victim.PID()}) {
			t.Errorf("the reader gets %q, and processes %v were killed, want %d", got, w.victims(), victim.PID())
		}
	case <-time.After(patience):
		t.Fatal("the reader waits for its victim, which waits for the pipe")
	}
	<-written
	w.await(victim)
}
