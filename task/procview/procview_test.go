package procview_test

import (
	stdelf "debug/elf"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/fs/procfs"
	"slowpath/mm"
	"slowpath/mm/mmtest"
	"slowpath/signal"
	"slowpath/task"
	"slowpath/task/elf"
	"slowpath/task/procview"
)

// world is a kernel with /proc. A program is a Go function: the instruction pointer
// of a task selects it.
type world struct {
	*fstest.World
	k *task.Kernel

	mu   sync.Mutex
	code []func(*task.Task)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: fstest.New(t, 4096)}
	w.k = task.New(task.Config{Memory: w.Memory, NoRandomize: true, Log: t.Logf, Run: func(t *task.Task) {
		w.body(t)(t)
		if !t.Exiting() {
			t.ExitThread(0)
		}
	}})
	w.k.StartReaper()
	w.At("/proc").MakeDirectory(0o755)
	w.Mounts.Register("proc", nil)
	proc := procfs.New(procview.New(w.k, procview.Config{CPUs: func() []procfs.CPU { return nil }}), procfs.Extra{})
	if err := w.At("/proc").MountAt(proc, "proc", 0); err != nil {
		t.Fatal(err)
	}
	w.Write("/program", program())
	f := w.Open("/program", unix.O_RDONLY, 0)
	defer f.DecRef()
	if err := f.Inode().Change(fs.Changes{Mask: fs.ChangeMode, Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	return w
}

// program returns an ELF executable of one page.
func program() string {
	const base, headers = 0x400000, elf.FileHeaderSize + elf.HeaderSize
	return string(elf.Headers(stdelf.ET_EXEC, base+headers, stdelf.Prog64{
		Type: uint32(stdelf.PT_LOAD), Flags: uint32(stdelf.PF_R | stdelf.PF_W), Vaddr: base,
		Filesz: headers, Memsz: mm.PageSize, Align: mm.PageSize,
	}))
}

// body returns the function that the task executes. The entry point of the ELF
// program selects the first.
func (w *world) body(t *task.Task) func(*task.Task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at := t.Frame.RIP; at < uint64(len(w.code)) {
		return w.code[at]
	}
	return w.code[0]
}

// run executes body as a process and waits for its end.
func (w *world) run(body func(*task.Task)) {
	w.T.Helper()
	w.code = []func(*task.Task){body}
	g, err := w.k.Spawn(task.SpawnRequest{
		Path: "/program", Argv: []string{"/program"}, Envp: []string{"SECRET=hunter2"}, FDs: fs.NewFDTable(), FS: w.Caller.Context.Copy(),
	})
	if err != nil {
		w.T.Fatal(err)
	}
	g.AwaitEnd()
}

// clone makes a task that executes body.
func (w *world) clone(t *task.Task, a task.CloneArgs, body func(*task.Task)) int {
	w.mu.Lock()
	w.code = append(w.code, body)
	at := len(w.code) - 1
	w.mu.Unlock()
	old := t.Frame.RIP
	t.Frame.RIP = uint64(at)
	defer func() { t.Frame.RIP = old }()
	for {
		id, err := t.Clone(a)
		if err == abi.ERESTARTNOINTR {
			for { // take the signal that is pending
				if _, ok := t.TakeSignal(^signal.Set(0)); !ok {
					break
				}
			}
			continue
		}
		if err != nil {
			w.T.Errorf("clone: %v", err)
		}
		return id
	}
}

var (
	process = task.CloneArgs{ExitSignal: unix.SIGCHLD}
	thread  = task.CloneArgs{Flags: unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD}
)

// join waits until the thread has exited.
func (w *world) join(id int) {
	for w.k.TaskByID(id) != nil {
		unix.Nanosleep(&unix.Timespec{Nsec: 100_000}, nil)
	}
}

func (w *world) wait(t *task.Task, id int) {
	if _, err := t.Wait(task.WaitRequest{Kind: task.WaitPID, ID: id, Options: unix.WEXITED}); err != nil {
		w.T.Errorf("wait: %v", err)
	}
}

// textFiles are the files of a process whose contents are text.
var textFiles = []string{
	"auxv", "cgroup", "cmdline", "comm", "environ", "limits", "maps", "mountinfo", "mounts", "oom_score", "oom_score_adj", "timerslack_ns",
	"personality", "schedstat", "smaps", "stat", "statm", "status", "wchan", "fdinfo/0",
}

func open(c fs.Caller, name string, flags int) (*fs.File, error) {
	return fs.At{Caller: c, Name: name, Follow: true}.Open(flags, 0)
}

// callerSource is the memory of a task, like that of write(2).
type callerSource struct {
	*fs.BytesSource
	caller fs.Caller
}

func (s callerSource) Caller() fs.Caller { return s.caller }

func write(c fs.Caller, f *fs.File, text string) error {
	_, err := f.Write(callerSource{fs.NewBytesSource([]byte(text)), c})
	return err
}

func read(f *fs.File) (string, error) {
	sink := fs.NewBytesSink(make([]byte, 65536))
	_, err := f.Read(sink)
	return string(sink.Bytes()), err
}

// TestFilesStayReadableAfterTheirOpenerHasExited opens each file of /proc by a thread
// that exits before the file is read.
func TestFilesStayReadableAfterTheirOpenerHasExited(t *testing.T) {
	w := newWorld(t)
	w.run(func(t *task.Task) {
		t.FDs.Install(w.Open("/program", unix.O_RDONLY, 0), 0, 10, fs.KeepOnExec)
		var files []*fs.File
		names := []string{"/proc/mounts", "/proc/filesystems", "/proc/meminfo", "/proc/sys/kernel/hostname"}
		for _, name := range textFiles {
			names = append(names, "/proc/self/"+name)
		}
		w.join(w.clone(t, thread, func(t *task.Task) {
			for _, name := range names {
				f, err := open(t, name, unix.O_RDONLY)
				if err != nil {
					w.T.Fatalf("%s: %v", name, err)
				}
				files = append(files, f)
			}
		}))
		for i, f := range files {
			if text, err := read(f); err != nil || text == "" && names[i] != "/proc/self/environ" {
				w.T.Errorf("%s, opened by a thread that has exited: %q, %v", names[i], text, err)
			}
			f.DecRef()
		}
	})
}

// TestTextOfManyAreasNeedsRoomInTheHeap: the text of smaps is as long as the program
// chooses.
func TestTextOfManyAreasNeedsRoomInTheHeap(t *testing.T) {
	w := newWorld(t)
	w.run(func(t *task.Task) {
		const count, base = 1000, 0x200000000
		for i := range uint64(count) {
			_, err := t.MM.Mmap(mm.MapRequest{
				Addr: base + 2*i*mm.PageSize, Length: mm.PageSize, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED,
			})
			if err != nil {
				w.T.Fatal(err)
			}
		}
		f, err := open(t, "/proc/self/smaps", unix.O_RDONLY)
		if err != nil {
			w.T.Fatal(err)
		}
		defer f.DecRef()
		free := mmtest.FillHeap(w.Memory, 400<<10)
		if text, err := read(f); err != unix.ENOMEM {
			w.T.Errorf("smaps without room: %d bytes, %v, want ENOMEM", len(text), err)
		}
		free()
		if text, err := read(f); text == "" || err != nil {
			w.T.Errorf("smaps with room: %d bytes, %v", len(text), err)
		}
	})
}

// TestFilesOfAProcessThatIsGoneFailWithESRCH keeps files of a child open until after
// it was reaped.
func TestFilesOfAProcessThatIsGoneFailWithESRCH(t *testing.T) {
	w := newWorld(t)
	w.run(func(t *task.Task) {
		gate := make(chan struct{})
		pid := w.clone(t, process, func(*task.Task) { <-gate })
		directory := "/proc/" + strconv.Itoa(pid)
		files := map[string]*fs.File{}
		for _, name := range []string{"", "/stat", "/status", "/comm", "/oom_score_adj", "/environ", "/mounts"} {
			f, err := open(t, directory+name, unix.O_RDONLY)
			if err != nil {
				w.T.Fatalf("%s: %v", name, err)
			}
			defer f.DecRef()
			files[name] = f
		}
		close(gate)
		w.wait(t, pid)
		for name, want := range map[string]error{"/stat": unix.ESRCH, "/status": unix.ESRCH, "/comm": unix.ESRCH, "/oom_score_adj": unix.ESRCH, "/environ": nil, "/mounts": nil} {
			if _, err := read(files[name]); err != want {
				w.T.Errorf("%s of a process that was reaped: %v, want %v", name, err, want)
			}
		}
		for _, name := range []string{"stat", "exe", "fd", "cwd"} {
			at := fs.At{Caller: t, Start: files[""], Name: name, Follow: true}
			if _, err := at.Lookup(); err != unix.ENOENT {
				w.T.Errorf("%s in the directory of a process that was reaped: %v, want ENOENT", name, err)
			}
		}
	})
}

// TestEveryFileSurvivesExitAndExecOfItsProcess reads all files of processes while
// they call execve and exit.
func TestEveryFileSurvivesExitAndExecOfItsProcess(t *testing.T) {
	w := newWorld(t)
	const rounds = 40
	w.run(func(t *task.Task) {
		var readers sync.WaitGroup
		var current sync.Map
		done := make(chan struct{})
		root := &fstest.Caller{Cred: cred.Root(), Context: w.Caller.Context, PID: 1}
		for range 2 {
			readers.Add(1)
			go func() {
				defer readers.Done()
				for {
					select {
					case <-done:
						return
					default:
					}
					current.Range(func(pid, _ any) bool {
						readAll(root, "/proc/"+strconv.Itoa(pid.(int)))
						return true
					})
				}
			}()
		}
		for range rounds {
			gate := make(chan struct{})
			w.mu.Lock()
			w.code[0] = func(t *task.Task) {} // what the program does after execve
			w.mu.Unlock()
			pid := w.clone(t, process, func(t *task.Task) {
				<-gate
				w.clone(t, thread, func(*task.Task) {})
				if err := t.Exec(task.ExecRequest{At: fs.At{Caller: t, Name: "/program", Follow: true}, Argv: []string{"x"}}); err != nil {
					w.T.Errorf("execve: %v", err)
				}
				w.body(t)(t)
			})
			current.Store(pid, true)
			close(gate)
			w.wait(t, pid)
			current.Delete(pid)
		}
		close(done)
		readers.Wait()
	})
}

func readAll(c fs.Caller, directory string) {
	for _, name := range textFiles {
		if f, err := open(c, directory+"/"+name, unix.O_RDONLY); err == nil {
			read(f)
			f.DecRef()
		}
	}
	for _, name := range []string{"exe", "cwd", "root", "fd/0"} {
		fs.At{Caller: c, Name: directory + "/" + name}.ReadLink()
	}
	for _, name := range []string{"", "/fd", "/fdinfo", "/task"} {
		if d, err := open(c, directory+name, unix.O_RDONLY|unix.O_DIRECTORY); err == nil {
			d.ReadDirectory(func(fs.DirectoryEntry) bool { return true })
			d.DecRef()
		}
	}
}

func become(t *task.Task, id uint32) {
	t.SetAllGIDs(id, id, id)
	t.SetAllUIDs(id, id, id)
}

// TestMemoryOfAProcessThatDroppedRootIsPrivate: its memory may hold what root had.
func TestMemoryOfAProcessThatDroppedRootIsPrivate(t *testing.T) {
	w := newWorld(t)
	w.run(func(t *task.Task) {
		gate, ready := make(chan struct{}), make(chan struct{})
		daemon := w.clone(t, process, func(t *task.Task) {
			become(t, 1000)
			close(ready)
			<-gate
		})
		<-ready
		directory := "/proc/" + strconv.Itoa(daemon)
		w.wait(t, w.clone(t, process, func(t *task.Task) {
			become(t, 1000)
			for _, name := range []string{"environ", "auxv", "maps", "smaps", "fd", "fdinfo", "cwd", "root", "exe", "fdinfo/0"} {
				if _, err := open(t, directory+"/"+name, unix.O_RDONLY); err != unix.EACCES {
					w.T.Errorf("%s of a process with the same user that has dropped root: %v, want EACCES", name, err)
				}
			}
			stat, err := open(t, directory+"/stat", unix.O_RDONLY)
			if err != nil {
				w.T.Fatal(err)
			}
			text, _ := read(stat)
			if fields := strings.Fields(text); len(fields) != 52 || fields[25] != "0" || fields[27] != "0" || fields[50] != "0" {
				w.T.Errorf("stat shows the addresses: %q", text)
			}
			a, err := fs.At{Caller: t, Name: directory + "/environ"}.Attributes()
			if err != nil || a.UID != 0 {
				w.T.Errorf("environ belongs to %d (%v), want root", a.UID, err)
			}
			if a, _ := (fs.At{Caller: t, Name: directory}).Attributes(); a.UID != 1000 {
				w.T.Errorf("the directory belongs to %d, want 1000", a.UID)
			}
		}))
		close(gate)
		w.wait(t, daemon)
	})
}

func TestAProcessMayInspectItselfWhateverItsIDs(t *testing.T) {
	w := newWorld(t)
	w.run(func(t *task.Task) {
		t.FDs.Install(w.Open("/program", unix.O_RDONLY, 0), 0, 10, fs.KeepOnExec)
		t.SetAllUIDs(task.Keep, 1000, task.Keep)
		for _, name := range []string{"exe", "cwd", "root", "fd/0"} {
			if text, err := (fs.At{Caller: t, Name: "/proc/self/" + name}).ReadLink(); err != nil {
				w.T.Errorf("readlink of %s with another effective user: %q, %v", name, text, err)
			}
		}
		if f, err := open(t, "/proc/self/maps", unix.O_RDONLY); err != nil {
			w.T.Errorf("maps: %v", err)
		} else if text, err := read(f); text == "" || err != nil {
			w.T.Errorf("maps: %q, %v", text, err)
		}
		// The file belongs to root, and only the owner may open it.
		if _, err := open(t, "/proc/self/environ", unix.O_RDONLY); err != unix.EACCES {
			w.T.Errorf("environ of a process that is not dumpable: %v, want EACCES", err)
		}
		t.SetDumpable(mm.DumpableByUser)
		if _, err := open(t, "/proc/self/environ", unix.O_RDONLY); err != nil {
			w.T.Errorf("environ after PR_SET_DUMPABLE: %v", err)
		}
	})
}

// TestAnOpenFileDoesNotShowTheMemoryOfTheNextProgram opens environ before execve, which
// may give the process privileges that the reader lacks.
func TestAnOpenFileDoesNotShowTheMemoryOfTheNextProgram(t *testing.T) {
	w := newWorld(t)
	w.run(func(t *task.Task) {
		w.code[0] = func(*task.Task) {}
		f, err := open(t, "/proc/self/environ", unix.O_RDONLY)
		if err != nil {
			w.T.Fatal(err)
		}
		if text, _ := read(f); text != "SECRET=hunter2\x00" {
			w.T.Errorf("environ is %q", text)
		}
		if err := t.Exec(task.ExecRequest{At: fs.At{Caller: t, Name: "/program", Follow: true}, Envp: []string{"NEW=1"}}); err != nil {
			w.T.Fatal(err)
		}
		if text, err := read(f); text != "" || err != nil {
			w.T.Errorf("environ that was opened before execve is %q, %v, want nothing", text, err)
		}
	})
}

func TestLoweringOOMScoreAdjNeedsCAPSYSRESOURCE(t *testing.T) {
	w := newWorld(t)
	w.run(func(t *task.Task) {
		inherited, err := open(t, "/proc/self/oom_score_adj", unix.O_WRONLY)
		if err != nil {
			w.T.Fatal(err)
		}
		w.wait(t, w.clone(t, process, func(t *task.Task) {
			become(t, 1000)
			t.SetDumpable(mm.DumpableByUser)
			own, err := open(t, "/proc/self/oom_score_adj", unix.O_WRONLY)
			if err != nil {
				w.T.Fatal(err)
			}
			for _, c := range []struct {
				text string
				want error
			}{{"-1000", unix.EACCES}, {"500", nil}, {"400", nil}, {"0", nil}, {"-1", unix.EACCES}, {" 7\n", nil}, {"1001", unix.EINVAL}} {
				if err := write(t, own, c.text); err != c.want {
					w.T.Errorf("user 1000 writes %q: %v, want %v", c.text, err, c.want)
				}
			}
			if err := write(t, inherited, "-1"); err != unix.EACCES {
				w.T.Errorf("user 1000 writes -1 through root's descriptor: %v, want EACCES", err)
			}
		}))
		// A privileged task lowers the limit for its children.
		if err := write(t, inherited, "-500"); err != nil {
			w.T.Errorf("root writes -500: %v", err)
		}
		w.wait(t, w.clone(t, process, func(t *task.Task) {
			become(t, 1000)
			t.SetDumpable(mm.DumpableByUser)
			own, err := open(t, "/proc/self/oom_score_adj", unix.O_WRONLY)
			if err != nil {
				w.T.Fatal(err)
			}
			for text, want := range map[string]error{"-500": nil, "-501": unix.EACCES} {
				if err := write(t, own, text); err != want {
					w.T.Errorf("user 1000 writes %s below a limit of -500: %v, want %v", text, err, want)
				}
			}
		}))
	})
}

func TestOnlyThreadsOfAProcessRenameIt(t *testing.T) {
	w := newWorld(t)
	w.run(func(t *task.Task) {
		gate := make(chan struct{})
		child := w.clone(t, process, func(*task.Task) { <-gate })
		f, err := open(t, "/proc/"+strconv.Itoa(child)+"/comm", unix.O_WRONLY)
		if err != nil {
			w.T.Fatal(err)
		}
		if err := write(t, f, "renamed"); err != unix.EINVAL {
			w.T.Errorf("another process writes comm: %v, want EINVAL", err)
		}
		own, _ := open(t, "/proc/self/comm", unix.O_WRONLY)
		if err := write(t, own, "renamed"); err != nil || t.Comm() != "renamed" {
			w.T.Errorf("a thread writes comm: %v, the name is %q", err, t.Comm())
		}
		close(gate)
		w.wait(t, child)
	})
}
