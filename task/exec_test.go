package task

import (
	stdelf "debug/elf"
	"encoding/binary"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/mm"
	"slowpath/mm/mmtest"
	"slowpath/signal"
	"slowpath/task/elf"
)

// exec calls execve and, if that succeeds, executes the new program.
func (w *world) exec(t *Task, name string, argv, envp []string) error {
	err := t.Exec(ExecRequest{At: fs.At{Caller: t, Name: name, Follow: true}, Argv: argv, Envp: envp})
	if err == nil {
		w.body(t)(t)
	}
	return err
}

// mustExec is exec, and reports an error to the test.
func (w *world) mustExec(t *Task, name string, argv, envp []string) {
	if err := w.exec(t, name, argv, envp); err != nil {
		w.T.Errorf("exec of %s: %v", name, err)
	}
}

// stackWords returns the arguments, the environment and the auxiliary vector of the
// initial stack.
func stackWords(t *Task) (argv, envp []string, auxv map[uint64]uint64) {
	at := t.Frame.RSP
	next := func() uint64 {
		at += 8
		var p [8]byte
		t.CopyIn(at-8, p[:])
		return binary.LittleEndian.Uint64(p[:])
	}
	list := func() (strings []string) {
		for p := next(); p != 0; p = next() {
			s, _ := t.CopyInString(p, MaxArgument)
			strings = append(strings, s)
		}
		return strings
	}
	next() // argc
	argv, envp = list(), list()
	auxv = make(map[uint64]uint64)
	for tag := next(); tag != atNull; tag = next() {
		auxv[tag] = next()
	}
	return argv, envp, auxv
}

func TestExecBuildsTheInitialStack(t *testing.T) {
	w := newWorld(t)
	w.install("/next", func(t *Task) {
		argv, envp, auxv := stackWords(t)
		if !slices.Equal(argv, []string{"next", "", "a b"}) || !slices.Equal(envp, []string{"A=1", "B="}) {
			w.T.Errorf("the program has the arguments %q and the environment %q", argv, envp)
		}
		if t.Frame.RSP%16 != 0 || t.Frame.RIP != auxv[atENTRY] || auxv[atPHDR] != programBase+64 || auxv[atPAGESZ] != 4096 {
			w.T.Errorf("rsp %#x, rip %#x, auxv %#x", t.Frame.RSP, t.Frame.RIP, auxv)
		}
		if name, _ := t.CopyInString(auxv[atEXECFN], 100); name != "/next" {
			w.T.Errorf("AT_EXECFN is %q", name)
		}
		if name, _ := t.CopyInString(auxv[atPLATFORM], 100); name != "x86_64" {
			w.T.Errorf("AT_PLATFORM is %q", name)
		}
		var random [16]byte
		if err := t.CopyIn(auxv[atRANDOM], random[:]); err != nil || random == [16]byte{} {
			w.T.Errorf("AT_RANDOM points to %v, %v", random, err)
		}
		program := t.Program()
		args := make([]byte, program.ArgEnd-program.ArgStart)
		t.CopyIn(program.ArgStart, args)
		if string(args) != "next\x00\x00a b\x00" {
			w.T.Errorf("the argument strings are %q", args)
		}
		if t.Comm() != "next" {
			w.T.Errorf("the thread's name is %q, want next", t.Comm())
		}
		exit(t, 5)
	})
	status := w.process(func(t *Task) {
		w.mustExec(t, "/next", []string{"next", "", "a b"}, []string{"A=1", "B="})
	})
	if status != ExitStatus(5) {
		t.Errorf("the process %v", status)
	}
}

