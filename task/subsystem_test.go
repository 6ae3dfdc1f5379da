package task_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/entry"
	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/signal"
	"slowpath/task"
)

// A journal is a subsystem outside of package task. It registers two rows, "upper"
// and "lower", and records which of their functions are called for each task.
type journal struct {
	t    *testing.T
	slot task.Slot[journalState]
	// refuse is the error that Fork of the lower row returns, or nil.
	refuse atomic.Pointer[unix.Errno]

	mu     sync.Mutex
	events map[string][]string // by the task's name
}

// journalState is the journal's part of a task.
type journalState struct {
	// name is "" for the first task, and "/1" for its first child.
	name string
	// children counts the calls of Fork. Only the task's goroutine uses it.
	children int
	// traced is the task's own reason for SYSCALL_TRACE.
	traced atomic.Bool
}

func newJournal(t *testing.T, k *task.Kernel) *journal {
	j := &journal{t: t, slot: task.NewSlot[journalState](k), events: map[string][]string{}}
	upper := j.row("upper")
	record := upper.Fork
	upper.Fork = func(parent, child *task.Task, a *task.CloneArgs) error {
		j.nameChild(parent, child)
		return record(parent, child, a)
	}
	upper.Levels = func(t *task.Task) entry.Flag {
		if j.slot.Of(t).traced.Load() {
			return entry.SyscallTrace
		}
		return 0
	}
	lower := j.row("lower")
	k.Register(upper)
	k.Register(lower)
	return j
}

// nameChild names the child after its parent, and copies the parent's state.
func (j *journal) nameChild(parent, child *task.Task) {
	of, in := j.slot.Of(parent), j.slot.Of(child)
	of.children++
	in.name = fmt.Sprintf("%s/%d", of.name, of.children)
	in.traced.Store(of.traced.Load())
}

// row returns a row that records every call. It checks that the task is in the state
// that package task documents for the call.
func (j *journal) row(row string) task.Subsystem {
	return task.Subsystem{
		Name: row,
		Fork: func(parent, child *task.Task, a *task.CloneArgs) error {
			j.record(child, row, "fork", flagNames(a.Flags))
			if child.MM == nil || child.FDs == nil || child.Group() == nil {
				j.t.Errorf("%s: Fork comes before the child's memory, files and process", row)
			}
			if refused := j.refuse.Load(); refused != nil && row == "lower" {
				return *refused
			}
			return nil
		},
		Undo:    func(child *task.Task) { j.record(child, row, "undo") },
		Publish: func(_, child *task.Task, _ *task.CloneArgs) { j.record(child, row, "publish") },
		Started: func(parent, child *task.Task, _ *task.CloneArgs) {
			j.record(parent, row, "started", j.slot.Of(child).name)
		},
		LeaveMemory: func(t *task.Task) {
			j.record(t, row, "leave", t.Program().Path)
			j.accessMemory(t, row+": LeaveMemory")
		},
		Exec: func(t *task.Task, x *task.Execution) {
			j.record(t, row, "exec", x.Program.Path)
			j.accessMemory(t, row+": Exec")
			spawned := t.TID() == 0
			if t.Program() != x.Program || !spawned && t.TID() != t.PID() {
				j.t.Errorf("%s: Exec comes before the new program is in place", row)
			}
		},
		Exit: func(t *task.Task) {
			which := "thread"
			if t.LastThread() {
				which = "process"
			}
			j.record(t, row, "exit", which)
			j.accessMemory(t, row+": Exit")
		},
	}
}

// accessMemory checks that the task's memory can be read.
func (j *journal) accessMemory(t *task.Task, where string) {
	if _, err := t.LoadUint32(task.Scratch); err != nil {
		j.t.Errorf("%s: the memory cannot be read: %v", where, err)
	}
}

// record appends an event of the task.
func (j *journal) record(t *task.Task, event ...string) {
	name := j.slot.Of(t).name
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events[name] = append(j.events[name], strings.TrimSpace(strings.Join(event, " ")))
}

