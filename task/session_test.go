package task

import (
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/signal"
)

// console is a terminal without input and output.
type console struct{ number uint64 }

func (c *console) DeviceNumber() uint64 { return c.number }

func TestSetsidAndSetpgidErrors(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		if _, err := t.SetSession(); err != unix.EPERM {
			w.T.Errorf("setsid of a group leader: %v, want EPERM", err)
		}
		var release atomic.Bool
		block := func(t *Task) { t.Block(nil, 0, 0, release.Load) }
		first := w.fork(t, block)
		second := w.fork(t, block)
		stranger := w.fork(t, func(t *Task) {
			if id, err := t.SetSession(); id != t.PID() || err != nil {
				w.T.Errorf("setsid: %d, %v", id, err)
			}
			block(t)
		})
		w.eventually("setsid", func() bool { return w.k.GroupByID(stranger).SessionID() == stranger })
		for _, c := range []struct {
			name       string
			number, to int
			want       error
		}{
			{"new group", first, 0, nil},
			{"existing group", second, first, nil},
			{"missing group", second, 9999, unix.EPERM},
			{"session leader", t.PID(), 0, unix.EPERM},
			{"not a child", 1, 0, unix.ESRCH},
			{"missing process", 9999, 0, unix.ESRCH},
			{"negative group", first, -1, unix.EINVAL},
			{"child in another session", stranger, first, unix.EPERM},
		} {
			if err := t.SetProcessGroup(c.number, c.to); err != c.want {
				w.T.Errorf("setpgid, %s: %v, want %v", c.name, err, c.want)
			}
		}
		if id, _ := t.ProcessGroupOf(second); id != first {
			w.T.Errorf("the process group is %d, want %d", id, first)
		}
		t.Kill(-first, unix.SIGKILL)
		for range 2 {
			result, err := t.Wait(WaitRequest{Kind: WaitProcessGroup, ID: first, Options: unix.WEXITED})
			if err != nil || result.Status != SignalStatus(unix.SIGKILL) {
				w.T.Errorf("waiting for a killed member of the group: %+v, %v", result, err)
			}
		}
		if err := t.Kill(-first, 0); err != unix.ESRCH {
			w.T.Errorf("kill of a group without members: %v, want ESRCH", err)
		}
		t.Kill(stranger, unix.SIGKILL)
		w.wait(t, stranger, 0)
	})
}

func TestOrphanedStoppedGroupGetsSIGHUP(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		t.Group().SetSubreaper(true)
		var grandchild atomic.Int64
		child := w.fork(t, func(child *Task) {
			child.SetSession()
			grandchild.Store(int64(w.fork(child, func(t *Task) {
				t.SetProcessGroup(0, 0)
				w.sleepForever(t)
			})))
			g := w.k.GroupByID(int(grandchild.Load()))
			w.eventually("setpgid", func() bool { return g.ProcessGroupID() == g.PID() })
			child.Kill(g.PID(), unix.SIGSTOP)
			w.wait(child, g.PID(), unix.WUNTRACED)
			exit(child, 0)
		})
		w.wait(t, child, 0)
		if result := w.wait(t, int(grandchild.Load()), 0); result.Status != SignalStatus(unix.SIGHUP) {
			w.T.Errorf("the orphan %v, want SIGHUP", result.Status)
		}
	})
}

func TestBackgroundProcessIsStoppedOnTerminalAccess(t *testing.T) {
	w := newWorld(t)
	terminal := &console{1}
	w.process(func(t *Task) {
		if err := t.AcquireTerminal(terminal); err != nil {
			w.T.Errorf("TIOCSCTTY: %v", err)
			return
		}
		if id, err := t.TerminalForeground(terminal); id != t.PID() || err != nil {
			w.T.Errorf("TIOCGPGRP: %d, %v", id, err)
		}
		if _, err := t.TerminalForeground(&console{2}); err != unix.ENOTTY {
			w.T.Errorf("TIOCGPGRP of another terminal: %v, want ENOTTY", err)
		}
		reads := make(chan error, 4)
		background := w.fork(t, func(t *Task) {
			t.SetProcessGroup(0, 0)
			w.handle(t, unix.SIGTTIN, 0)
			reads <- t.CheckBackground(terminal, unix.SIGTTIN)
			w.returnToUser(t)
			t.SetAction(unix.SIGTTIN, signal.Action{Handler: signal.SIG_IGN})
			reads <- t.CheckBackground(terminal, unix.SIGTTIN)
			t.SetAction(unix.SIGTTOU, signal.Action{Handler: signal.SIG_IGN})
			reads <- t.SetTerminalForeground(terminal, t.PID())
			reads <- t.CheckBackground(terminal, unix.SIGTTIN)
			w.sleepForever(t)
		})
		for i, want := range []error{abi.ERESTARTSYS, unix.EIO, nil, nil} {
			if err := <-reads; err != want {
				w.T.Errorf("step %d of the background process: %v, want %v", i, err, want)
			}
		}
		if err := t.CheckBackground(terminal, unix.SIGTTOU); err != abi.ERESTARTSYS && err != unix.EIO {
			w.T.Errorf("a write from the former foreground group: %v, want ERESTARTSYS or EIO", err)
		}
		w.k.SignalTerminal(terminal, unix.SIGINT)
		if result := w.wait(t, background, 0); result.Status != SignalStatus(unix.SIGINT) {
			w.T.Errorf("the foreground process %v, want SIGINT", result.Status)
		}
	})
}

func TestExitOfSessionLeaderSendsSIGHUPToForeground(t *testing.T) {
	w := newWorld(t)
	terminal := &console{1}
	w.process(func(t *Task) {
		t.Group().SetSubreaper(true)
		var job atomic.Int64
		leader := w.fork(t, func(leader *Task) {
			leader.SetSession()
			leader.AcquireTerminal(terminal)
			leader.SetAction(unix.SIGTTOU, signal.Action{Handler: signal.SIG_IGN})
			job.Store(int64(w.fork(leader, func(t *Task) {
				t.SetProcessGroup(0, 0)
				w.sleepForever(t)
			})))
			g := w.k.GroupByID(int(job.Load()))
			w.eventually("setpgid", func() bool { return g.ProcessGroupID() == g.PID() })
			if err := leader.SetTerminalForeground(terminal, g.PID()); err != nil {
				w.T.Errorf("TIOCSPGRP: %v", err)
			}
			exit(leader, 0)
		})
		w.wait(t, leader, 0)
		if result := w.wait(t, int(job.Load()), 0); result.Status != SignalStatus(unix.SIGHUP) {
			w.T.Errorf("the foreground job %v, want SIGHUP", result.Status)
		}
		if err := t.AcquireTerminal(terminal); err != nil {
			w.T.Errorf("TIOCSCTTY after the session leader has exited: %v", err)
		}
	})
}