func TestExecResetsSignalsFilesAndRegisters(t *testing.T) {
	w := newWorld(t)
	w.install("/next", func(t *Task) {
		if got := t.Group().Actions().Get(unix.SIGUSR1); got.Handler != signal.SIG_DFL {
			w.T.Error("the handler is still set after execve")
		}
		if got := t.Group().Actions().Get(unix.SIGUSR2); got.Handler != signal.SIG_IGN {
			w.T.Error("an ignored signal is not ignored after execve")
		}
		if t.Blocked() != signal.SetOf(unix.SIGTERM) || t.AltStack != (signal.AltStack{}) {
			w.T.Errorf("blocked %v, alternate stack %+v", t.Blocked(), t.AltStack)
		}
		if got := [2]int{t.FDs.NextOpen(0), t.FDs.NextOpen(2)}; got != [2]int{1, -1} {
			w.T.Errorf("%v are open, want only 1", got)
		}
		if t.Frame.RBX != 0 || t.Frame.FSBase != 0 || t.Frame.RFLAGS != 0x202 {
			w.T.Errorf("registers: rbx %d, fs %#x, flags %#x", t.Frame.RBX, t.Frame.FSBase, t.Frame.RFLAGS)
		}
		exit(t, 0)
	})
	w.process(func(t *Task) {
		w.handle(t, unix.SIGUSR1, 0)
		t.SetAction(unix.SIGUSR2, signal.Action{Handler: signal.SIG_IGN})
		t.SetBlocked(signal.SetOf(unix.SIGTERM))
		t.AltStack = signal.AltStack{Base: 4096, Size: 8192}
		t.Frame.RBX, t.Frame.FSBase, t.Frame.RFLAGS = 1, 0x5000, 0x247
		for i, onExec := range []fs.ExecAction{fs.CloseOnExec, fs.KeepOnExec} {
			file, _ := fs.At{Caller: t, Name: "/program", Follow: true}.Open(unix.O_RDONLY, 0)
			if fd, err := t.FDs.Install(file, 0, 100, onExec); fd != i || err != nil {
				w.T.Errorf("descriptor %d, %v", fd, err)
			}
		}
		w.mustExec(t, "/next", nil, nil)
	})
}

func TestScriptInterpreterArguments(t *testing.T) {
	w := newWorld(t)
	var got atomic.Pointer[[]string]
	w.install("/interpreter", func(t *Task) {
		argv, _, _ := stackWords(t)
		got.Store(&argv)
		exit(t, 0)
	})
	w.executable("/plain", "#!/interpreter\necho")
	w.executable("/argument", "#! /interpreter  -x  y \t\nrest")
	w.executable("/nested", "#!/argument -n\n")
	for name, want := range map[string][]string{
		"/plain":    {"/interpreter", "/plain", "one", "two"},
		"/argument": {"/interpreter", "-x  y", "/argument", "one", "two"},
		"/nested":   {"/interpreter", "-x  y", "/argument", "-n", "/nested", "one", "two"},
	} {
		w.process(func(t *Task) {
			w.mustExec(t, name, []string{"zero", "one", "two"}, nil)
		})
		if !slices.Equal(*got.Load(), want) {
			t.Errorf("%s: the interpreter got %q, want %q", name, *got.Load(), want)
		}
	}
}

func TestFailedExecChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.executable("/text", "just text")
	w.executable("/empty", "")
	w.executable("/norun", "#!\n")
	w.executable("/loop", "#!/loop\n")
	w.executable("/longline", "#!"+strings.Repeat("x", 300))
	w.executable("/noloader", elfFile(stdelf.ET_DYN, "/missing"))
	w.executable("/badloader", elfFile(stdelf.ET_DYN, "/text"))
	w.Write("/plainfile", elfFile(stdelf.ET_EXEC, ""))
	w.At("/directory").MakeDirectory(0o755)
	w.process(func(t *Task) {
		for name, want := range map[string]error{
			"/missing": unix.ENOENT, "/text": unix.ENOEXEC, "/empty": unix.ENOEXEC, "/norun": unix.ENOEXEC,
			"/loop": unix.ELOOP, "/longline": unix.ENOEXEC, "/noloader": unix.ENOENT, "/badloader": unix.ELIBBAD,
			"/plainfile": unix.EACCES, "/directory": unix.EACCES, "": unix.ENOENT, "/text/x": unix.ENOTDIR,
		} {
			if err := w.exec(t, name, nil, nil); err != want {
				w.T.Errorf("exec of %q: %v, want %v", name, err, want)
			}
		}
		long := strings.Repeat("x", MaxArgument)
		if err := w.exec(t, "/program", []string{long}, nil); err != unix.E2BIG {
			w.T.Errorf("an argument of %d bytes: %v, want E2BIG", len(long), err)
		}
		if err := w.exec(t, "/program", make([]string, 300000), nil); err != unix.E2BIG {
			w.T.Errorf("300000 arguments: %v, want E2BIG", err)
		}
		if t.Interrupted() {
			w.T.Error("a failed execve sent a signal")
		}
	})
}

