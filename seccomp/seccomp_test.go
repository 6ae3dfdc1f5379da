package seccomp

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/cred"
	"slowpath/entry"
	"slowpath/fs/fstest"
	"slowpath/mm"
	"slowpath/seccomp/bpf"
	"slowpath/sysctl"
	"slowpath/task"
	"slowpath/task/tasktest"
	"slowpath/wait"
)

// world is a kernel in which the user mode of a task is a function.
type world struct {
	*fstest.World
	kernel *task.Kernel

	mu     sync.Mutex
	bodies map[int]func(t *task.Task) // by thread id, for threads
	logged []task.SeccompLogged       // without the task
}

// run starts a process that executes body, and waits for its end.
func run(t *testing.T, body func(w *world, t *task.Task)) *world {
	t.Helper()
	w := &world{World: fstest.New(t, 4096), bodies: map[int]func(*task.Task){}}
	var first sync.Once
	w.kernel = task.New(task.Config{
		Memory: w.Memory, NoRandomize: true, Log: t.Logf,
		Run: func(tk *task.Task) {
			main := false
			first.Do(func() { main = true })
			if main {
				body(w, tk)
				tk.ExitGroup(task.ExitStatus(0))
				return
			}
			w.take(tk)(tk)
			if !tk.Exiting() {
				tk.ExitThread(0)
			}
		},
	})
	Sysctls(w.kernel.Settings())
	Register(w.kernel)
	w.kernel.Tracepoints.SeccompLogged.Register(func(e task.SeccompLogged) {
		w.mu.Lock()
		defer w.mu.Unlock()
		e.Task = nil
		w.logged = append(w.logged, e)
	})
	w.kernel.StartReaper()
	tasktest.Spawn(w.World, w.kernel).AwaitEnd()
	for deadline := time.Now().Add(10 * time.Second); w.kernel.Threads() > 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a task does not end")
		}
	}
	return w
}

// take waits for the function of a new task and returns it.
func (w *world) take(t *task.Task) func(*task.Task) {
	for {
		w.mu.Lock()
		body := w.bodies[0]
		delete(w.bodies, 0)
		w.mu.Unlock()
		if body != nil {
			return body
		}
		runtime.Gosched()
	}
}

const threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD

// clone starts a task that executes body, and returns a function that waits for its
// end.
func (w *world) clone(t *task.Task, flags uint64, body func(t *task.Task)) (await func()) {
	done := make(chan struct{})
	w.mu.Lock()
	w.bodies[0] = func(t *task.Task) { defer close(done); body(t) }
	w.mu.Unlock()
	if _, err := t.Clone(task.CloneArgs{Flags: flags}); err != nil {
		w.T.Error(err)
	}
	return func() { <-done }
}

// data returns the address of a page of the task's memory that begins with the bytes.
func data(w *world, t *task.Task, bytes ...byte) uint64 {
	at, err := t.MM.Mmap(mm.MapRequest{Length: 1 << 16, Prot: mm.ProtRead | mm.ProtWrite, Flags: unix.MAP_PRIVATE | unix.MAP_ANON})
	if err == nil {
		err = t.CopyOut(at, bytes)
	}
	if err != nil {
		w.T.Error(err)
	}
	return at
}

// install installs a program.
func install(w *world, t *task.Task, flags uint64, code ...bpf.Instruction) (uint64, error) {
	at := data(w, t)
	const instructions = 64
	abi.CopyOut(t, at, abi.SockFprog{Len: uint16(len(code)), Filter: at + instructions})
	abi.CopyOutSlice(t, at+instructions, code)
	return SetFilter(t, flags, at)
}

func ret(verdict action) bpf.Instruction { return bpf.Instruction{Code: 0x06, K: uint32(verdict)} }

// forCall returns a filter with a verdict for one call; others are allowed.
func forCall(nr uint32, verdict action) []bpf.Instruction {
	return []bpf.Instruction{{Code: 0x20}, {Code: 0x15, JF: 1, K: nr}, ret(verdict), ret(retAllow)}
}

