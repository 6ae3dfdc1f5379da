package ptrace

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/entry"
	"slowpath/task"
)

// callResult is what a call of a tracee has done.
type callResult struct {
	ran    bool
	number int32
	first  uint64
	result uint64
}

// tracedCall makes one system call of a tracee that is resumed by resume. change runs
// at the entry stop, and atExit at the exit stop, which is expected unless it is nil.
func tracedCall(t *testing.T, resume int32, change, atExit func(w *world, tracer, tracee *task.Task)) callResult {
	t.Helper()
	w := newWorld(t)
	var got callResult
	w.process(func(tracer *task.Task) {
		tracee := w.traced(tracer, func(tracee *task.Task) {
			tracee.Frame.RDI = 11
			w.call(tracee, unix.SYS_GETPGID, func(c *entry.Call) uint64 {
				got.ran, got.number, got.first = true, c.NR, c.Args[0]
				return 77
			})
			got.result = tracee.Frame.RAX
			if !tracee.Exiting() {
				tracee.ExitGroup(task.ExitStatus(3))
			}
		})
		w.must(tracer, unix.PTRACE_SETOPTIONS, tracee, unix.PTRACE_O_TRACESYSGOOD)
		w.must(tracer, resume, tracee, 0)
		w.expect(tracer, tracee, stopped(unix.SIGTRAP|goodBit, 0))
		change(w, tracer, tracee)
		if atExit != nil {
			w.must(tracer, unix.PTRACE_SYSCALL, tracee, 0)
			w.expect(tracer, tracee, stopped(unix.SIGTRAP|goodBit, 0))
			atExit(w, tracer, tracee)
		}
		w.request(tracer, unix.PTRACE_CONT, tracee, 0, 0)
		w.wait(tracer, tracee)
	})
	return got
}

func none(*world, *task.Task, *task.Task) {}

func TestTracerChangesACallAtItsEntry(t *testing.T) {
	const enosys = entry.NoCall
	for name, c := range map[string]struct {
		change func(w *world, tracer, tracee *task.Task)
		want   callResult
	}{
		"nothing":          {none, callResult{true, unix.SYS_GETPGID, 11, 77}},
		"the number":       {func(_ *world, _, e *task.Task) { e.Frame.OrigRAX = unix.SYS_GETSID }, callResult{true, unix.SYS_GETSID, 11, 77}},
		"an unused number": {func(_ *world, _, e *task.Task) { e.Frame.OrigRAX = 5000 }, callResult{result: enosys}},
		"-1":               {func(_ *world, _, e *task.Task) { e.Frame.OrigRAX = ^uint64(0) }, callResult{result: enosys}},
		"-1 and a result":  {func(_ *world, _, e *task.Task) { e.Frame.OrigRAX, e.Frame.RAX = ^uint64(0), 5 }, callResult{result: 5}},
		"an argument":      {func(_ *world, _, e *task.Task) { e.Frame.RDI = 12 }, callResult{true, unix.SYS_GETPGID, 12, 77}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tracedCall(t, unix.PTRACE_SYSCALL, c.change, none); got != c.want {
				t.Errorf("the call was %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestTracerChangesTheResultAtTheExit(t *testing.T) {
	change := func(_ *world, _, e *task.Task) { e.Frame.RAX = 99 }
	if got := tracedCall(t, unix.PTRACE_SYSCALL, none, change); got.result != 99 {
		t.Errorf("the result is %d, want 99", got.result)
	}
}

func TestEmulatedCallIsSkipped(t *testing.T) {
	change := func(_ *world, _, e *task.Task) { e.Frame.RAX = 42 }
	if got := tracedCall(t, unix.PTRACE_SYSEMU, change, nil); got.ran || got.result != 42 {
		t.Errorf("the emulated call was %+v, want the tracer's result 42", got)
	}
	// With PTRACE_SYSCALL at the stop, the exit is reported, and the call still skipped.
	if got := tracedCall(t, unix.PTRACE_SYSEMU, change, none); got.ran || got.result != 42 {
		t.Errorf("the emulated call with an exit stop was %+v, want the tracer's result 42", got)
	}
}

func TestKilledTraceeDoesNotMakeItsCall(t *testing.T) {
	kill := func(_ *world, _, e *task.Task) { e.Group().Kill() }
	if got := tracedCall(t, unix.PTRACE_SYSCALL, kill, nil); got.ran {
		t.Error("a task that was killed in its entry stop has made the call")
	}
}

func TestDetachedTraceeMakesItsCall(t *testing.T) {
	detach := func(w *world, tracer, e *task.Task) { w.must(tracer, unix.PTRACE_DETACH, e, 0) }
	if got := tracedCall(t, unix.PTRACE_SYSCALL, detach, nil); !got.ran || got.result != 77 {
		t.Errorf("the call after PTRACE_DETACH was %+v", got)
	}
}

func TestResumeSelectsTheLevels(t *testing.T) {
	w := newWorld(t)
	w.process(func(tracer *task.Task) {
		tracee := w.traced(tracer, w.sleepForever)
		for _, c := range []struct {
			resume int32
			want   entry.Flag
		}{
			{unix.PTRACE_SYSCALL, entry.SyscallTrace}, {unix.PTRACE_SYSEMU, entry.SyscallEmu}, {unix.PTRACE_CONT, 0},
			{unix.PTRACE_SYSCALL, entry.SyscallTrace}, {unix.PTRACE_DETACH, 0},
		} {
			w.must(tracer, c.resume, tracee, 0)
			if got := entry.Pending(&tracee.Frame.ThreadFlags) & (entry.SyscallTrace | entry.SyscallEmu); got != c.want {
				t.Errorf("after %s the levels are %v, want %v", requests.row(c.resume).name, got, c.want)
			}
			if c.resume == unix.PTRACE_DETACH {
				break
			}
			tracee.Signal(userSignal(tracer, unix.SIGUSR1))
			w.expect(tracer, tracee, stopped(unix.SIGUSR1, 0))
		}
		tracee.Group().Kill()
		w.wait(tracer, tracee)
	})
}

// TestInterruptedCallIsRestartedAfterItsExitStop interrupts a call by PTRACE_INTERRUPT. The
// stop at the call's exit ends that request, but SIGPENDING must stay: its handler
// restarts the call.
func TestInterruptedCallIsRestartedAfterItsExitStop(t *testing.T) {
	w := newWorld(t)
	w.process(func(tracer *task.Task) {
		kept := make(chan bool, 1)
		tracee := w.fork(tracer, func(c *task.Task) {
			c.Pause()
			w.user(c) // the stop of the first PTRACE_INTERRUPT
			c.Pause()
			for _, h := range Handlers() {
				if h.Exit != nil && entry.Pending(&c.Frame.ThreadFlags)&h.Flag != 0 {
					h.Exit(c, &c.Call)
				}
			}
			kept <- entry.Pending(&c.Frame.ThreadFlags)&entry.SigPending != 0
		})
		w.must(tracer, unix.PTRACE_SEIZE, tracee, 0)
		w.must(tracer, unix.PTRACE_INTERRUPT, tracee, 0)
		w.wait(tracer, tracee)
		w.must(tracer, unix.PTRACE_SYSCALL, tracee, 0)
		w.eventually("the second pause", func() bool { return tracee.StateLetter() == 'S' })
		w.must(tracer, unix.PTRACE_INTERRUPT, tracee, 0)
		w.wait(tracer, tracee)
		w.must(tracer, unix.PTRACE_DETACH, tracee, 0)
		if !<-kept {
			t.Error("SIGPENDING is lost")
		}
	})
}
