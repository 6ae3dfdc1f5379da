package task

import (
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/mm"
	"slowpath/signal"
)

func TestWaitReturnsTheExitCodeOfAChild(t *testing.T) {
	w := newWorld(t)
	status := w.process(func(t *Task) {
		pid := w.fork(t, func(t *Task) { exit(t, 42) })
		result := w.wait(t, pid, 0)
		if result.PID != pid || result.Status != ExitStatus(42) || result.Code != signal.CLD_EXITED || result.Detail != 42 {
			w.T.Errorf("wait returned %+v for child %d", result, pid)
		}
		if _, err := t.Wait(WaitRequest{Options: unix.WEXITED}); err != unix.ECHILD {
			w.T.Errorf("waiting without children: %v, want ECHILD", err)
		}
		exit(t, 7)
	})
	if status != ExitStatus(7) {
		t.Errorf("the process %v, want code 7", status)
	}
}

func TestWaitObeysItsOptions(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		var release atomic.Bool
		pid := w.fork(t, func(child *Task) {
			child.Block(nil, 0, 0, release.Load)
			exit(child, 3)
		})
		all := WaitRequest{Options: unix.WEXITED | unix.WNOHANG}
		if result, err := t.Wait(all); err != nil || result.PID != 0 {
			w.T.Errorf("WNOHANG with a running child: %+v, %v", result, err)
		}
		if _, err := t.Wait(WaitRequest{Kind: WaitPID, ID: pid + 1, Options: all.Options}); err != unix.ECHILD {
			w.T.Errorf("waiting for a process that is no child: %v, want ECHILD", err)
		}
		if _, err := t.Wait(WaitRequest{Options: all.Options | unix.WCLONE}); err != unix.ECHILD {
			w.T.Errorf("__WCLONE with an ordinary child: %v, want ECHILD", err)
		}
		release.Store(true)
		w.k.TaskByID(pid).Sleeper.Wake()
		for range 2 {
			if result := w.wait(t, pid, unix.WNOWAIT); result.Status != ExitStatus(3) {
				w.T.Errorf("WNOWAIT: %+v", result)
			}
		}
		w.wait(t, pid, 0)
		if w.k.TaskByID(pid) != nil {
			w.T.Error("the id of a reaped child still exists")
		}
	})
}

func TestSIGCHLDDescribesTheChild(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		t.SetBlocked(signal.SetOf(unix.SIGCHLD))
		w.handle(t, unix.SIGCHLD, 0)
		pid := w.fork(t, func(t *Task) { exit(t, 9) })
		info, err := t.WaitSignal(signal.SetOf(unix.SIGCHLD), 0)
		if err != nil || info.Code != signal.CLD_EXITED || info.PID() != pid || info.Status() != 9 {
			w.T.Errorf("SIGCHLD has code %d, pid %d, status %d, %v", info.Code, info.PID(), info.Status(), err)
		}
		w.wait(t, pid, 0)
	})
}

func TestChildrenAreReapedIfSIGCHLDIsIgnored(t *testing.T) {
	for name, action := range map[string]signal.Action{
		"SIG_IGN":      {Handler: signal.SIG_IGN},
		"SA_NOCLDWAIT": {Handler: signal.SIG_DFL, Flags: signal.SA_NOCLDWAIT},
	} {
		w := newWorld(t)
		w.process(func(t *Task) {
			t.SetAction(unix.SIGCHLD, action)
			pid := w.fork(t, func(t *Task) { exit(t, 1) })
			_, err := t.Wait(WaitRequest{Options: unix.WEXITED})
			if err != unix.ECHILD {
				w.T.Errorf("%s: waiting gives %v, want ECHILD", name, err)
			}
			if w.k.TaskByID(pid) != nil {
				w.T.Errorf("%s: the child is still a zombie", name)
			}
		})
	}
}

