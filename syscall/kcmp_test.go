package syscall

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs/fstest"
	"slowpath/mm"
	"slowpath/task"
)

func TestKcmpComparesFilesByIdentity(t *testing.T) {
	w := fstest.New(t, 1024)
	w.Write("/file", "text")
	asTask(t, w, func(tk *task.Task) {
		self := uint64(tk.TID())
		a := openFile(t, tk, w, "/file", unix.O_RDONLY)
		b := openFile(t, tk, w, "/file", unix.O_RDONLY)
		duplicate, err := invoke(tk, sysDup, a)
		if err != nil {
			t.Fatal(err)
		}
		compare := func(x, y uint64) uint64 {
			result, err := invoke(tk, sysKcmp, self, self, kcmpFile, x, y)
			if err != nil {
				t.Errorf("kcmp of %d and %d: %v", x, y, err)
			}
			return result
		}
		if got := compare(a, duplicate); got != 0 {
			t.Errorf("a duplicate: %d", got)
		}
		if one, other := compare(a, b), compare(b, a); one+other != 3 || one == 0 || other == 0 {
			t.Errorf("two files: %d, and %d the other way", one, other)
		}
		for kind := uint64(kcmpVM); kind <= kcmpSysvsem; kind++ {
			if got, err := invoke(tk, sysKcmp, self, self, kind, 0, 0); got != 0 || err != nil {
				t.Errorf("type %d of the same task: %d, %v", kind, got, err)
			}
		}
		for _, c := range []struct {
			name      string
			arguments [5]uint64
			want      error
		}{
			{"no such task", [5]uint64{self, 30000, kcmpVM}, unix.ESRCH},
			{"an unknown type", [5]uint64{self, self, 8}, unix.EINVAL},
			{"no such task and type", [5]uint64{30000, self, 8}, unix.ESRCH},
			{"not open", [5]uint64{self, self, kcmpFile, a, 99}, unix.EBADF},
			{"negative", [5]uint64{self, self, kcmpFile, ^uint64(0), a}, unix.EBADF},
		} {
			if _, err := invoke(tk, sysKcmp, c.arguments[:]...); err != c.want {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
	})
}

func TestKcmpFindsFilesOfEpollSets(t *testing.T) {
	w := fstest.New(t, 1024)
	asTask(t, w, func(tk *task.Task) {
		const at = 0x10000000
		if _, err := tk.MM.Mmap(mm.MapRequest{Addr: at, Length: testPage, Prot: mm.ProtRead | mm.ProtWrite,
			Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED}); err != nil {
			t.Fatal(err)
		}
		self := uint64(tk.TID())
		set, _ := invoke(tk, sysEpollCreate1, 0)
		event, _ := invoke(tk, sysEventfd2, 0, 0)
		other, _ := invoke(tk, sysEventfd2, 0, 0)
		if _, err := invoke(tk, sysEpollCtl, set, unix.EPOLL_CTL_ADD, event, at); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name  string
			fd    uint64
			slot  epollSlot
			equal bool
			want  error
		}{
			{"the file", event, epollSlot{uint32(set), uint32(event), 0}, true, nil},
			{"another file", other, epollSlot{uint32(set), uint32(event), 0}, false, nil},
			{"beyond the last", event, epollSlot{uint32(set), uint32(event), 1}, false, unix.ENOENT},
			{"not watched", event, epollSlot{uint32(set), uint32(other), 0}, false, unix.ENOENT},
			{"no epoll set", event, epollSlot{uint32(event), uint32(event), 0}, false, unix.EINVAL},
			{"not open", event, epollSlot{99, uint32(event), 0}, false, unix.EBADF},
		} {
			if err := abi.CopyOut(tk, at, c.slot); err != nil {
				t.Fatal(err)
			}
			got, err := invoke(tk, sysKcmp, self, self, kcmpEpollTFD, c.fd, at)
			if err != c.want || (got == 0) != (c.equal || err != nil) {
				t.Errorf("%s: %d, %v, want equal %v, %v", c.name, got, err, c.equal, c.want)
			}
		}
		if _, err := invoke(tk, sysKcmp, self, self, kcmpEpollTFD, event, 8); err != unix.EFAULT {
			t.Errorf("a bad address: %v", err)
		}
	})
}

func TestPidfdGetfdOpensTheSameFile(t *testing.T) {
	w := fstest.New(t, 1024)
	w.Write("/file", "text")
	asTask(t, w, func(tk *task.Task) {
		self := uint64(tk.PID())
		file := openFile(t, tk, w, "/file", unix.O_RDONLY)
		pidfd, err := invoke(tk, sysPidfdOpen, self, 0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := invoke(tk, sysPidfdGetfd, pidfd, file, 0)
		if err != nil {
			t.Fatal(err)
		}
		if result, err := invoke(tk, sysKcmp, self, self, kcmpFile, file, got); result != 0 || err != nil {
			t.Errorf("the descriptor has another file: %d, %v", result, err)
		}
		if onExec, _ := tk.FDs.GetExecAction(int(got)); !onExec {
			t.Error("the descriptor stays open in execve")
		}
		for _, c := range []struct {
			name           string
			pidfd, fd, how uint64
			want           error
		}{
			{"flags", pidfd, file, 1, unix.EINVAL},
			{"not open", 99, file, 0, unix.EBADF},
			{"no pidfd", file, file, 0, unix.EBADF},
			{"not open there", pidfd, 99, 0, unix.EBADF},
		} {
			if _, err := invoke(tk, sysPidfdGetfd, c.pidfd, c.fd, c.how); err != c.want {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
	})
}
