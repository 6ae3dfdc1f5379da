package task

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/entry"
	"slowpath/signal"
)

func TestFatalSignalsKillASleepingProcess(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		for s := signal.Signal(1); s <= signal.Last; s++ {
			what := signal.DefaultOf(s)
			if what != signal.Terminate && what != signal.Core {
				continue
			}
			pid := w.fork(t, w.sleepForever)
			if err := t.Kill(pid, s); err != nil {
				w.T.Errorf("kill(%v): %v", s, err)
			}
			if result := w.wait(t, pid, 0); result.Status != SignalStatus(s) || result.Code != signal.CLD_KILLED {
				w.T.Errorf("after %s the child %v", signal.Name(s), result.Status)
			}
		}
	})
}

func TestIgnoredSignalsAreNotPending(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		t.SetAction(unix.SIGTERM, signal.Action{Handler: signal.SIG_IGN})
		t.Kill(t.PID(), unix.SIGTERM)
		t.Kill(t.PID(), unix.SIGCHLD)
		if all, _ := t.Pending(); all != 0 || t.Interrupted() {
			w.T.Errorf("ignored signals are pending: %v", all)
		}
		t.SetBlocked(signal.SetOf(unix.SIGUSR1, unix.SIGKILL, unix.SIGSTOP))
		if t.Blocked() != signal.SetOf(unix.SIGUSR1) {
			w.T.Errorf("%v are blocked, want SIGUSR1", t.Blocked())
		}
		t.Kill(t.PID(), unix.SIGUSR1)
		if all, own := t.Pending(); all != signal.SetOf(unix.SIGUSR1) || own != 0 || t.Interrupted() {
			w.T.Errorf("%v are pending, %v of them for the thread, want SIGUSR1 for the process", all, own)
		}
		t.SetAction(unix.SIGUSR1, signal.Action{Handler: signal.SIG_IGN})
		if all, _ := t.Pending(); all != 0 {
			w.T.Errorf("still pending after the signal was ignored: %v", all)
		}
	})
}

func TestSigreturnRestoresTheRegisters(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		w.handle(t, unix.SIGUSR1, 0)
		t.Frame.RAX, t.Frame.RBX, t.Frame.R15 = 1, 2, 3
		rsp, rip := t.Frame.RSP, t.Frame.RIP
		t.Kill(t.PID(), unix.SIGUSR1)
		w.returnToUser(t)
		f := t.Frame
		if f.RIP != 0x1234 || f.RDI != uint64(unix.SIGUSR1) || f.RSP >= rsp || f.RSP%16 != 8 {
			w.T.Errorf("the handler starts with rip %#x, rdi %d, rsp %#x", f.RIP, f.RDI, f.RSP)
		}
		if !t.Blocked().Has(unix.SIGUSR1) {
			w.T.Error("the signal is not blocked in its handler")
		}
		f.RBX = 99
		f.RSP += 8 // the handler returns to the restorer
		t.SignalReturn(f, signal.Pop)
		if f.RAX != 1 || f.RBX != 2 || f.R15 != 3 || f.RSP != rsp || f.RIP != rip || t.Blocked() != 0 {
			w.T.Errorf("after sigreturn: rip %#x, rax %d, rbx %d, r15 %d, blocked %v", f.RIP, f.RAX, f.RBX, f.R15, t.Blocked())
		}
	})
}

// TestHandlerAtBadAddressIsSIGSEGV: a return to the handler would fault, so the program
// gets SIGSEGV with the handler's registers. If that handler is bad too, the process
// ends.
func TestHandlerAtBadAddressIsSIGSEGV(t *testing.T) {
	const bad = 1 << 63
	w := newWorld(t)
	handler := func(t *Task, s signal.Signal, address uint64) {
		t.SetAction(s, signal.Action{Handler: address, Flags: signal.SA_RESTORER | signal.SA_SIGINFO, Restorer: 0x5678})
	}
	w.process(func(t *Task) {
		handler(t, unix.SIGUSR1, bad)
		handler(t, unix.SIGSEGV, 0x1234)
		t.Kill(t.PID(), unix.SIGUSR1)
		w.returnToUser(t)
		if f := t.Frame; f.RIP != 0x1234 || f.RDI != uint64(unix.SIGSEGV) || t.Exiting() {
			w.T.Errorf("rip %#x with signal %d, exiting %v; want the handler of SIGSEGV", f.RIP, f.RDI, t.Exiting())
		}
	})
	for _, flags := range []uint64{signal.SA_RESTORER, signal.SA_RESTORER | signal.SA_NODEFER} {
		status := w.process(func(t *Task) {
			t.SetAction(unix.SIGSEGV, signal.Action{Handler: bad, Flags: flags, Restorer: 0x5678})
			t.Kill(t.PID(), unix.SIGSEGV)
		})
		if status.Signal() != unix.SIGSEGV {
			t.Errorf("a bad handler of SIGSEGV with flags %#x: status %#x, want signal %d", flags, status, unix.SIGSEGV)
		}
	}
}

