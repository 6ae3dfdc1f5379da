package task

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/signal"
)

// eventLog notes the calls of tracepoints.
type eventLog struct {
	mu    sync.Mutex
	lines []string
}

func (l *eventLog) add(format string, arguments ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, arguments...))
}

// watch registers the log at all tracepoints.
func (l *eventLog) watch(p *Tracepoints) {
	p.SignalGenerated.Register(func(s SignalGenerated) {
		l.add("generated %d for %d, group %v, result %d", s.Signal, s.Target.TID(), s.Group, s.Result)
	})
	p.SignalDelivered.Register(func(s SignalDelivered) { l.add("delivered %d, handler %#x", s.Info.Signo, s.Action.Handler) })
	p.Forked.Register(func(f Forked) { l.add("forked %d, flags %#x", f.Child.TID(), f.Arguments.Flags) })
	p.Executed.Register(func(x Executed) { l.add("executed %s, was %d", x.Path, x.OldTID) })
	p.Exiting.Register(func(t *Task) { l.add("exits %d, memory %v", t.TID(), t.MM != nil) })
	p.Renamed.Register(func(r Renamed) { l.add("renamed from %s to %s", r.Task.Comm(), r.Name) })
}

func TestTracepointsSeeTheLifeOfAProcess(t *testing.T) {
	w := newWorld(t)
	w.install("/next", func(t *Task) {})
	var l eventLog
	var child int
	w.process(func(t *Task) {
		l.watch(&w.k.Tracepoints)
		child = w.fork(t, func(t *Task) { w.mustExec(t, "/next", nil, nil) })
		w.wait(t, child, 0)
	})
	want := []string{
		fmt.Sprintf("forked %d, flags 0x0", child),
		"renamed from program to next",
		fmt.Sprintf("executed /next, was %d", child),
		fmt.Sprintf("exits %d, memory true", child),
	}
	if !slices.Equal(l.lines[:len(want)], want) {
		t.Errorf("the tracepoints were called with\n%s\nwant\n%s", strings.Join(l.lines, "\n"), strings.Join(want, "\n"))
	}
}

func TestTracepointsSeeSignals(t *testing.T) {
	w := newWorld(t)
	var l eventLog
	w.process(func(t *Task) {
		l.watch(&w.k.Tracepoints)
		w.handle(t, unix.SIGUSR1, 0)
		t.SetBlocked(signal.SetOf(unix.SIGUSR1))
		t.Kill(t.PID(), unix.SIGUSR1)
		t.Kill(t.PID(), unix.SIGUSR1)
		t.Kill(t.PID(), unix.SIGCHLD)
		t.SetBlocked(0)
		w.returnToUser(t)
		t.Kill(t.PID(), unix.SIGTERM)
		w.returnToUser(t)
	})
	want := []string{
		"generated 10 for 2, group true, result 0",
		"generated 10 for 2, group true, result 2",
		"generated 17 for 2, group true, result 1",
		"delivered 10, handler 0x1234",
		"generated 15 for 2, group true, result 0",
		"delivered 9, handler 0x0",
	}
	if len(l.lines) < len(want) || !slices.Equal(l.lines[:len(want)], want) {
		t.Errorf("the tracepoints were called with\n%s\nwant\n%s", strings.Join(l.lines, "\n"), strings.Join(want, "\n"))
	}
}

// TestNameIsReadWithEveryLockHeld: a function of a tracepoint reads the name of a task while
// the caller, or a goroutine that waits for it, holds the task's locks.
func TestNameIsReadWithEveryLockHeld(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		t.resources.Lock()
		defer t.resources.Unlock()
		t.group.mu.Lock()
		defer t.group.mu.Unlock()
		t.kernel.mu.Lock()
		defer t.kernel.mu.Unlock()
		read := make(chan string, 1)
		go func() { read <- fmt.Sprint(t.Comm(), t.TID(), t.PID(), string(t.StateLetter())) }()
		select {
		case <-read:
		case <-time.After(10 * time.Second):
			w.T.Error("the name waits for a lock of the task")
		}
	})
}

func TestSwitchesAndWakeUpsNameTheTask(t *testing.T) {
	own := new(Task)
	k := New(Config{Run: func(*Task) {}, CurrentOwner: func() any { return own }})
	var l eventLog
	ends := []func(){
		k.OnLeave(func(t *Task, why Departure) { l.add("%v leaves, reason %d", t == own, why) }),
		k.OnContinue(func(t *Task) { l.add("%v continues", t == own) }),
		k.OnWake(func(t *Task) { l.add("%v is woken", t == own) }),
	}
	s := k.Scheduler()
	all := func(owner any) {
		s.Load.Parking.Call(owner)
		s.Load.Woken.Call(owner)
		s.Load.Resumed.Call(owner)
	}
	all(own)
	all("a sleeper without a task")
	s.Yielding.Call(struct{}{})
	s.Yielded.Call(struct{}{})
	for _, end := range ends {
		end()
	}
	all(own)
	s.Yielded.Call(struct{}{})
	want := []string{"true leaves, reason 0", "true is woken", "true continues", "true leaves, reason 1", "true continues"}
	if !slices.Equal(l.lines, want) {
		t.Errorf("the functions were called with\n%s\nwant\n%s", strings.Join(l.lines, "\n"), strings.Join(want, "\n"))
	}
}