func TestProcessLivesUntilItsLastThreadExits(t *testing.T) {
	w := newWorld(t)
	status := w.process(func(t *Task) {
		pid := w.fork(t, func(leader *Task) {
			g := leader.Group()
			w.thread(leader, func(t *Task) {
				w.eventually("the leader's end", func() bool { return leader.StateLetter() == 'Z' })
				if _, ended := g.Exited(); ended {
					w.T.Error("the process has exited while a thread runs")
				}
				t.ExitThread(5)
			})
			leader.ExitThread(4)
		})
		if result := w.wait(t, pid, 0); result.Status != ExitStatus(4) {
			w.T.Errorf("the process %v, want the leader's code 4", result.Status)
		}
	})
	if status != 0 {
		t.Errorf("the process %v", status)
	}
}

func TestExitGroupKillsSleepingThreads(t *testing.T) {
	w := newWorld(t)
	status := w.process(func(t *Task) {
		for range 8 {
			w.thread(t, w.sleepForever)
		}
		exit(t, 11)
	})
	if status != ExitStatus(11) {
		t.Errorf("the process %v, want code 11", status)
	}
}

func TestOrphanIsReparentedToReaperOrSubreaper(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		var grandchild atomic.Int64
		orphan := func(expect int) {
			child := w.fork(t, func(child *Task) {
				grandchild.Store(int64(w.fork(child, w.sleepForever)))
				exit(child, 0)
			})
			w.wait(t, child, 0)
			g := w.k.GroupByID(int(grandchild.Load()))
			if g.Parent().PID() != expect {
				w.T.Errorf("the orphan's parent is %d, want %d", g.Parent().PID(), expect)
			}
			g.Kill()
		}
		orphan(1)
		t.Group().SetSubreaper(true)
		orphan(t.PID())
		w.wait(t, int(grandchild.Load()), 0)
	})
}

func TestParentDeathSignalIsSentWhenTheParentExits(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		t.Group().SetSubreaper(true)
		var grandchild atomic.Int64
		child := w.fork(t, func(child *Task) {
			grandchild.Store(int64(w.fork(child, func(t *Task) {
				t.SetParentDeathSignal(unix.SIGUSR1)
				w.sleepForever(t)
			})))
			g := w.k.GroupByID(int(grandchild.Load()))
			w.eventually("PR_SET_PDEATHSIG", func() bool { return g.Leader().ParentDeathSignal() != 0 })
			exit(child, 0)
		})
		w.wait(t, child, 0)
		if result := w.wait(t, int(grandchild.Load()), 0); result.Status != SignalStatus(unix.SIGUSR1) {
			w.T.Errorf("the grandchild %v, want SIGUSR1", result.Status)
		}
	})
}

func TestVforkReturnsAfterTheChildExits(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		var ended atomic.Bool
		pid := w.clone(t, CloneArgs{Flags: unix.CLONE_VFORK | unix.CLONE_VM, ExitSignal: unix.SIGCHLD}, func(t *Task) {
			ended.Store(true)
			exit(t, 0)
		})
		if !ended.Load() {
			w.T.Error("vfork returned while the child used the memory")
		}
		w.wait(t, pid, 0)
	})
}

func TestClearChildTIDWakesTheJoiner(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		t.StoreUint32(scratch, 1)
		args := CloneArgs{Flags: threadFlags | unix.CLONE_CHILD_CLEARTID | unix.CLONE_PARENT_SETTID, ChildTID: scratch, ParentTID: scratch + 4}
		tid := w.clone(t, args, func(t *Task) { t.ExitThread(0) })
		if stored, _ := t.LoadUint32(scratch + 4); int(stored) != tid {
			w.T.Errorf("CLONE_PARENT_SETTID stored %d, want %d", stored, tid)
		}
		for {
			word, _ := t.LoadUint32(scratch)
			if word == 0 {
				break
			}
			if err := t.FutexWait(scratch, word, SharedFutex, FutexMatchAny, 0); err != nil && err != unix.EAGAIN {
				w.T.Errorf("joining: %v", err)
				break
			}
		}
	})
}