func TestExecOfAnUnmappableProgramKills(t *testing.T) {
	w := newWorld(t)
	bad := []byte(elfFile(stdelf.ET_EXEC, ""))
	binary.LittleEndian.PutUint64(bad[64+16:], 1<<63) // p_vaddr in the kernel's half
	w.executable("/bad", string(bad))
	w.process(func(t *Task) {
		pid := w.fork(t, func(t *Task) { w.exec(t, "/bad", nil, nil) })
		if result := w.wait(t, pid, 0); result.Status != SignalStatus(unix.SIGSEGV) {
			w.T.Errorf("the child %v, want SIGSEGV", result.Status)
		}
	})
}

// TestEntryPointOutsideUserMemoryKills: the program chooses the first value of RIP.
func TestEntryPointOutsideUserMemoryKills(t *testing.T) {
	for _, entry := range []uint64{1 << 63, 1 << 47, amd64.UserLimit, 0xffffffff81000000} {
		w := newWorld(t)
		file := []byte(elfFile(stdelf.ET_EXEC, ""))
		binary.LittleEndian.PutUint64(file[24:], entry) // e_entry
		w.executable("/bad", string(file))
		status := w.process(func(t *Task) {
			t.SetAction(unix.SIGSEGV, signal.Action{Handler: signal.SIG_IGN})
			if err := t.Exec(ExecRequest{At: fs.At{Caller: t, Name: "/bad", Follow: true}, Argv: []string{"bad"}}); err != nil {
				w.T.Errorf("entry point %#x: exec fails with %v, want a signal", entry, err)
			}
		})
		if status.Signal() != unix.SIGSEGV {
			t.Errorf("entry point %#x: status %#x, want signal %d", entry, status, unix.SIGSEGV)
		}
	}
}

// TestScriptOfADescriptorThatExecClosesIsNotFound executes a script by a descriptor. Its
// interpreter could not open it if execve closes the descriptor.
func TestScriptOfADescriptorThatExecClosesIsNotFound(t *testing.T) {
	w := newWorld(t)
	w.install("/interpreter", func(*Task) {})
	w.executable("/script", "#!/interpreter\n")
	w.process(func(t *Task) {
		file, err := fs.At{Caller: t, Name: "/script", Follow: true}.Open(unix.O_RDONLY, 0)
		if err != nil {
			w.T.Error(err)
			return
		}
		defer file.DecRef()
		r := ExecRequest{At: fs.At{Caller: t, Start: file, Empty: true, Follow: true}, Descriptor: 3, Closed: true, Argv: []string{"script"}}
		if err := t.Exec(r); err != unix.ENOENT {
			w.T.Errorf("with a descriptor that execve closes: %v, want ENOENT", err)
		}
		r.Closed = false
		if err := t.Exec(r); err != nil {
			w.T.Errorf("with a descriptor that stays open: %v", err)
		}
	})
}