// TestInterruptedCallIsRestartedOrFails checks the rules of signal(7): which
// interrupted system calls are restarted, with which number, and which fail with
// EINTR.
func TestInterruptedCallIsRestartedOrFails(t *testing.T) {
	const number, again = 7, 0x2000
	type outcome struct{ rax, rip uint64 }
	eintr := outcome{^uint64(unix.EINTR) + 1, again + 2}
	restarted := outcome{number, again}
	blockRestarted := outcome{unix.SYS_RESTART_SYSCALL, again}
	for name, c := range map[string]struct {
		err                           unix.Errno
		none, handler, handlerRestart outcome
	}{
		"ERESTARTSYS":           {abi.ERESTARTSYS, restarted, eintr, restarted},
		"ERESTARTNOINTR":        {abi.ERESTARTNOINTR, restarted, restarted, restarted},
		"ERESTARTNOHAND":        {abi.ERESTARTNOHAND, restarted, eintr, eintr},
		"ERESTART_RESTARTBLOCK": {abi.ERESTART_RESTARTBLOCK, blockRestarted, eintr, eintr},
		"EAGAIN": {unix.EAGAIN, outcome{^uint64(unix.EAGAIN) + 1, again + 2},
			outcome{^uint64(unix.EAGAIN) + 1, again + 2}, outcome{^uint64(unix.EAGAIN) + 1, again + 2}},
	} {
		w := newWorld(t)
		w.process(func(t *Task) {
			type delivery struct {
				send  bool   // SIGUSR1 is pending
				flags uint64 // of its action
			}
			try := func(d delivery) outcome {
				f := t.Frame
				rsp := f.RSP
				f.OrigRAX, f.RAX, f.RIP = number, -uint64(c.err), again+2
				w.handle(t, unix.SIGUSR1, d.flags)
				if d.send {
					t.Kill(t.PID(), unix.SIGUSR1)
				}
				t.DeliverSignals(f)
				if d.send {
					f.RSP += 8
					t.SignalReturn(f, signal.Pop)
				}
				if f.RSP != rsp {
					w.T.Errorf("%s: the stack pointer has changed", name)
				}
				return outcome{f.RAX, f.RIP}
			}
			if got := try(delivery{}); got != c.none {
				w.T.Errorf("%s without a handler: %#x, want %#x", name, got, c.none)
			}
			if got := try(delivery{send: true}); got != c.handler {
				w.T.Errorf("%s with a handler: %#x, want %#x", name, got, c.handler)
			}
			if got := try(delivery{send: true, flags: signal.SA_RESTART}); got != c.handlerRestart {
				w.T.Errorf("%s with SA_RESTART: %#x, want %#x", name, got, c.handlerRestart)
			}
		})
	}
}

func TestHandlerWithoutStackKills(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		for _, s := range []signal.Signal{unix.SIGUSR1, unix.SIGSEGV} {
			pid := w.fork(t, func(t *Task) {
				w.handle(t, s, 0)
				t.Frame.RSP = 0x3000
				t.Kill(t.PID(), s)
				w.returnToUser(t)
			})
			if result := w.wait(t, pid, 0); result.Status != SignalStatus(unix.SIGSEGV) {
				w.T.Errorf("a handler of %v on an unmapped stack: the child %v, want SIGSEGV", s, result.Status)
			}
		}
	})
}

func TestBlockedFaultKills(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		pid := w.fork(t, func(t *Task) {
			w.handle(t, unix.SIGSEGV, 0)
			t.SetBlocked(signal.SetOf(unix.SIGSEGV))
			t.Frame.CR2 = 0
			t.pageFault(t.Frame, amd64.PageFault)
			w.returnToUser(t)
		})
		if result := w.wait(t, pid, 0); result.Status != SignalStatus(unix.SIGSEGV) {
			w.T.Errorf("the child %v", result.Status)
		}
	})
}