func TestCloneRejectsInvalidFlags(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		for name, c := range map[string]struct {
			flags uint64
			want  error
		}{
			"thread without handlers":  {unix.CLONE_THREAD | unix.CLONE_VM, unix.EINVAL},
			"handlers without memory":  {unix.CLONE_SIGHAND, unix.EINVAL},
			"pidfd of a thread":        {threadFlags | unix.CLONE_PIDFD, unix.EINVAL},
			"clear and share handlers": {unix.CLONE_VM | unix.CLONE_SIGHAND | unix.CLONE_CLEAR_SIGHAND, unix.EINVAL},
			"namespace and shared fs":  {unix.CLONE_NEWNS | unix.CLONE_FS, unix.EINVAL},
			"namespace":                {unix.CLONE_NEWPID, unix.EINVAL},
		} {
			if _, err := t.Clone(CloneArgs{Flags: c.flags}); err != c.want {
				w.T.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		t.SetAllUIDs(1000, 1000, 1000)
		if _, err := t.Clone(CloneArgs{Flags: unix.CLONE_NEWPID}); err != unix.EPERM {
			w.T.Errorf("a namespace without privilege: %v, want EPERM", err)
		}
		t.Group().Limits.Change(unix.RLIMIT_NPROC, Limit{1, 1}, Privileged)
		if _, err := t.Clone(CloneArgs{}); err != unix.EAGAIN {
			w.T.Errorf("clone beyond RLIMIT_NPROC: %v, want EAGAIN", err)
		}
	})
}

// TestThreadsThatForkAtOnceObeyTheProcessLimit has threads that all pass the first check of
// the limit before one of them has counted its child.
func TestThreadsThatForkAtOnceObeyTheProcessLimit(t *testing.T) {
	const threads, limit = 16, 20
	var forking sync.WaitGroup
	forking.Add(threads)
	w := newWorld(t, Subsystem{Name: "barrier", Fork: func(_, _ *Task, a *CloneArgs) error {
		if !a.thread() {
			forking.Done()
			forking.Wait()
		}
		return nil
	}})
	w.process(func(t *Task) {
		t.SetAllUIDs(1000, 1000, 1000)
		t.Group().Limits.Change(unix.RLIMIT_NPROC, Limit{limit, limit}, Privileged)
		var refused atomic.Int32
		var done sync.WaitGroup
		end := make(chan struct{})
		child := w.address(func(*Task) { <-end })
		for range threads {
			done.Add(1)
			w.clone(t, CloneArgs{Flags: threadFlags}, func(t *Task) {
				defer func() {
					done.Done()
					<-end
					t.ExitThread(0)
				}()
				t.Frame.RIP = child
				if _, err := t.Clone(CloneArgs{ExitSignal: unix.SIGCHLD}); err == unix.EAGAIN {
					refused.Add(1)
				} else if err != nil {
					w.T.Errorf("clone: %v", err)
				}
			})
		}
		done.Wait()
		if forked, want := threads-refused.Load(), int32(limit-threads-1); forked != want {
			w.T.Errorf("%d threads have forked, want %d", forked, want)
		}
		close(end)
	})
}

func TestProcessIDsWrapAround(t *testing.T) {
	w := newWorld(t)
	if err := w.k.SetPIDMax(reservedPIDs + 3); err != nil {
		t.Fatal(err)
	}
	w.process(func(t *Task) {
		seen := make(map[int]bool)
		for range reservedPIDs + 10 {
			pid := w.fork(t, func(t *Task) { exit(t, 0) })
			if pid == t.PID() || pid >= reservedPIDs+3 {
				w.T.Errorf("a child got the id %d", pid)
			}
			seen[pid] = true
			w.wait(t, pid, 0)
		}
		// The ids are 3 to 302 first, and then only 300 to 302.
		if len(seen) != reservedPIDs {
			w.T.Errorf("%d different ids were allocated, want %d", len(seen), reservedPIDs)
		}
	})
	if err := w.k.SetPIDMax(reservedPIDs); err != unix.EINVAL {
		t.Errorf("pid_max of 300: %v, want EINVAL", err)
	}
}