// take returns and removes the events of a task.
func (j *journal) take(name string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	events := j.events[name]
	delete(j.events, name)
	return events
}

// expect takes the events of a task and compares them with want.
func (j *journal) expect(name string, want ...string) {
	j.t.Helper()
	if got := j.take(name); !slices.Equal(got, want) {
		j.t.Errorf("task %q has the events\n\t%s\nwant\n\t%s", name, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// flagNames names the clone flags that the rows record.
func flagNames(flags uint64) string {
	var names []string
	if flags&unix.CLONE_THREAD != 0 {
		names = append(names, "thread")
	}
	if flags&unix.CLONE_VFORK != 0 {
		names = append(names, "vfork")
	}
	return strings.Join(names, " ")
}

// Sequences of events.
var (
	born        = []string{"upper fork", "lower fork", "upper publish", "lower publish"}
	bornThread  = []string{"upper fork thread", "lower fork thread", "upper publish", "lower publish"}
	endsThread  = []string{"lower exit thread", "upper exit thread"}
	endsProcess = []string{"lower exit process", "upper exit process"}
)

// left returns the events when a task leaves the memory of a program.
func left(program string) []string {
	return []string{"lower leave " + program, "upper leave " + program}
}

// execed returns the events of execve.
func execed(program string) []string {
	return []string{"upper exec " + program, "lower exec " + program}
}

// machine is a kernel with a journal and a simulated user mode, whose programs are Go
// functions. Process 1 is the kernel's reaper.
type machine struct {
	*fstest.World
	k       *task.Kernel
	journal *journal

	mu     sync.Mutex
	bodies []func(*task.Task)
}

func newMachine(t *testing.T) *machine {
	m := &machine{World: fstest.New(t, 4096)}
	m.k = task.New(task.Config{Run: m.run, Memory: m.Memory, NoRandomize: true, Log: t.Logf})
	m.journal = newJournal(t, m.k)
	m.k.StartReaper()
	for _, path := range []string{"/first", "/second"} {
		m.Write(path, task.ProgramFile())
		file := m.Open(path, unix.O_RDONLY, 0)
		if err := file.Inode().Change(fs.Changes{Mask: fs.ChangeMode, Mode: 0o755}); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// bodyBase is the address of the first body. No memory is mapped there.
const bodyBase = 0x10

// add adds a body and returns its address.
func (m *machine) add(body func(*task.Task)) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bodies = append(m.bodies, body)
	return bodyBase + uint64(len(m.bodies)) - 1
}

// body returns the body at the task's instruction pointer. An address in a program
// selects body 0.
func (m *machine) body(t *task.Task) func(*task.Task) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at := t.Frame.RIP - bodyBase; at < uint64(len(m.bodies)) {
		return m.bodies[at]
	}
	return m.bodies[0]
}

// run is the user loop: it calls the body, delivers signals, and exits the thread.
func (m *machine) run(t *task.Task) {
	m.body(t)(t)
	m.serve(t)
	if !t.Exiting() {
		t.ExitThread(0)
	}
}

// serve delivers signals like the loop before user mode.
func (m *machine) serve(t *task.Task) {
	if entry.Claim(&t.Frame.ThreadFlags, entry.SigPending) {
		t.DeliverSignals(t.Frame)
	}
}

// process executes body as a process and waits until every task has exited.
func (m *machine) process(body func(*task.Task)) {
	m.T.Helper()
	m.add(body)
	g, err := m.k.Spawn(task.SpawnRequest{
		Path: "/first", Argv: []string{"/first"}, FDs: fs.NewFDTable(), FS: m.Caller.Context.Copy(),
	})
	if err != nil {
		m.T.Fatalf("Spawn: %v", err)
	}
	g.AwaitEnd()
	for start := time.Now(); m.k.Threads() > 1; time.Sleep(time.Millisecond) {
		if time.Since(start) > patience {
			m.T.Fatalf("%d tasks did not exit", m.k.Threads()-1)
		}
	}
}

// patience is the time after which a test stops waiting for tasks.
const patience = 8 * time.Second

// clone creates a task that executes body.
func (m *machine) clone(t *task.Task, flags uint64, body func(*task.Task)) (int, error) {
	rip := t.Frame.RIP
	defer func() { t.Frame.RIP = rip }()
	t.Frame.RIP = m.add(body)
	a := task.CloneArgs{Flags: flags}
	if flags&unix.CLONE_THREAD == 0 {
		a.ExitSignal = unix.SIGCHLD
	}
	return t.Clone(a)
}

// mustClone is clone, and reports an error to the test.
func (m *machine) mustClone(t *task.Task, flags uint64, body func(*task.Task)) int {
	m.T.Helper()
	tid, err := m.clone(t, flags, body)
	if err != nil {
		m.T.Errorf("clone: %v", err)
	}
	return tid
}

// exec executes the program /second in t.
func (m *machine) exec(t *task.Task) {
	m.T.Helper()
	err := t.Exec(task.ExecRequest{At: fs.At{Caller: t, Name: "/second", Follow: true}, Argv: []string{"/second"}})
	if err != nil {
		m.T.Errorf("execve: %v", err)
	}
}

// join waits until a child process has exited.
func (m *machine) join(t *task.Task, pid int) {
	m.T.Helper()
	if _, err := t.Wait(task.WaitRequest{Kind: task.WaitPID, ID: pid, Options: unix.WEXITED}); err != nil {
		m.T.Errorf("waiting for %d: %v", pid, err)
	}
}

// sleep sleeps and delivers signals until the task exits.
func (m *machine) sleep(t *task.Task) {
	for !t.Exiting() {
		t.Pause()
		m.serve(t)
	}
}

func TestForkExecAndExitCallRowsInOrder(t *testing.T) {
	m := newMachine(t)
	m.process(func(t *task.Task) {
		m.journal.take("")
		pid := m.mustClone(t, 0, m.exec)
		m.join(t, pid)
		m.journal.expect("", "upper started /1", "lower started /1")
	})
	m.journal.expect("/1", slices.Concat(born, left("/first"), execed("/second"), endsProcess, left("/second"))...)
}

func TestExitRowsSeeLastThread(t *testing.T) {
	m := newMachine(t)
	m.process(func(t *task.Task) {
		m.journal.take("")
		leader := t
		m.mustClone(t, task.ThreadFlags, func(t *task.Task) {
			for leader.StateLetter() != 'Z' {
				time.Sleep(time.Millisecond)
			}
		})
	})
	m.journal.expect("", slices.Concat([]string{"upper started /1", "lower started /1"}, endsThread, left("/first"))...)
	m.journal.expect("/1", slices.Concat(bornThread, endsProcess, left("/first"))...)
}

func TestVforkReturnsAfterLeaveMemoryOfTheChild(t *testing.T) {
	m := newMachine(t)
	m.process(func(t *task.Task) {
		for _, body := range []func(*task.Task){m.exec, func(*task.Task) {}} {
			m.journal.take("")
			pid := m.mustClone(t, unix.CLONE_VFORK|unix.CLONE_VM, body)
			name := strings.Fields(m.journal.take("")[0])[2]
			seen := m.journal.take(name)
			want := left("/first")
			if !slices.Contains(seen, want[0]) || !slices.Contains(seen, want[1]) {
				m.T.Errorf("vfork returned after only these events of %s: %v", name, seen)
			}
			if seen[0] != "upper fork vfork" || seen[1] != "lower fork vfork" {
				m.T.Errorf("the first events are not vfork: %v", seen)
			}
			m.join(t, pid)
		}
	})
}

func TestFailedForkUndoesRowsInReverseOrder(t *testing.T) {
	m := newMachine(t)
	refusal := unix.ENOMEM
	m.process(func(t *task.Task) {
		m.journal.take("")
		m.journal.refuse.Store(&refusal)
		for i, flags := range []uint64{0, task.ThreadFlags, unix.CLONE_VFORK | unix.CLONE_VM} {
			if _, err := m.clone(t, flags, nil); err != refusal {
				m.T.Errorf("clone with a row whose Fork fails: %v, want %v", err, refusal)
			}
			what := strings.TrimSpace("fork " + flagNames(flags))
			m.journal.expect(fmt.Sprintf("/%d", i+1), "upper "+what, "lower "+what, "upper undo")
		}
		m.journal.refuse.Store(nil)
		if users := t.FDs.Users(); users != 1 {
			m.T.Errorf("%d tasks share the files after the forks failed, want 1", users)
		}
		if refs := t.MM.Refs(); refs != 1 {
			m.T.Errorf("the memory has %d references after the forks failed, want 1", refs)
		}

		t.Group().Signal(signal.KernelInfo(unix.SIGUSR1)) // fatal, but not delivered before the return to user mode
		if _, err := m.clone(t, 0, nil); err != abi.ERESTARTNOINTR {
			m.T.Errorf("clone with a signal pending: %v, want ERESTARTNOINTR", err)
		}
		m.journal.expect("/4", "upper fork", "lower fork", "lower undo", "upper undo")
		m.journal.expect("")
	})
}

func TestExecFromThreadCallsRowsOfBothThreads(t *testing.T) {
	m := newMachine(t)
	m.process(func(t *task.Task) {
		m.journal.take("")
		m.mustClone(t, task.ThreadFlags, m.exec)
		m.sleep(t)
	})
	m.journal.expect("", slices.Concat([]string{"upper started /1", "lower started /1"}, endsThread, left("/first"))...)
	m.journal.expect("/1", slices.Concat(bornThread, left("/first"), execed("/second"), endsProcess, left("/second"))...)
}

func TestExitGroupCallsExitRowsOfEveryThread(t *testing.T) {
	m := newMachine(t)
	const threads = 8
	m.process(func(t *task.Task) {
		for range threads {
			m.mustClone(t, task.ThreadFlags, m.sleep)
		}
		t.ExitGroup(task.ExitStatus(0))
	})
	ends := map[string]int{}
	for _, events := range m.journal.events {
		for _, event := range events {
			if _, what, found := strings.Cut(event, " exit "); found {
				ends[what]++
			}
		}
	}
	if ends["thread"] != 2*threads || ends["process"] != 2 {
		t.Errorf("the two rows have the exit events %v, want %d of a thread and 2 of a process", ends, 2*threads)
	}
}

func TestChildStartsWithItsLevels(t *testing.T) {
	m := newMachine(t)
	owes := func(t *task.Task) bool { return entry.Pending(&t.Frame.ThreadFlags)&entry.SyscallTrace != 0 }
	m.process(func(t *task.Task) {
		state := m.journal.slot.Of(t)
		for _, flags := range []uint64{0, task.ThreadFlags} {
			for _, traced := range []bool{true, false} {
				state.traced.Store(traced)
				t.UpdateLevels()
				done := make(chan bool)
				m.mustClone(t, flags, func(t *task.Task) { done <- owes(t) })
				if got := <-done; got != traced {
					m.T.Errorf("flags %#x: the child owes SYSCALL_TRACE: %t, want %t", flags, got, traced)
				}
			}
		}
		state.traced.Store(true)
		m.exec(t)
		if !owes(t) {
			m.T.Error("execve did not update the levels")
		}
	})
}

func TestRegisterAfterTheFirstTaskPanics(t *testing.T) {
	m := newMachine(t)
	m.process(func(*task.Task) {})
	for name, register := range map[string]func(){
		"Register": func() { m.k.Register(task.Subsystem{Name: "late"}) },
		"NewSlot":  func() { task.NewSlot[int](m.k) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic after the first task was created", name)
				}
			}()
			register()
		}()
	}
}