func TestExceptionsSendSignals(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		for vector, want := range map[int]signal.Signal{
			0: unix.SIGFPE, 1: unix.SIGTRAP, 3: unix.SIGTRAP, 6: unix.SIGILL, 11: unix.SIGBUS, 12: unix.SIGBUS,
			13: unix.SIGSEGV, 14: unix.SIGSEGV, 16: unix.SIGFPE, 17: unix.SIGBUS, 19: unix.SIGFPE,
		} {
			pid := w.fork(t, func(t *Task) {
				t.Frame.CR2 = 8
				takeException(t, vector)
				w.returnToUser(t)
			})
			if result := w.wait(t, pid, 0); result.Status != SignalStatus(want) {
				w.T.Errorf("after exception %d the child %v, want %v", vector, result.Status, signal.Name(want))
			}
		}
	})
}

func TestDebugExceptionCodes(t *testing.T) {
	for cause, want := range map[uint64]int32{
		0:                                            signal.TRAP_BRKPT, // INT1
		amd64.DebugStep:                              signal.TRAP_TRACE,
		1:                                            signal.TRAP_HWBKPT,
		8:                                            signal.TRAP_HWBKPT,
		amd64.DebugStep | 2:                          signal.TRAP_TRACE,
		1 << 13 /* an access to a debug register */ : 0,
	} {
		if got := debugCode(cause); got != want {
			t.Errorf("DR6 %#x: si_code %d, want %d", cause, got, want)
		}
	}
}

func TestStopAndContinueAreReportedOnce(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		pid := w.fork(t, func(t *Task) {
			w.thread(t, w.sleepForever)
			w.sleepForever(t)
		})
		for range 3 {
			t.Kill(pid, unix.SIGSTOP)
			result := w.wait(t, pid, unix.WUNTRACED)
			if result.Status != stopStatus(unix.SIGSTOP) || result.Code != signal.CLD_STOPPED {
				w.T.Errorf("wait for a stopped child returned %+v", result)
			}
			if again, err := t.Wait(WaitRequest{Options: unix.WSTOPPED | unix.WNOHANG}); err != nil || again.PID != 0 {
				w.T.Errorf("wait reported the same stop twice: %+v, %v", again, err)
			}
			t.Kill(pid, unix.SIGCONT)
			result = w.wait(t, pid, unix.WCONTINUED)
			if result.Status != continueStatus || result.Code != signal.CLD_CONTINUED {
				w.T.Errorf("wait for a continued child returned %+v", result)
			}
		}
		t.Kill(pid, unix.SIGSTOP)
		w.wait(t, pid, unix.WUNTRACED)
		t.Kill(pid, unix.SIGTERM) // stays pending while the process is stopped
		if g := w.k.GroupByID(pid); !g.Stopped() {
			w.T.Error("SIGTERM resumed a stopped process")
		}
		t.Kill(pid, unix.SIGKILL)
		if result := w.wait(t, pid, 0); result.Status.Signal() != unix.SIGTERM && result.Status.Signal() != unix.SIGKILL {
			w.T.Errorf("the stopped child %v, want SIGTERM or SIGKILL", result.Status)
		}
	})
}

func TestStopAndContinueDiscardEachOther(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		t.SetBlocked(signal.SetOf(unix.SIGTSTP, unix.SIGCONT))
		t.Kill(t.PID(), unix.SIGTSTP)
		t.Kill(t.PID(), unix.SIGCONT)
		if all, _ := t.Pending(); all.Has(unix.SIGTSTP) {
			w.T.Errorf("after SIGCONT %v are pending", all)
		}
		t.Kill(t.PID(), unix.SIGTSTP)
		if all, _ := t.Pending(); all.Has(unix.SIGCONT) {
			w.T.Errorf("after SIGTSTP %v are pending", all)
		}
		t.Kill(t.PID(), unix.SIGCONT)
	})
}