func TestPanicKillsOnlyTheProcess(t *testing.T) {
	w := newWorld(t)
	status := w.process(func(t *Task) {
		pid := w.fork(t, func(t *Task) { panic("a bug in a system call") })
		if result := w.wait(t, pid, 0); result.Status != SignalStatus(unix.SIGKILL) {
			w.T.Errorf("the child %v, want SIGKILL", result.Status)
		}
	})
	if status != 0 {
		t.Errorf("the parent %v", status)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.log) == 0 {
		t.Error("the panic was not logged")
	}
}

func TestManyProcessesAndThreadsExit(t *testing.T) {
	w := newWorld(t)
	status := w.process(func(t *Task) {
		for range 30 {
			var pids []int
			for range 5 {
				pids = append(pids, w.fork(t, func(t *Task) {
					for range 4 {
						w.thread(t, func(*Task) {})
					}
					exit(t, 1)
				}))
			}
			for _, pid := range pids {
				if result := w.wait(t, pid, 0); result.Status != ExitStatus(1) {
					w.T.Errorf("child %d %v", pid, result.Status)
				}
			}
		}
	})
	if status != 0 {
		t.Errorf("the process %v", status)
	}
	w.eventually("the release of all tasks", func() bool { return w.k.Threads() == 1 })
}

// TestFailedCloneLeavesNoChild: clone with a bad address for CLONE_PIDFD fails, and
// there is neither a child to wait for nor a descriptor.
func TestFailedCloneLeavesNoChild(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		before := w.k.Threads()
		for name, prepare := range map[string]func(a *CloneArgs){
			"a bad address":         func(a *CloneArgs) { a.PIDFD = 8 },
			"no descriptor is free": func(a *CloneArgs) { t.group.Limits.Change(unix.RLIMIT_NOFILE, Limit{0, 10}, Privileged) },
			"the id is in use":      func(a *CloneArgs) { a.SetTID = t.TID() },
		} {
			t.group.Limits.Change(unix.RLIMIT_NOFILE, Limit{10, 10}, Privileged)
			a := CloneArgs{Flags: unix.CLONE_PIDFD, ExitSignal: unix.SIGCHLD, PIDFD: scratch}
			prepare(&a)
			if _, err := t.Clone(a); err == nil {
				w.T.Errorf("%s: clone succeeded", name)
			}
			if _, err := t.Wait(WaitRequest{Options: unix.WEXITED | unix.WNOHANG | unix.WALL}); err != unix.ECHILD {
				w.T.Errorf("%s: wait4 after the failed clone: %v, want ECHILD", name, err)
			}
			if n := w.k.Threads(); n != before {
				w.T.Errorf("%s: there are %d tasks after the failed clone, want %d", name, n, before)
			}
			if fd := t.NextDescriptor(0); fd >= 0 {
				w.T.Errorf("%s: descriptor %d is open after the failed clone", name, fd)
			}
		}
	})
}

// TestCloneStoresIDsAtUnalignedAddresses: the words need not be aligned.
func TestCloneStoresIDsAtUnalignedAddresses(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		const pidfd, parentTID, childTID = scratch + 1, scratch + 9, scratch + 17
		seen := make(chan uint32, 1)
		pid := w.clone(t, CloneArgs{
			Flags:      unix.CLONE_PIDFD | unix.CLONE_PARENT_SETTID | unix.CLONE_CHILD_SETTID,
			ExitSignal: unix.SIGCHLD, PIDFD: pidfd, ParentTID: parentTID, ChildTID: childTID,
		}, func(t *Task) {
			id, _ := t.LoadUint32(childTID)
			seen <- id
		})
		if id, err := t.LoadUint32(parentTID); int(id) != pid || err != nil {
			w.T.Errorf("CLONE_PARENT_SETTID stored %d (%v), want %d", id, err, pid)
		}
		fd, err := t.LoadUint32(pidfd)
		if g, _ := t.GroupOfPIDFD(int(fd)); err != nil || g == nil || g.PID() != pid {
			w.T.Errorf("CLONE_PIDFD stored %d (%v), which is no descriptor of the child", fd, err)
		}
		if id := <-seen; int(id) != pid {
			w.T.Errorf("CLONE_CHILD_SETTID stored %d, want %d", id, pid)
		}
		w.wait(t, pid, 0)
		t.FDs.Close(int(fd))
	})
}