func TestExecStartsTheDynamicLoader(t *testing.T) {
	w := newWorld(t)
	w.executable("/loader", elfFile(stdelf.ET_DYN, ""))
	w.executable("/dynamic", elfFile(stdelf.ET_DYN, "/loader"))
	w.names["/dynamic"] = func(t *Task) {
		_, _, auxv := stackWords(t)
		if auxv[atENTRY] < rulesOf[elf.Class64].pieBase || auxv[atBASE] == 0 || t.Frame.RIP <= auxv[atBASE] || t.Frame.RIP == auxv[atENTRY] {
			w.T.Errorf("entry %#x, base %#x, rip %#x", auxv[atENTRY], auxv[atBASE], t.Frame.RIP)
		}
		var magic [4]byte
		if t.CopyIn(auxv[atBASE], magic[:]); string(magic[:]) != "\x7fELF" {
			w.T.Errorf("the memory at AT_BASE starts with %q, want the ELF magic", magic)
		}
		heap := t.MM.Brk(0, nil)
		if heap < rulesOf[elf.Class64].pieBase || t.MM.Brk(heap+mm.PageSize, nil) != heap+mm.PageSize {
			w.T.Errorf("brk cannot extend the heap at %#x", heap)
		}
		exit(t, 0)
	}
	w.process(func(t *Task) { w.mustExec(t, "/dynamic", nil, nil) })
}

func TestExecMakesTheThreadTheLeader(t *testing.T) {
	w := newWorld(t)
	w.install("/next", func(t *Task) {
		if t.TID() != t.PID() || t.Group().ThreadCount() != 1 {
			w.T.Errorf("the caller is thread %d of process %d with %d threads, want the only one", t.TID(), t.PID(), t.Group().ThreadCount())
		}
		exit(t, 6)
	})
	w.process(func(t *Task) {
		pid := w.fork(t, func(t *Task) {
			for range 4 {
				w.thread(t, w.sleepForever)
			}
			w.thread(t, func(t *Task) { w.mustExec(t, "/next", nil, nil) })
			w.sleepForever(t)
		})
		if result := w.wait(t, pid, 0); result.Status != ExitStatus(6) {
			w.T.Errorf("the process %v, want code 6", result.Status)
		}
	})
}

func TestOneOfConcurrentExecsSucceeds(t *testing.T) {
	w := newWorld(t)
	w.install("/next", func(t *Task) { exit(t, 6) })
	w.process(func(t *Task) {
		for range 20 {
			pid := w.fork(t, func(t *Task) {
				start := make(chan struct{}) // no thread is made during execve: EAGAIN
				for range 3 {
					w.thread(t, func(t *Task) {
						<-start
						w.exec(t, "/next", nil, nil)
						w.sleepForever(t)
					})
				}
				close(start)
				w.sleepForever(t)
			})
			if result := w.wait(t, pid, 0); result.Status != ExitStatus(6) {
				w.T.Errorf("the process %v, want code 6", result.Status)
			}
		}
	})
}

func TestVforkReturnsAtExec(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	w.install("/next", func(t *Task) { <-release })
	w.process(func(t *Task) {
		pid := w.clone(t, CloneArgs{Flags: unix.CLONE_VFORK | unix.CLONE_VM, ExitSignal: unix.SIGCHLD}, func(t *Task) {
			w.mustExec(t, "/next", nil, nil)
		})
		close(release)
		w.wait(t, pid, 0)
	})
}

func TestSetUserIDObeysNoNewPrivileges(t *testing.T) {
	w := newWorld(t)
	w.install("/next", func(t *Task) {
		_, _, auxv := stackWords(t)
		exit(t, int(t.Credentials().EUID)*2+int(auxv[atSECURE]))
	})
	w.chmod("/next", 0o4755)
	w.process(func(t *Task) {
		for _, noNewPrivs := range []bool{false, true} {
			pid := w.fork(t, func(t *Task) {
				t.SetAllUIDs(10, 10, 10)
				if noNewPrivs {
					t.SetNoNewPrivileges()
				}
				w.mustExec(t, "/next", nil, nil)
			})
			want := ExitStatus(1) // root, and secure
			if noNewPrivs {
				want = ExitStatus(20)
			}
			if result := w.wait(t, pid, 0); result.Status != want {
				w.T.Errorf("no_new_privs %v: %v, want %v", noNewPrivs, result.Status, want)
			}
		}
	})
}