// enterCall runs the duty of the entry for a call, and returns its verdict and RAX.
func enterCall(t *task.Task, nr int) (entry.Verdict, int64) {
	c := entry.Call{NR: int32(nr)}
	t.Frame.OrigRAX, t.Frame.RAX = uint64(nr), entry.NoCall
	verdict := Enter(t, &c)
	return verdict, int64(t.Frame.RAX)
}

func TestActionWithHighestPrecedenceDecides(t *testing.T) {
	order := []action{retKillProcess, retKillThread, retTrap, retErrno, retUserNotify, retTrace, retLog, retAllow}
	for i, first := range order {
		for j, second := range order {
			var chain *filter
			for _, a := range []action{first, second} {
				f := newFilter([]bpf.Instruction{ret(a)})
				f.extend(chain)
				chain = f
			}
			d := bpf.Data{Arch: unix.AUDIT_ARCH_X86_64, Args: new([6]uint64)}
			verdict, match := chain.run(&d)
			if want := order[min(i, j)]; actionOf(verdict) != want || (match == nil) != (want == retAllow) {
				t.Errorf("%#x and %#x: %#x, want %#x", first, second, verdict, want)
			}
			allowed := chain.admission.Calls[0]&1 != 0
			if allowed != (first == retAllow && second == retAllow) {
				t.Errorf("%#x and %#x: the admission of the chain is %v", first, second, allowed)
			}
		}
	}
}

func TestFlagsFollowSeccomp(t *testing.T) {
	for flags := range uint64(128) {
		invalid := flags >= 64 ||
			flags&flagTSync != 0 && flags&flagNewListener != 0 && flags&flagTSyncESRCH == 0 ||
			flags&flagWaitKillable != 0 && flags&flagNewListener == 0
		if err := checkFlags(flags); (err != nil) != invalid {
			t.Errorf("flags %#x: %v", flags, err)
		}
	}
}

func TestFilterNeedsPrivilegeOrNoNewPrivileges(t *testing.T) {
	run(t, func(w *world, tk *task.Task) {
		tk.ChangeCredentials(func(c *cred.Credentials) error { *c = *cred.User(1000, 1000); return nil })
		if _, err := install(w, tk, 0, ret(retAllow)); err != unix.EACCES {
			t.Errorf("without privilege: %v, want EACCES", err)
		}
		tk.SetNoNewPrivileges()
		if _, err := install(w, tk, 0, ret(retAllow)); err != nil || CurrentMode(tk) != Filtered {
			t.Errorf("with no_new_privs: %v, mode %v", err, CurrentMode(tk))
		}
		if err := SetStrict(tk); err != unix.EINVAL {
			t.Errorf("strict mode after a filter: %v, want EINVAL", err)
		}
	})
}

func TestFilterDecidesAboutCalls(t *testing.T) {
	run(t, func(w *world, tk *task.Task) {
		install(w, tk, 0, forCall(unix.SYS_GETPGID, retErrno|5000)...)
		if verdict, rax := enterCall(tk, unix.SYS_GETPGID); verdict != entry.Skip || rax != -4095 {
			t.Errorf("ERRNO: %v, %d, want -4095", verdict, rax)
		}
		if verdict, _ := enterCall(tk, unix.SYS_GETPID); verdict != entry.Proceed {
			t.Error("another call is not allowed")
		}
		install(w, tk, 0, forCall(unix.SYS_GETSID, retTrace)...)
		if verdict, rax := enterCall(tk, unix.SYS_GETSID); verdict != entry.Skip || rax != -int64(unix.ENOSYS) {
			t.Errorf("TRACE without a tracer: %v, %d, want ENOSYS", verdict, rax)
		}
		if a := tk.Admission(); a == nil || a.Flag != entry.Seccomp || a.Calls[unix.SYS_GETPID/64]>>(unix.SYS_GETPID%64)&1 == 0 {
			t.Error("the admission does not have a call that both filters allow")
		}
		tk.Frame.OrigRAX = unix.SYS_GETPGID
		if a := tk.Admission(); a.Ask(tk.Frame, unix.SYS_GETPGID) {
			t.Error("the admission admits a call that fails")
		}
		Suspend(tk, true)
		if entry.Pending(&tk.Frame.ThreadFlags)&entry.Seccomp != 0 || tk.Admission() != nil {
			t.Error("SECCOMP is owed although it is suspended")
		}
		Suspend(tk, false)
	})
}