func TestWordsAtBadAddressesAreEFAULT(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		for _, address := range []uint64{0, 1, 8, mm.UserEnd - 2, mm.UserEnd, mm.UserEnd + 1, ^uint64(0), ^uint64(3)} {
			if _, err := t.LoadUint32(address); err != unix.EFAULT {
				w.T.Errorf("reading a word at %#x: %v, want EFAULT", address, err)
			}
			if err := t.StoreUint32(address, 1); err != unix.EFAULT {
				w.T.Errorf("writing a word at %#x: %v, want EFAULT", address, err)
			}
		}
	})
}

// TestChildrenReapedUnwaitedDoNotCount: RUSAGE_CHILDREN has only the children that were
// waited for.
func TestChildrenReapedUnwaitedDoNotCount(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		const faults = 1 << 40 // more than a test can have
		work := func(t *Task) { t.Accounting.MinorFaults.Add(faults) }
		t.SetAction(unix.SIGCHLD, signal.Action{Handler: signal.SIG_IGN})
		ignored := w.fork(t, work)
		w.eventually("the end of the child", func() bool { return w.k.GroupByID(ignored) == nil })
		if u := t.Group().ChildrenUsage(); u.MinorFaults >= faults {
			w.T.Errorf("a child that was reaped because SIGCHLD is ignored counts %d faults", u.MinorFaults)
		}
		t.SetAction(unix.SIGCHLD, signal.Action{})
		w.wait(t, w.fork(t, work), 0)
		if u := t.Group().ChildrenUsage(); u.MinorFaults < faults {
			w.T.Errorf("a child that was waited for counts %d faults, want %d", u.MinorFaults, faults)
		}
	})
}

func TestDefaultTimerSlackIsTheParentsCurrentOne(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		t.SetTimerSlack(7)
		pid := w.fork(t, func(t *Task) {
			inherited := t.TimerSlack()
			t.SetTimerSlack(99)
			t.SetTimerSlack(0)
			if restored := t.TimerSlack(); inherited != 7 || restored != 7 {
				w.T.Errorf("the child has a slack of %d, and of %d after PR_SET_TIMERSLACK 0, want 7", inherited, restored)
			}
		})
		w.wait(t, pid, 0)
		if t.SetTimerSlack(0); t.TimerSlack() != defaultTimerSlack {
			w.T.Errorf("the parent has a slack of %d after PR_SET_TIMERSLACK 0", t.TimerSlack())
		}
	})
}

// TestWaitForAPidfdIgnoresAProcessWithTheSameID: the process of the descriptor was
// reaped, and its id was given to another child.
func TestWaitForAPidfdIgnoresAProcessWithTheSameID(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		gate := make(chan struct{})
		first := w.fork(t, func(*Task) { <-gate })
		fd, err := t.OpenPID(first, 0)
		if err != nil {
			w.T.Error(err)
			return
		}
		g, _ := t.GroupOfPIDFD(fd)
		close(gate)
		w.wait(t, first, 0)
		second := w.clone(t, CloneArgs{ExitSignal: unix.SIGCHLD, SetTID: first}, func(*Task) {})
		if second != first {
			w.T.Errorf("the second child has the id %d, want %d", second, first)
		}
		if _, err := t.Wait(WaitRequest{Kind: WaitPIDFD, Process: g, Options: unix.WEXITED}); err != unix.ECHILD {
			w.T.Errorf("waiting for a pidfd whose process was reaped: %v, want ECHILD", err)
		}
		w.wait(t, second, 0)
		t.FDs.Close(fd)
	})
}