func TestExecClearsParentDeathSignalOfPrivilegedProgramsOnly(t *testing.T) {
	const cleared, kept = 0, int(unix.SIGUSR1)
	user := func(t *Task) { t.SetAllGIDs(10, 10, 10); t.SetAllUIDs(10, 10, 10) }
	for name, c := range map[string]struct {
		mode    uint32
		prepare func(*Task)
		want    int
	}{
		"root, ordinary program":     {0o755, func(*Task) {}, kept},
		"user, ordinary program":     {0o755, user, kept},
		"set-user-ID":                {0o4755, user, cleared},
		"set-group-ID":               {0o2755, user, cleared},
		"set-user-ID, no_new_privs":  {0o4755, func(t *Task) { user(t); t.SetNoNewPrivileges() }, kept},
		"effective id is not real":   {0o755, func(t *Task) { t.SetAllUIDs(10, 20, 20) }, cleared},
		"root regains capabilities":  {0o755, func(t *Task) { t.SetCapabilities(1<<cred.Kill, 1<<cred.Kill, 0) }, cleared},
		"root, set-user-ID to root":  {0o4755, func(*Task) {}, kept},
		"root, set-group-ID to root": {0o2755, func(*Task) {}, kept},
	} {
		w := newWorld(t)
		w.install("/next", func(t *Task) { exit(t, int(t.ParentDeathSignal())) })
		w.chmod("/next", c.mode)
		w.process(func(t *Task) {
			pid := w.fork(t, func(t *Task) {
				c.prepare(t)
				t.SetParentDeathSignal(unix.SIGUSR1)
				w.mustExec(t, "/next", nil, nil)
			})
			if result := w.wait(t, pid, 0); result.Status != ExitStatus(c.want) {
				w.T.Errorf("%s: after execve the child %v, want PR_GET_PDEATHSIG %d as exit code", name, result.Status, c.want)
			}
		})
	}
}

func FuzzScript(f *testing.F) {
	f.Add("#!/bin/sh\n")
	f.Add("#! /bin/sh -e\nrest")
	f.Fuzz(func(t *testing.T, head string) {
		line, err := parseScript(head[:min(len(head), scriptHead)])
		if err != nil || line == nil {
			return
		}
		if line.interpreter == "" || strings.ContainsAny(line.interpreter, " \t\n\x00") || strings.ContainsAny(line.argument, "\n\x00") {
			t.Errorf("%q was parsed as interpreter %q with argument %q", head, line.interpreter, line.argument)
		}
	})
}

