package ptrace

import (
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/mm"
	"slowpath/task"
)

// execute is execve(2) of a path.
func execute(t *task.Task, name string) error {
	return t.Exec(task.ExecRequest{At: fs.At{Caller: t, Name: name, Follow: true}})
}

// pair starts two processes, and returns the error of an attempt of the first to attach to
// the second, which prepares itself first.
func pair(t *testing.T, tracer, target *cred.Credentials, prepare func(target *task.Task)) error {
	t.Helper()
	w := newWorld(t)
	ready := make(chan *task.Task, 1)
	w.spawnAs(target, func(t *task.Task) {
		prepare(t)
		ready <- t
		w.sleepForever(t)
	})
	tracee := <-ready
	result := make(chan error, 1)
	w.spawnAs(tracer, func(t *task.Task) {
		result <- w.request(t, unix.PTRACE_SEIZE, tracee, 0, 0)
	})
	return <-result
}

func TestAttachNeedsPermission(t *testing.T) {
	user, other := cred.User(1000, 1000), cred.User(1001, 1001)
	same := func(*task.Task) {}
	hide := func(t *task.Task) { t.SetDumpable(mm.DumpableByUser + 1) }
	for name, c := range map[string]struct {
		tracer, target *cred.Credentials
		prepare        func(t *task.Task)
		want           error
	}{
		"the same user":           {user, user, same, nil},
		"another user":            {user, other, same, unix.EPERM},
		"root":                    {cred.Root(), user, same, nil},
		"a user, and root's task": {user, cred.Root(), same, unix.EPERM},
		"a hidden process":        {user, user, hide, unix.EPERM},
		"a hidden one, by root":   {cred.Root(), user, hide, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if err := pair(t, c.tracer, c.target, c.prepare); err != c.want {
				t.Errorf("PTRACE_SEIZE: %v, want %v", err, c.want)
			}
		})
	}
}

func TestTasksThatNobodyMayTrace(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *task.Task) {
		thread := w.thread(t, w.sleepForever)
		zombie := w.fork(t, func(*task.Task) {})
		w.eventually("the child's exit", func() bool { return zombie.StateLetter() == 'Z' })
		for name, target := range map[string]*task.Task{
			"the task itself": t, "a thread of its process": thread, "a task of the kernel": w.k.TaskByID(1), "a zombie": zombie,
		} {
			for _, request := range []int32{unix.PTRACE_ATTACH, unix.PTRACE_SEIZE} {
				if err := w.request(t, request, target, 0, 0); err != unix.EPERM {
					w.T.Errorf("%s of %s: %v, want EPERM", requests.row(request).name, name, err)
				}
			}
		}
	})
}

func TestTraceMeNeedsAParentWithTheSamePrivileges(t *testing.T) {
	w := newWorld(t)
	var result atomic.Value
	w.process(func(t *task.Task) {
		started := make(chan bool)
		child := w.fork(t, func(t *task.Task) {
			<-started
			if _, err := Request(t, unix.PTRACE_TRACEME, 0, 0, 0); err != nil {
				result.Store(err)
			}
		})
		if err := t.SetAllUIDs(1000, 1000, 1000); err != nil {
			w.T.Errorf("setresuid: %v", err)
		}
		close(started)
		w.wait(t, child)
	})
	if got := result.Load(); got != unix.EPERM {
		t.Errorf("TRACEME by root's task of a user: %v, want EPERM", got)
	}
}

func TestTracedProgramGainsNoPrivileges(t *testing.T) {
	user := cred.User(1000, 1000)
	for name, c := range map[string]struct {
		traced bool
		tracer *cred.Credentials
		want   uint32
	}{
		"not traced": {false, user, 0}, "traced by the user": {true, user, 1000}, "traced by root": {true, cred.Root(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.install("/privileged", 0o4755, nil)
			var got atomic.Int64
			attached, ready := make(chan bool), make(chan *task.Task, 1)
			target := w.spawnAs(user, func(t *task.Task) {
				ready <- t
				<-attached
				if err := execute(t, "/privileged"); err != nil {
					w.T.Errorf("execve: %v", err)
				}
				got.Store(int64(t.Credentials().EUID))
			})
			tracee := <-ready
			w.spawnAs(c.tracer, func(t *task.Task) {
				if c.traced {
					if err := w.request(t, unix.PTRACE_SEIZE, tracee, 0, 0); err != nil {
						w.T.Errorf("PTRACE_SEIZE: %v", err)
					}
				}
				close(attached)
				if c.traced {
					w.wait(t, tracee)
				}
			})
			target.AwaitEnd()
			if uint32(got.Load()) != c.want {
				t.Errorf("the effective user is %d, want %d", got.Load(), c.want)
			}
		})
	}
}