func TestRealtimeSignalsAreQueuedInOrder(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		const low, high = signal.FirstRealtime + 2, signal.FirstRealtime + 3
		set := signal.SetOf(low, high, unix.SIGUSR1)
		t.SetBlocked(set)
		for i := range 3 {
			for _, s := range []signal.Signal{high, low, unix.SIGUSR1} {
				info := signal.UserInfo(s, signal.SI_QUEUE, i, 0)
				if err := t.QueueInfo(t.PID(), info); err != nil {
					w.T.Errorf("QueueInfo: %v", err)
				}
			}
		}
		want := []struct {
			s   signal.Signal
			pid int
		}{{unix.SIGUSR1, 0}, {low, 0}, {low, 1}, {low, 2}, {high, 0}, {high, 1}, {high, 2}}
		for _, c := range want {
			info, err := t.WaitSignal(set, -1)
			if err != nil || info.Signo != c.s || info.PID() != c.pid {
				w.T.Errorf("WaitSignal returned %v from process %d (%v), want %v from %d", info.Signo, info.PID(), err, c.s, c.pid)
			}
		}
		if _, err := t.WaitSignal(set, -1); err != unix.EAGAIN {
			w.T.Errorf("WaitSignal with an empty queue: %v, want EAGAIN", err)
		}
		t.Group().Limits.Change(unix.RLIMIT_SIGPENDING, Limit{1, 1}, Privileged)
		t.QueueInfo(t.PID(), signal.UserInfo(low, signal.SI_QUEUE, 0, 0))
		if err := t.QueueInfo(t.PID(), signal.UserInfo(low, signal.SI_QUEUE, 0, 0)); err != unix.EAGAIN {
			w.T.Errorf("QueueInfo beyond RLIMIT_SIGPENDING: %v, want EAGAIN", err)
		}
	})
}

func TestWaitSignalTimesOut(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		set := signal.SetOf(unix.SIGUSR1)
		t.SetBlocked(set)
		start := clock.Monotonic()
		if _, err := t.WaitSignal(set, start+20*clock.Millisecond); err != unix.EAGAIN {
			w.T.Errorf("WaitSignal until the deadline: %v, want EAGAIN", err)
		}
		if clock.Monotonic()-start < 20*clock.Millisecond {
			w.T.Error("WaitSignal returned before the deadline")
		}
		if t.Blocked() != set {
			w.T.Errorf("%v are blocked after WaitSignal", t.Blocked())
		}
	})
}

func TestProcessSignalGoesToAThreadThatDoesNotBlockIt(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		w.handle(t, unix.SIGUSR1, 0)
		t.SetBlocked(signal.SetOf(unix.SIGUSR1))
		taken := make(chan int, 1)
		tid := w.thread(t, func(t *Task) {
			t.SetBlocked(0)
			t.Pause()
			w.returnToUser(t)
			if t.Frame.RDI == uint64(unix.SIGUSR1) {
				taken <- t.TID()
			}
		})
		t.Kill(t.PID(), unix.SIGUSR1)
		if got := <-taken; got != tid {
			w.T.Errorf("thread %d took the signal, want %d", got, tid)
		}
	})
}

func TestSigsuspendRestoresTheMaskAfterTheHandler(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		w.handle(t, unix.SIGUSR1, 0)
		outer := signal.SetOf(unix.SIGUSR1, unix.SIGUSR2)
		t.SetBlocked(outer)
		t.Kill(t.PID(), unix.SIGUSR1)
		f := t.Frame
		f.OrigRAX = unix.SYS_RT_SIGSUSPEND
		err := t.Suspend(0)
		f.RAX = -uint64(err.(unix.Errno))
		w.returnToUser(t)
		if f.RIP != 0x1234 || t.Blocked() != signal.SetOf(unix.SIGUSR1) {
			w.T.Errorf("in the handler rip is %#x and %v are blocked", f.RIP, t.Blocked())
		}
		f.RSP += 8
		t.SignalReturn(f, signal.Pop)
		if eintr := ^uint64(unix.EINTR) + 1; f.RAX != eintr || t.Blocked() != outer {
			w.T.Errorf("after sigreturn rax is %#x and %v are blocked", f.RAX, t.Blocked())
		}
	})
}

func TestKillChecksPermissions(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		root := w.fork(t, w.sleepForever)
		user := w.fork(t, func(t *Task) {
			t.SetAllUIDs(1000, 1000, 1000)
			for pid, want := range map[int]error{root: unix.EPERM, 1: unix.EPERM, 9999: unix.ESRCH} {
				if err := t.Kill(pid, 0); err != want {
					w.T.Errorf("an unprivileged kill of %d: %v, want %v", pid, err, want)
				}
			}
			if err := t.Kill(root, unix.SIGCONT); err != nil {
				w.T.Errorf("SIGCONT in the session: %v", err)
			}
			if err := t.Kill(root, 65); err != unix.EINVAL {
				w.T.Errorf("signal 65: %v, want EINVAL", err)
			}
			if err := t.QueueInfo(root, signal.UserInfo(unix.SIGUSR1, signal.SI_USER, 0, 0)); err != unix.EPERM {
				w.T.Errorf("a forged SI_USER: %v, want EPERM", err)
			}
			if err := t.KillThread(root+1, root, 0); err != unix.ESRCH {
				w.T.Errorf("tgkill with the wrong process: %v, want ESRCH", err)
			}
			exit(t, 0)
		})
		w.wait(t, user, 0)
		if err := t.Kill(1, unix.SIGKILL); err != nil {
			w.T.Errorf("kill of init: %v", err)
		}
		if _, ended := w.k.GroupByID(1).Exited(); ended {
			w.T.Error("SIGKILL killed init")
		}
		t.Kill(root, unix.SIGKILL)
		w.wait(t, root, 0)
	})
}