// TestFilterAdmitsCallsOfEachABI: the filter allows getpid of i386 always and getpgid if its
// argument is 7, and no call of x86-64.
func TestFilterAdmitsCallsOfEachABI(t *testing.T) {
	const getpid32, getpgid32, arch, argument = 20, 132, 4, 16
	run(t, func(w *world, tk *task.Task) {
		tk.SetNoNewPrivileges()
		load := func(at uint32) bpf.Instruction { return bpf.Instruction{Code: 0x20, K: at} }
		equal := func(k uint32, yes, no uint8) bpf.Instruction {
			return bpf.Instruction{Code: 0x15, K: k, JT: yes, JF: no}
		}
		install(w, tk, 0, load(arch), equal(unix.AUDIT_ARCH_I386, 0, 5), load(0), equal(getpid32, 4, 0), equal(getpgid32, 0, 2),
			load(argument), equal(7, 1, 0), ret(retErrno|1), ret(retAllow))
		install(w, tk, 0, ret(retAllow))
		a := tk.Admission()
		if a.Calls != [entry.Calls / 64]uint64{} || a.Calls32 != [entry.Calls / 64]uint64{getpid32 / 64: 1 << getpid32} {
			t.Errorf("admitted by their numbers are %x and %x", a.Calls, a.Calls32)
		}
		for argument, want := range map[uint64]bool{7: true, 8: false, 1<<32 | 7: true} {
			tk.Frame.RBX, tk.Frame.RDI = argument, 7
			if a.Ask32(tk.Frame, getpgid32) != want || a.Ask(tk.Frame, getpgid32) {
				t.Errorf("getpgid(%#x) of i386: admitted %v; of x86-64: %v", argument, !want, !want)
			}
		}
	})
}

func TestChildInheritsChain(t *testing.T) {
	run(t, func(w *world, tk *task.Task) {
		tk.SetNoNewPrivileges()
		install(w, tk, 0, forCall(unix.SYS_GETPGID, retErrno|1)...)
		chain := of(tk).chain.Load()
		await := w.clone(tk, uint64(unix.SIGCHLD), func(child *task.Task) {
			if of(child).chain.Load() != chain || !child.NoNewPrivileges() || entry.Pending(&child.Frame.ThreadFlags)&entry.Seccomp == 0 {
				t.Error("the child does not have the filters of its parent")
			}
			install(w, child, 0, ret(retAllow))
		})
		await()
		if mode, filters := Status(tk); mode != 2 || filters != 1 {
			t.Errorf("the parent has mode %d and %d filters", mode, filters)
		}
	})
}

func TestSynchronizationReachesOtherThreads(t *testing.T) {
	run(t, func(w *world, tk *task.Task) {
		ready, goOn := make(chan int), make(chan struct{})
		await := w.clone(tk, threadFlags, func(thread *task.Task) {
			ready <- thread.TID()
			<-goOn
			if verdict, rax := enterCall(thread, unix.SYS_GETPGID); verdict != entry.Skip || rax != -7 || !thread.NoNewPrivileges() {
				t.Errorf("the other thread is not filtered: %v, %d", verdict, rax)
			}
			install(w, thread, 0, ret(retAllow))
			ready <- thread.TID()
			<-goOn
		})
		<-ready
		tk.SetNoNewPrivileges()
		if id, err := install(w, tk, flagTSync, forCall(unix.SYS_GETPGID, retErrno|7)...); id != 0 || err != nil {
			t.Errorf("TSYNC: %d, %v", id, err)
		}
		goOn <- struct{}{}
		tid := <-ready
		if id, err := install(w, tk, flagTSync, ret(retAllow)); int(id) != tid || err != nil {
			t.Errorf("TSYNC with a thread that has its own filter: %d, %v, want %d", id, err, tid)
		}
		if _, err := install(w, tk, flagTSync|flagTSyncESRCH, ret(retAllow)); err != unix.ESRCH {
			t.Errorf("TSYNC_ESRCH: %v", err)
		}
		if of(tk).chain.Load().depth() != 1 {
			t.Error("a synchronization that failed has installed the filter")
		}
		goOn <- struct{}{}
		await()
	})
}