// TestExecOfASetUserIDProgramGainsNothingIfUnsafe has the cases of execve(2) in which
// the set-user-ID bit is ignored, and their neighbours in which it is not.
func TestExecOfASetUserIDProgramGainsNothingIfUnsafe(t *testing.T) {
	const gained, refused = 0, 10
	// share makes a process that shares the directories of t and sleeps until end.
	share := func(w *world, t *Task) (pid int, end func()) {
		gate := make(chan struct{})
		pid = w.clone(t, CloneArgs{Flags: unix.CLONE_FS, ExitSignal: unix.SIGCHLD}, func(*Task) { <-gate })
		return pid, func() { close(gate) }
	}
	for name, c := range map[string]struct {
		prepare func(w *world, t *Task) (end func())
		want    int
	}{
		"alone":                         {func(*world, *Task) func() { return func() {} }, gained},
		"directories shared by process": {func(w *world, t *Task) func() { _, end := share(w, t); return end }, refused},
		"directories shared by thread": {func(w *world, t *Task) func() {
			gate := make(chan struct{})
			w.thread(t, func(t *Task) { w.sleepForever(t) })
			return func() { close(gate) }
		}, gained},
		"directories shared before": {func(w *world, t *Task) func() {
			pid, end := share(w, t)
			end()
			w.wait(t, pid, 0)
			return func() {}
		}, gained},
		"no_new_privs": {func(_ *world, t *Task) func() { t.SetNoNewPrivileges(); return func() {} }, refused},
	} {
		w := newWorld(t)
		w.install("/next", func(t *Task) {
			c := t.Credentials()
			if c.SUID != c.EUID || c.FSUID != c.EUID || (c.EUID != 0) != (c.Permitted == 0) {
				w.T.Errorf("%s: credentials %+v", name, c)
			}
			exit(t, int(c.EUID))
		})
		w.chmod("/next", 0o4755)
		w.process(func(t *Task) {
			ready, done := make(chan struct{}), make(chan struct{})
			pid := w.fork(t, func(t *Task) {
				t.SetAllGIDs(10, 10, 10)
				t.SetAllUIDs(10, 10, 10)
				end := c.prepare(w, t)
				go func() { <-done; end() }()
				close(ready)
				w.mustExec(t, "/next", nil, nil)
			})
			<-ready
			w.eventually("the exit of the program", func() bool { g := w.k.GroupByID(pid); _, ended := g.Exited(); return ended })
			close(done)
			if result := w.wait(t, pid, 0); result.Status != ExitStatus(c.want) {
				w.T.Errorf("%s: the program of user 10 %v, want its effective user %d as exit code", name, result.Status, c.want)
			}
		})
	}
}

// TestDirectoriesCannotBeSharedDuringExec: otherwise a process that shares them could
// be made after the check.
func TestDirectoriesCannotBeSharedDuringExec(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		if safety := t.beginExec(); safety != safeExec {
			w.T.Fatalf("execve of a process that shares nothing has safety %d", safety)
		}
		if _, err := t.Clone(CloneArgs{Flags: unix.CLONE_FS, ExitSignal: unix.SIGCHLD}); err != unix.EAGAIN {
			w.T.Errorf("clone with CLONE_FS during execve: %v, want EAGAIN", err)
		}
		t.FS.EndExec(true)
		pid := w.clone(t, CloneArgs{Flags: unix.CLONE_FS, ExitSignal: unix.SIGCHLD}, func(*Task) {})
		w.wait(t, pid, 0)
	})
}

// TestDumpableFollowsTheIdentity has the rules of prctl(2), PR_SET_DUMPABLE.
func TestDumpableFollowsTheIdentity(t *testing.T) {
	for name, c := range map[string]struct {
		mode    uint32
		suid    int64 // /proc/sys/fs/suid_dumpable
		prepare func(*Task)
		before  mm.Dumpable
		after   mm.Dumpable // after execve
	}{
		"nothing":                  {0o755, 0, func(*Task) {}, mm.DumpableByUser, mm.DumpableByUser},
		"prctl":                    {0o755, 0, func(t *Task) { t.SetDumpable(mm.NotDumpable) }, mm.NotDumpable, mm.DumpableByUser},
		"setuid":                   {0o755, 0, func(t *Task) { t.SetUID(10) }, mm.NotDumpable, mm.DumpableByUser},
		"setuid, suid_dumpable 2":  {0o755, 2, func(t *Task) { t.SetUID(10) }, mm.DumpableByRoot, mm.DumpableByUser},
		"setfsuid":                 {0o755, 0, func(t *Task) { t.SetFSUID(10) }, mm.NotDumpable, mm.NotDumpable},
		"setgid":                   {0o755, 0, func(t *Task) { t.SetGID(10) }, mm.NotDumpable, mm.DumpableByUser},
		"real id only":             {0o755, 0, func(t *Task) { t.SetAllUIDs(10, Keep, Keep) }, mm.DumpableByUser, mm.NotDumpable},
		"effective id is not real": {0o755, 0, func(t *Task) { t.SetAllUIDs(Keep, 10, 10) }, mm.NotDumpable, mm.NotDumpable},
		"unreadable program":       {0o711, 0, func(t *Task) { t.SetUID(10) }, mm.NotDumpable, mm.NotDumpable},
		"set-user-ID program":      {0o4755, 2, func(t *Task) { t.SetUID(10) }, mm.DumpableByRoot, mm.DumpableByRoot},
		"dropped capability":       {0o755, 0, func(t *Task) { t.SetCapabilities(0, 0, 0) }, mm.DumpableByUser, mm.NotDumpable},
	} {
		w := newWorld(t)
		w.k.Settings().SuidDumpable.Set(c.suid)
		w.install("/next", func(t *Task) { exit(t, int(t.Dumpable())) })
		w.chmod("/next", c.mode)
		w.process(func(t *Task) {
			pid := w.fork(t, func(t *Task) {
				c.prepare(t)
				if got := t.Dumpable(); got != c.before {
					w.T.Errorf("%s: dumpable is %d, want %d", name, got, c.before)
				}
				w.mustExec(t, "/next", nil, nil)
			})
			if result := w.wait(t, pid, 0); result.Status != ExitStatus(int(c.after)) {
				w.T.Errorf("%s: after execve the child %v, want dumpable %d as exit code", name, result.Status, c.after)
			}
		})
	}
}