func TestSigreturnOfInvalidFrameKills(t *testing.T) {
	w := newWorld(t)
	for name, damage := range map[string]func(t *Task){
		"rip not canonical": func(t *Task) { t.CopyOut(t.Frame.RSP+contextOffset(128), []byte{0, 0, 0, 0, 0, 0, 0, 0x80}) },
		"rip at the end of user space": func(t *Task) {
			t.CopyOut(t.Frame.RSP+contextOffset(128), []byte{0, 0xf0, 0xff, 0xff, 0xff, 0x7f, 0, 0})
		},
		"fp state not mapped": func(t *Task) { t.CopyOut(t.Frame.RSP+contextOffset(184), []byte{0, 0, 0, 0, 0, 0, 0, 1}) },
		"mxcsr reserved bits": func(t *Task) { t.StoreUint32(loadWord(t, t.Frame.RSP+contextOffset(184))+24, 0xffff0000) },
		"frame not mapped":    func(t *Task) { t.Frame.RSP = 0x1000 },
	} {
		w.process(func(t *Task) {
			pid := w.fork(t, func(t *Task) {
				w.handle(t, unix.SIGUSR1, 0)
				t.Kill(t.PID(), unix.SIGUSR1)
				w.returnToUser(t)
				t.Frame.RSP += 8
				damage(t)
				t.SignalReturn(t.Frame, signal.Pop)
				w.returnToUser(t)
			})
			if result := w.wait(t, pid, 0); result.Status != SignalStatus(unix.SIGSEGV) {
				w.T.Errorf("%s: the child %v, want SIGSEGV", name, result.Status)
			}
		})
	}
}

// contextOffset converts an offset in struct sigcontext to an offset from the stack
// pointer after the handler has returned.
func contextOffset(offset uint64) uint64 { return 40 + offset }

// loadWord returns the low six bytes of the word at a user address.
func loadWord(t *Task, address uint64) uint64 {
	var p [8]byte
	t.CopyIn(address, p[:])
	return uint64(p[0]) | uint64(p[1])<<8 | uint64(p[2])<<16 | uint64(p[3])<<24 | uint64(p[4])<<32 | uint64(p[5])<<40
}

func TestSigreturnDropsPrivilegedFlags(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		w.handle(t, unix.SIGUSR1, 0)
		t.Kill(t.PID(), unix.SIGUSR1)
		w.returnToUser(t)
		t.Frame.RSP += 8
		t.CopyOut(t.Frame.RSP+contextOffset(136), []byte{0, 0x30, 2, 0}) // IOPL 3, VM, no IF
		t.SignalReturn(t.Frame, signal.Pop)
		if flags := t.Frame.RFLAGS; flags&(amd64.FlagIOPL|amd64.FlagVM) != 0 || flags&amd64.FlagIF == 0 {
			w.T.Errorf("RFLAGS are %#x", flags)
		}
	})
}

// TestInvalidRSeqAreaKills checks that delivery ends: with an invalid area of rseq(2)
// the SIGSEGV for the area cannot be delivered to a handler either.
func TestInvalidRSeqAreaKills(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		for _, s := range []signal.Signal{unix.SIGUSR1, unix.SIGSEGV} {
			pid := w.fork(t, func(t *Task) {
				w.handle(t, s, 0)
				w.handle(t, unix.SIGSEGV, 0)
				t.rseq = RSeq{Address: 0x3000, Length: rseqSize} // not mapped
				t.Kill(t.PID(), s)
				for range 4 { // each handler returns
					if w.returnToUser(t); t.Exiting() {
						return
					}
					t.Frame.RSP += 8
					t.SignalReturn(t.Frame, signal.Pop)
				}
			})
			if result := w.wait(t, pid, 0); result.Status != SignalStatus(unix.SIGSEGV) {
				w.T.Errorf("%s: the child %v, want SIGSEGV", signal.Name(s), result.Status)
			}
		}
	})
}

// takeException calls the handlers of the exception's owners.
func takeException(t *Task, vector int) {
	exceptions, err := entry.NewExceptions(ExceptionHandlers()...)
	if err != nil {
		panic(err)
	}
	exceptions.Handle(t, t.Frame, vector)
}