func TestChainHasLimit(t *testing.T) {
	run(t, func(w *world, tk *task.Task) {
		long := make([]bpf.Instruction, bpf.MaxInstructions)
		for i := range long {
			long[i] = ret(retAllow)
		}
		n := 0
		for ; n < 10; n++ {
			if _, err := install(w, tk, 0, long...); err != nil {
				if err != unix.ENOMEM {
					t.Errorf("the chain is too long: %v, want ENOMEM", err)
				}
				break
			}
		}
		if n != 3 {
			t.Errorf("%d filters of 4096 RET are possible, want 3 as on Linux", n)
		}
	})
}

func TestFiltersHaveIndicesFromTheOldest(t *testing.T) {
	run(t, func(w *world, tk *task.Task) {
		await := w.clone(tk, uint64(unix.SIGCHLD), func(child *task.Task) {
			install(w, child, 0, ret(retAllow))
			install(w, child, flagLog, ret(retAllow), ret(retAllow))
			for index, want := range []int{1, 2} {
				if code, err := Filter(tk, child, uint64(index)); len(code) != want || err != nil {
					t.Errorf("filter %d has %d instructions, %v", index, len(code), err)
				}
			}
			if flags, err := Metadata(tk, child, 1); flags != flagLog || err != nil {
				t.Errorf("the flags are %#x, %v", flags, err)
			}
			if _, err := Filter(tk, child, 2); err != unix.ENOENT {
				t.Errorf("filter 2: %v, want ENOENT", err)
			}
			if _, err := Filter(child, child, 0); err != unix.EACCES {
				t.Errorf("a tracer with filters: %v, want EACCES", err)
			}
		})
		await()
		if _, err := Filter(tk, tk, 0); err != unix.EINVAL {
			t.Errorf("a task without filters: %v, want EINVAL", err)
		}
	})
}

// listen installs a filter with a listener for getpgid and returns its file.
func listen(w *world, t *task.Task, flags uint64) (*listener, int) {
	fd, err := install(w, t, flagNewListener|flags, forCall(unix.SYS_GETPGID, retUserNotify)...)
	if err != nil {
		w.T.Error(err)
		return nil, 0
	}
	file, err := t.FDs.Get(int(fd))
	if err != nil {
		w.T.Error(err)
		return nil, 0
	}
	defer file.DecRef()
	return file.Operations().(*listener), int(fd)
}

func TestListenerDecidesAboutCalls(t *testing.T) {
	run(t, func(w *world, tk *task.Task) {
		l, fd := listen(w, tk, 0)
		if _, err := install(w, tk, flagNewListener, ret(retAllow)); err != unix.EBUSY {
			t.Errorf("a second listener: %v, want EBUSY", err)
		}
		buffer := data(w, tk)
		receive := func() uint64 {
			abi.CopyOut(tk, buffer, abi.SeccompNotif{})
			if _, err := l.Ioctl(nil, tk, ioctlReceive, buffer); err != nil {
				t.Errorf("RECV: %v", err)
			}
			n, _ := abi.CopyIn[abi.SeccompNotif](tk, buffer)
			if n.Data.NR != unix.SYS_GETPGID || n.Data.Args[0] != 5 {
				t.Errorf("the notification is %+v", n)
			}
			return n.ID
		}
		send := func(r abi.SeccompNotifResp) {
			abi.CopyOut(tk, buffer, r)
			if _, err := l.Ioctl(nil, tk, ioctlSend, buffer); err != nil {
				t.Errorf("SEND of %+v: %v", r, err)
			}
		}
		await := w.clone(tk, threadFlags, func(thread *task.Task) {
			thread.Frame.RDI = 5
			for i, want := range []int64{7, -int64(unix.EDOM), -int64(unix.ENOSYS), -int64(unix.ENOSYS)} {
				verdict, rax := enterCall(thread, unix.SYS_GETPGID)
				if rax != want || (verdict == entry.Proceed) != (i == 2) {
					t.Errorf("call %d: %v, %d, want %d", i, verdict, rax, want)
				}
			}
		})
		id := receive()
		send(abi.SeccompNotifResp{ID: id, Val: 7})
		send(abi.SeccompNotifResp{ID: receive(), Error: -int32(unix.EDOM)})
		send(abi.SeccompNotifResp{ID: receive(), Flags: notifyContinue})
		abi.CopyOut(tk, buffer, id)
		if _, err := l.Ioctl(nil, tk, ioctlValid, buffer); err != unix.ENOENT {
			t.Errorf("ID_VALID of an old id: %v", err)
		}
		receive()
		tk.FDs.Close(fd) // the last call fails with ENOSYS
		await()
	})
}

