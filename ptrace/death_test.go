package ptrace

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/task"
)

// TestTracerDeath: tracees go on when their tracer has died, or die with
// PTRACE_O_EXITKILL.
func TestTracerDeath(t *testing.T) {
	for name, c := range map[string]struct {
		options uint64
		want    task.Status
	}{"without options": {0, task.ExitStatus(5)}, "with PTRACE_O_EXITKILL": {unix.PTRACE_O_EXITKILL, task.SignalStatus(unix.SIGKILL)}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.process(func(parent *task.Task) {
				released := make(chan bool)
				tracee := w.fork(parent, func(t *task.Task) {
					t.Block(nil, 0, 0, func() bool {
						select {
						case <-released:
							return true
						default:
							return false
						}
					})
					if w.user(t); !t.Exiting() {
						t.ExitGroup(task.ExitStatus(5))
					}
				})
				tracer := w.fork(parent, func(tracer *task.Task) {
					if err := w.request(tracer, unix.PTRACE_SEIZE, tracee, 0, c.options); err != nil {
						w.T.Errorf("PTRACE_SEIZE: %v", err)
					}
					w.must(tracer, unix.PTRACE_INTERRUPT, tracee, 0)
					w.expect(tracer, tracee, stopped(unix.SIGTRAP, unix.PTRACE_EVENT_STOP))
				})
				w.wait(parent, tracer)
				close(released)
				tracee.Sleeper.Wake()
				w.expect(parent, tracee, c.want)
			})
		})
	}
}

// TestExecWaitsForTracedThreads: execve(2) does not return before the tracer has waited
// for the threads that it has ended, as on Linux.
func TestExecWaitsForTracedThreads(t *testing.T) {
	w := newWorld(t)
	w.install("/second", 0o755, nil)
	w.process(func(tracer *task.Task) {
		tracee := w.traced(tracer, func(t *task.Task) {
			w.thread(t, w.sleepForever)
			if err := execute(t, "/second"); err != nil && !t.Exiting() {
				w.T.Errorf("execve: %v", err)
			}
			t.ExitGroup(task.ExitStatus(6))
		})
		w.must(tracer, unix.PTRACE_SETOPTIONS, tracee, unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_TRACEEXEC)
		w.must(tracer, unix.PTRACE_CONT, tracee, 0)
		w.expect(tracer, tracee, stopped(unix.SIGTRAP, unix.PTRACE_EVENT_CLONE))
		thread := w.k.TaskByID(int(tracee.CurrentStop().Message))
		w.expect(tracer, thread, stopped(unix.SIGSTOP, 0))
		w.must(tracer, unix.PTRACE_CONT, thread, 0)
		w.must(tracer, unix.PTRACE_CONT, tracee, 0)
		w.eventually("the end of the thread", func() bool { return thread.StateLetter() == 'Z' })
		if result, err := tracer.Wait(task.WaitRequest{Kind: task.WaitPID, ID: tracee.TID(), Options: unix.WNOHANG | unix.WALL}); err != nil || result.PID != 0 {
			w.T.Errorf("execve has not waited for the traced thread: %+v, %v", result, err)
		}
		w.expect(tracer, thread, 0)
		w.expect(tracer, tracee, stopped(unix.SIGTRAP, unix.PTRACE_EVENT_EXEC))
		w.must(tracer, unix.PTRACE_CONT, tracee, 0)
		w.expect(tracer, tracee, task.ExitStatus(6))
	})
}

// TestTasksThatTraceEachOtherCanBeKilled: each must be stopped by the other at its exit,
// which neither can continue.
func TestTasksThatTraceEachOtherCanBeKilled(t *testing.T) {
	w := newWorld(t)
	w.process(func(parent *task.Task) {
		var tasks [2]*task.Task
		ready, attached := make(chan bool), make(chan bool, 2)
		for i := range tasks {
			tasks[i] = w.fork(parent, func(t *task.Task) {
				<-ready
				if err := w.request(t, unix.PTRACE_SEIZE, tasks[1-i], 0, unix.PTRACE_O_TRACEEXIT); err != nil {
					w.T.Errorf("PTRACE_SEIZE: %v", err)
				}
				attached <- true
				w.sleepForever(t)
			})
		}
		close(ready)
		<-attached
		<-attached
		for _, t := range tasks {
			t.Group().Kill()
		}
		for _, t := range tasks {
			w.expect(parent, t, task.SignalStatus(unix.SIGKILL))
		}
	})
}

// TestZombieGoesToItsParentAfterItsTracer: a process whose tracer is not its parent is a
// zombie for its tracer first.
func TestZombieGoesToItsParentAfterItsTracer(t *testing.T) {
	w := newWorld(t)
	w.process(func(parent *task.Task) {
		child := w.fork(parent, w.sleepForever)
		attached, reap := make(chan bool), make(chan bool)
		tracer := w.fork(parent, func(tracer *task.Task) {
			w.request(tracer, unix.PTRACE_SEIZE, child, 0, 0)
			close(attached)
			<-reap
			w.expect(tracer, child, task.SignalStatus(unix.SIGKILL))
		})
		<-attached
		child.Group().Kill()
		w.eventually("the child's exit", func() bool { return child.StateLetter() == 'Z' })
		request := task.WaitRequest{Kind: task.WaitPID, ID: child.TID(), Options: unix.WNOHANG | unix.WEXITED}
		if result, err := parent.Wait(request); err != nil || result.PID != 0 {
			w.T.Errorf("the parent has got the zombie before the tracer: %+v, %v", result, err)
		}
		close(reap)
		w.expect(parent, child, task.SignalStatus(unix.SIGKILL))
		w.wait(parent, tracer)
	})
}