// TestExecOfLongArgumentsNeedsRoomInTheHeap: the arguments are in the kernel's heap
// until they are on the new stack.
func TestExecOfLongArgumentsNeedsRoomInTheHeap(t *testing.T) {
	w := newWorld(t)
	w.install("/next", func(t *Task) { exit(t, 5) })
	w.process(func(t *Task) {
		free := mmtest.FillHeap(w.Memory, 128<<10)
		long := []string{strings.Repeat("x", 100_000)}
		if err := t.Exec(ExecRequest{At: fs.At{Caller: t, Name: "/next", Follow: true}, Argv: long}); err != unix.ENOMEM {
			w.T.Errorf("execve with 100 kB of arguments: %v, want ENOMEM", err)
		}
		free()
	})
}

func TestThreadsShareDumpable(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		done := make(chan struct{})
		w.thread(t, func(t *Task) { t.SetDumpable(mm.NotDumpable); close(done) })
		<-done
		if t.Dumpable() != mm.NotDumpable {
			w.T.Error("PR_SET_DUMPABLE of one thread is not seen by another")
		}
	})
}

// TestSetUserIDProgramsDoNotInheritPersonality: their caller must not choose their
// addresses.
func TestSetUserIDProgramsDoNotInheritPersonality(t *testing.T) {
	w := newWorld(t)
	w.install("/next", func(t *Task) { exit(t, int(t.Personality(^uint32(0))>>16)) })
	for mode, want := range map[uint32]int{0o755: addrNoRandomize >> 16, 0o4755: 0} {
		w.chmod("/next", mode)
		w.process(func(t *Task) {
			pid := w.fork(t, func(t *Task) {
				t.SetUID(10)
				t.Personality(addrNoRandomize)
				w.mustExec(t, "/next", nil, nil)
			})
			if result := w.wait(t, pid, 0); result.Status != ExitStatus(want) {
				w.T.Errorf("mode %o: the program %v, want bits %#x of its personality as exit code", mode, result.Status, want)
			}
		})
	}
}

// TestExecReplacesActionsDuringKill runs execve(2) while another process reads the
// actions to send signals. The race detector finds an access without a lock.
func TestExecReplacesActionsDuringKill(t *testing.T) {
	w := newWorld(t)
	w.install("/after", func(t *Task) {})
	w.process(func(parent *Task) {
		child := w.fork(parent, func(t *Task) {
			w.handle(t, unix.SIGUSR1, 0)
			t.Exec(ExecRequest{At: fs.At{Caller: t, Name: "/after", Follow: true}, Argv: []string{"/after"}})
		})
		group := w.k.GroupByID(child)
		for range 1000 {
			group.Signal(signal.KernelInfo(unix.SIGURG))
		}
		w.wait(parent, child, 0)
	})
}
