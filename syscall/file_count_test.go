package syscall

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs/fstest"
	"slowpath/mm"
	"slowpath/task"
)

func TestReadsAndWritesAreCounted(t *testing.T) {
	w := fstest.New(t, 1024)
	w.Write("/file", "some text")
	asTask(t, w, func(tk *task.Task) {
		const at = 0x10000000
		if _, err := tk.MM.Mmap(mm.MapRequest{Addr: at, Length: testPage, Prot: mm.ProtRead | mm.ProtWrite,
			Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED}); err != nil {
			t.Fatal(err)
		}
		fd := openFile(t, tk, w, "/file", unix.O_RDWR)
		invoke(tk, sysRead, fd, at, 4)
		invoke(tk, sysPread64, fd, at, 100, 0)
		invoke(tk, sysRead, fd, 8, 4) // EFAULT
		invoke(tk, sysWrite, fd, at, 3)
		u := tk.Usage()
		if u.ReadCalls != 3 || u.ReadBytes != 4+9 || u.WriteCalls != 1 || u.WriteBytes != 3 {
			t.Errorf("%d reads of %d bytes, %d writes of %d bytes", u.ReadCalls, u.ReadBytes, u.WriteCalls, u.WriteBytes)
		}
	})
}
