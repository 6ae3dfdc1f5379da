package userdispatch

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/fs/fstest"
	"slowpath/mm"
	"slowpath/task"
	"slowpath/task/tasktest"
)

// run starts a process whose user mode is body, and waits for its end.
func run(t *testing.T, body func(t *task.Task)) task.Status {
	t.Helper()
	w := fstest.New(t, 2048)
	k := task.New(task.Config{Memory: w.Memory, NoRandomize: true, Log: t.Logf, Run: func(t *task.Task) {
		body(t)
		if entry.Claim(&t.Frame.ThreadFlags, entry.SigPending) {
			t.DeliverSignals(t.Frame)
		}
		if !t.Exiting() {
			t.ExitGroup(task.ExitStatus(0))
		}
	}})
	Register(k)
	k.StartReaper()
	return tasktest.Spawn(w, k).AwaitEnd()
}

func TestConfigurationFollowsPrctl(t *testing.T) {
	run(t, func(tk *task.Task) {
		for _, c := range []struct {
			config Config
			want   error
		}{
			{Config{Mode: 2}, unix.EINVAL}, {Config{Offset: 1}, unix.EINVAL}, {Config{Length: 1}, unix.EINVAL}, {Config{Selector: 1}, unix.EINVAL},
			{Config{Mode: On, Offset: 1}, unix.EINVAL}, {Config{Mode: On, Offset: ^uint64(0), Length: 2}, unix.EINVAL},
			{Config{Mode: On, Selector: amd64.UserLimit}, unix.EFAULT}, {Config{Mode: On}, nil},
			{Config{Mode: On, Selector: 4096, Offset: 1, Length: 2}, nil},
		} {
			if err := Set(tk, c.config); err != c.want {
				t.Errorf("%+v: %v, want %v", c.config, err, c.want)
			} else if err == nil && Get(tk) != c.config {
				t.Errorf("Get returned %+v, want %+v", Get(tk), c.config)
			}
		}
		if tk.Admission() == nil || entry.Pending(&tk.Frame.ThreadFlags)&entry.UserDispatch == 0 {
			t.Error("the duty is not owed")
		}
		Set(tk, Config{})
		if tk.Admission() != nil || entry.Pending(&tk.Frame.ThreadFlags)&entry.UserDispatch != 0 {
			t.Error("the duty is owed after mode off")
		}
	})
}

// TestSelectorDecides changes the selector between calls, and its page.
func TestSelectorDecides(t *testing.T) {
	run(t, func(tk *task.Task) {
		at, err := tk.MM.Mmap(mm.MapRequest{Length: mm.PageSize, Prot: mm.ProtRead | mm.ProtWrite, Flags: unix.MAP_PRIVATE | unix.MAP_ANON})
		if err != nil {
			t.Fatal(err)
		}
		f := tk.Frame
		f.RIP, f.OrigRAX = 0x5000, 39
		Set(tk, Config{Mode: On, Selector: at, Offset: 0x7000, Length: 0x1000})
		call := func() entry.Verdict { return enter(tk, &entry.Call{NR: 39}) }
		if call() != entry.Proceed || !tk.Admission().Ask(f, 39) {
			t.Error("a selector of 0 does not allow the call")
		}
		tk.CopyOut(at, []byte{selectBlock})
		if tk.Admission().Ask32(f, 39) {
			t.Error("a selector of 1 admits a call of i386")
		}
		if tk.Admission().Ask(f, 39) || call() != entry.RollBack || f.RAX != 39 {
			t.Error("a selector of 1 does not roll the call back")
		}
		f.RIP = 0x7800
		if !tk.Admission().Ask(f, 39) || call() != entry.Proceed {
			t.Error("a call from the range is not allowed")
		}
		f.RIP = 0x8000
		if tk.Admission().Ask(f, 39) {
			t.Error("a call from the end of the range is allowed")
		}
		tk.TakeSignal(^tk.Blocked())
	})
}

func TestBadSelectorKills(t *testing.T) {
	for name, c := range map[string]struct {
		selector []byte
		want     unix.Signal
	}{"another value": {[]byte{2}, unix.SIGSYS}, "an unmapped page": {nil, unix.SIGSEGV}} {
		status := run(t, func(tk *task.Task) {
			at, _ := tk.MM.Mmap(mm.MapRequest{Length: mm.PageSize, Prot: mm.ProtRead | mm.ProtWrite, Flags: unix.MAP_PRIVATE | unix.MAP_ANON})
			Set(tk, Config{Mode: On, Selector: at})
			if c.selector == nil {
				tk.MM.Munmap(at, mm.PageSize, nil)
			} else {
				tk.CopyOut(at, c.selector)
			}
			tk.Frame.OrigRAX = 39
			if enter(tk, &entry.Call{NR: 39}) != entry.Skip {
				t.Errorf("%s: the call is not skipped", name)
			}
		})
		if status.Signal() != c.want {
			t.Errorf("%s: status %v, want signal %v", name, status, c.want)
		}
	}
}