// TestDeathOfTargetEndsNotification kills a task that waits for its listener, while a
// supervisor installs a descriptor in it.
func TestDeathOfTargetEndsNotification(t *testing.T) {
	run(t, func(w *world, tk *task.Task) {
		l, fd := listen(w, tk, flagWaitKillable)
		var child *task.Task
		await := w.clone(tk, uint64(unix.SIGCHLD), func(c *task.Task) {
			child = c
			enterCall(c, unix.SYS_GETPGID)
		})
		tk.Block(&l.queue, wait.Readable, 0, l.take)
		n, err := l.receive()
		if err != nil {
			t.Fatal(err)
		}
		child.Group().Kill()
		await()
		file, _ := tk.FDs.Get(fd)
		defer file.DecRef()
		if _, err := l.add(&addition{caller: tk, file: file, request: abi.SeccompNotifAddFD{ID: n.id}}); err != unix.ENOENT {
			t.Errorf("a descriptor for a task that died: %v, want ENOENT", err)
		}
	})
}

func TestWithdrawalEndsAdditions(t *testing.T) {
	run(t, func(w *world, tk *task.Task) {
		l, fd := listen(w, tk, 0)
		file, _ := tk.FDs.Get(fd)
		defer file.DecRef()
		n := &notification{task: tk}
		l.post(n)
		n.progress = received
		a := &addition{caller: tk, file: file, request: abi.SeccompNotifAddFD{ID: n.id}}
		if _, err := l.add(a); err != nil {
			t.Fatal(err)
		}
		second := &addition{caller: tk, file: file, request: abi.SeccompNotifAddFD{ID: n.id, Flags: addSend}}
		if _, err := l.add(second); err != unix.EBUSY {
			t.Errorf("SEND while another descriptor waits: %v, want EBUSY", err)
		}
		l.withdraw(n)
		if _, err := l.await(n, a); err != unix.ESRCH {
			t.Errorf("the descriptor of a task that goes on: %v, want ESRCH", err)
		}
	})
}

func TestActionsAreLoggedAsConfigured(t *testing.T) {
	settings := sysctl.Defaults()
	row := Sysctls(settings)[1].Value
	if got := row.Format(); got != "kill_process kill_thread trap errno user_notif trace log" {
		t.Errorf("the default is %q", got)
	}
	for text, want := range map[string]error{"errno trap\n": nil, "": nil, "allow": unix.EINVAL, "errno nonsense": unix.EINVAL} {
		if _, err := row.Store(text, 0); err != want {
			t.Errorf("storing %q: %v, want %v", text, err, want)
		}
	}
	w := run(t, func(w *world, tk *task.Task) {
		install(w, tk, flagLog, forCall(unix.SYS_GETPGID, retErrno)...)
		install(w, tk, 0, forCall(unix.SYS_GETSID, retErrno)...)
		enterCall(tk, unix.SYS_GETSID)
		enterCall(tk, unix.SYS_GETPGID)
	})
	if want := (task.SeccompLogged{Number: unix.SYS_GETPGID, Action: unix.SECCOMP_RET_ERRNO}); len(w.logged) != 1 || w.logged[0] != want {
		t.Errorf("logged were %+v, want %+v", w.logged, want)
	}
}
