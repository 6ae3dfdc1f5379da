package syscall

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs/fstest"
	"slowpath/task"
)

// user is a task with scratch memory, for tests of calls on files.
type user struct {
	*testing.T
	task *task.Task
	base uint64 // of 1 MiB of memory
}

// asUser runs body as asTask does, with 1 MiB of scratch memory.
func asUser(t *testing.T, body func(u *user)) {
	t.Helper()
	w := fstest.New(t, 2048)
	asTask(t, w, func(task *task.Task) {
		u := &user{T: t, task: task}
		u.base = u.call(sysMmap, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uint64(0), 0)
		body(u)
	})
}

// call invokes a handler that must succeed.
func (u *user) call(h Handler, arguments ...uint64) uint64 {
	u.Helper()
	n, err := invoke(u.task, h, arguments...)
	if err != nil {
		u.Errorf("the call failed: %v", err)
	}
	return n
}

// fails invokes a handler that must fail with an errno.
func (u *user) fails(want error, h Handler, arguments ...uint64) {
	u.Helper()
	if n, err := invoke(u.task, h, arguments...); err != want {
		u.Errorf("the call returned %d and error %v, want error %v", n, err, want)
	}
}

// put stores bytes in user memory at an offset and returns their address.
func (u *user) put(offset uint64, p []byte) uint64 {
	u.Helper()
	if err := u.task.CopyOut(u.base+offset, p); err != nil {
		u.Fatalf("CopyOut: %v", err)
	}
	return u.base + offset
}

func (u *user) path(name string) uint64 { return u.put(0x1000, append([]byte(name), 0)) }

func (u *user) get(offset uint64, n int) []byte {
	u.Helper()
	p := make([]byte, n)
	if err := u.task.CopyIn(u.base+offset, p); err != nil {
		u.Fatalf("CopyIn: %v", err)
	}
	return p
}

func (u *user) int(offset uint64) uint64 {
	return uint64(binary.LittleEndian.Uint32(u.get(offset, 4)))
}

func (u *user) open(name string, flags uint64) uint64 {
	u.Helper()
	return u.call(sysOpenat, atCWD, u.path(name), flags, 0o644)
}

func (u *user) write(fd uint64, text string) uint64 {
	u.Helper()
	return u.call(sysWrite, fd, u.put(0x2000, []byte(text)), uint64(len(text)))
}

// read returns the result of one read of up to n bytes.
func (u *user) read(fd, n uint64) string {
	u.Helper()
	return string(u.get(0x10000, int(u.call(sysRead, fd, u.base+0x10000, n))))
}

func TestFileReadStatAndSeek(t *testing.T) {
	asUser(t, func(u *user) {
		fd := u.open("/f", unix.O_CREAT|unix.O_RDWR)
		u.write(fd, "hello world")
		u.call(sysLseek, fd, 6, unix.SEEK_SET)
		if got := u.read(fd, 100); got != "world" {
			u.Errorf("read %q", got)
		}
		vectors := u.put(0x3000, slices.Concat(words(u.base+0x4000, 2), words(u.base+0x5000, 0), words(u.base+0x6000, 3)))
		if n := u.call(sysPreadv, fd, vectors, 3, 0); n != 5 || string(u.get(0x4000, 2)) != "he" || string(u.get(0x6000, 3)) != "llo" {
			u.Errorf("preadv: %d", n)
		}
		u.call(sysFstat, fd, u.base+0x7000)
		stat := u.get(0x7000, 144)
		if size := binary.LittleEndian.Uint64(stat[48:]); size != 11 || binary.LittleEndian.Uint32(stat[24:]) != unix.S_IFREG|0o644 {
			u.Errorf("fstat: size %d", size)
		}
		u.fails(unix.EFAULT, sysPread64, fd, 0x10, 10, 0)
		u.fails(unix.EFAULT, sysRead, fd, 1<<47, 10)
		u.fails(unix.EFAULT, sysOpenat, atCWD, 0x10, 0, 0)
		u.fails(unix.EBADF, sysRead, 99, u.base, 1)
		u.fails(unix.EINVAL, sysReadv, fd, vectors, 2000)
		u.fails(unix.EINVAL, sysLseek, fd, ^uint64(0), unix.SEEK_SET)
		u.fails(unix.EINVAL, sysPread64, fd, u.base, 1, ^uint64(0))
	})
}

// words returns 64-bit words in memory order.
func words(values ...uint64) []byte {
	return abi.SliceBytes(values)
}

func TestDirectoryListingAndWorkingDirectory(t *testing.T) {
	asUser(t, func(u *user) {
		u.call(sysMkdir, u.path("/d"), 0o755)
		for _, name := range []string{"/d/a", "/d/long name of an entry"} {
			u.call(sysClose, u.open(name, unix.O_CREAT))
		}
		fd := u.open("/d", unix.O_DIRECTORY)
		u.fails(unix.EINVAL, sysGetdents64, fd, u.base+0x20000, 8)
		var names []string
		for {
			n := u.call(sysGetdents64, fd, u.base+0x20000, 64)
			if n == 0 {
				break
			}
			for p := u.get(0x20000, int(n)); len(p) > 0; p = p[binary.LittleEndian.Uint16(p[16:]):] {
				names = append(names, string(p[19:19+bytes.IndexByte(p[19:], 0)]))
			}
		}
		if !slices.Equal(names, []string{".", "..", "a", "long name of an entry"}) {
			u.Errorf("getdents64: %q", names)
		}
		u.fails(unix.ENOTEMPTY, sysRmdir, u.path("/d"))
		u.call(sysChdir, u.path("/d"))
		if n := u.call(sysGetcwd, u.base+0x30000, 100); string(u.get(0x30000, int(n))) != "/d\x00" {
			u.Errorf("getcwd: %q", u.get(0x30000, int(n)))
		}
		u.fails(unix.ERANGE, sysGetcwd, u.base+0x30000, 2)
	})
}

func TestPollAndReadWaitForPipeData(t *testing.T) {
	asUser(t, func(u *user) {
		u.call(sysPipe2, u.base, unix.O_CLOEXEC)
		r, w := u.int(0), u.int(4)
		writer, err := u.task.FDs.Get(int(w))
		if err != nil {
			u.Fatal(err)
		}
		go func() { // acts as another task
			time.Sleep(20 * time.Millisecond)
			writer.Write(&bytesSource{[]byte("late")})
			writer.DecRef()
		}()
		pollfd := u.put(0x100, append(binary.LittleEndian.AppendUint32(nil, uint32(r)), unix.POLLIN, 0, 0, 0))
		if n := u.call(sysPoll, pollfd, 1, 5000); n != 1 || u.get(0x106, 1)[0] != unix.POLLIN {
			u.Errorf("poll: %d, %#x", n, u.get(0x106, 1))
		}
		if got := u.read(r, 10); got != "late" {
			u.Errorf("read %q", got)
		}
		if n := u.call(sysPoll, pollfd, 1, 1); n != 0 {
			u.Errorf("poll of an empty pipe: %d", n)
		}
		set := u.put(0x200, words(1<<r))
		zero := u.put(0x300, words(0, 0))
		if n := u.call(sysSelect, r+1, set, 0, 0, zero); n != 0 || u.get(0x200, 8)[0] != 0 {
			u.Errorf("select: %d", n)
		}
		u.fails(unix.EBADF, sysSelect, 60, u.put(0x200, words(1<<50)), 0, 0, zero)
		u.call(sysFcntl, r, unix.F_SETFL, unix.O_NONBLOCK)
		u.fails(unix.EAGAIN, sysRead, r, u.base, 1)
		u.call(sysClose, w)
		if got := u.read(r, 10); got != "" {
			u.Errorf("read at the end: %q", got)
		}
	})
}

// bytesSource is an fs.Source over kernel memory without Unget.
type bytesSource struct{ left []byte }

func (b *bytesSource) Get(p []byte) (int, error) {
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}
func (b *bytesSource) Remaining() int { return len(b.left) }

func TestEpollReportsReadyEventfd(t *testing.T) {
	asUser(t, func(u *user) {
		ep := u.call(sysEpollCreate1, 0)
		event := u.call(sysEventfd2, 0, unix.EFD_NONBLOCK)
		u.fails(unix.EINVAL, sysEpollCtl, event, unix.EPOLL_CTL_ADD, ep, u.base)
		u.call(sysEpollCtl, ep, unix.EPOLL_CTL_ADD, event, u.put(0, slices.Concat([]byte{unix.EPOLLIN, 0, 0, 0}, words(0xabcdef))))
		if n := u.call(sysEpollWait, ep, u.base+0x100, 10, 0); n != 0 {
			u.Errorf("%d events before the write", n)
		}
		u.call(sysWrite, event, u.put(0x40, words(3)), 8)
		if n := u.call(sysEpollWait, ep, u.base+0x100, 10, ^uint64(0)); n != 1 || binary.LittleEndian.Uint64(u.get(0x104, 8)) != 0xabcdef {
			u.Errorf("%d events", n)
		}
		u.fails(unix.EINVAL, sysEpollWait, ep, u.base, 0, 0)
		u.call(sysClose, event)
		if n := u.call(sysEpollWait, ep, u.base+0x100, 10, 0); n != 0 {
			u.Errorf("%d events of a closed file", n)
		}
	})
}

func TestDescriptorDuplicationFlagsAndLocks(t *testing.T) {
	asUser(t, func(u *user) {
		fd := u.open("/f", unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC)
		if n := u.call(sysDup, fd); n != fd+1 {
			u.Errorf("dup returned %d", n)
		}
		if n := u.call(sysFcntl, fd, unix.F_DUPFD, 40); n != 40 {
			u.Errorf("F_DUPFD returned %d", n)
		}
		if u.call(sysFcntl, fd, unix.F_GETFD) != unix.FD_CLOEXEC || u.call(sysFcntl, 40, unix.F_GETFD) != 0 {
			u.Error("close-on-exec is wrong")
		}
		if flags := u.call(sysFcntl, fd, unix.F_GETFL); flags != unix.O_RDWR|largeFile {
			u.Errorf("F_GETFL %#o", flags)
		}
		u.fails(unix.EINVAL, sysDup3, fd, fd, 0)
		u.fails(unix.EBADF, sysDup2, fd, 1<<30)
		u.fails(unix.EINVAL, sysFcntl, fd, 9999)
		lock := words(unix.F_WRLCK, 10, 5, 0)
		u.call(sysFcntl, fd, unix.F_SETLK, u.put(0x500, lock))
		u.call(sysFcntl, fd, unix.F_OFD_GETLK, u.put(0x500, lock))
		if got := u.get(0x500, 32); !bytes.Equal(got[:24], lock[:24]) || int32(binary.LittleEndian.Uint32(got[24:])) != u.task.ProcessID() {
			u.Errorf("F_OFD_GETLK: %v", got)
		}
		u.call(sysCloseRange, 3, ^uint64(0)&0xffffffff, 0)
		u.fails(unix.EBADF, sysClose, 40)
	})
}

func TestSendfileCopyRangeAndSplice(t *testing.T) {
	asUser(t, func(u *user) {
		in, out := u.open("/in", unix.O_CREAT|unix.O_RDWR), u.open("/out", unix.O_CREAT|unix.O_RDWR)
		u.write(in, "0123456789")
		offset := u.put(0x40, words(4))
		if n := u.call(sysSendfile, out, in, offset, 100); n != 6 || u.get(0x40, 1)[0] != 10 {
			u.Errorf("sendfile: %d", n)
		}
		u.call(sysLseek, in, 0, unix.SEEK_SET)
		if n := u.call(sysCopyFileRange, in, 0, out, 0, 3, 0); n != 3 {
			u.Errorf("copy_file_range: %d", n)
		}
		u.fails(unix.EINVAL, sysCopyFileRange, in, 0, in, 0, 3, 0)
		u.call(sysPipe2, u.base, 0)
		r, w := u.int(0), u.int(4)
		u.call(sysLseek, out, 0, unix.SEEK_SET)
		if n := u.call(sysSplice, out, 0, w, 0, 100, 0); n != 9 {
			u.Errorf("splice: %d", n)
		}
		if got := u.read(r, 100); got != "456789012" {
			u.Errorf("the pipe contained %q", got)
		}
		u.fails(unix.EINVAL, sysSplice, in, 0, out, 0, 1, 0)
	})
}

func TestSocketpairPassesDescriptors(t *testing.T) {
	asUser(t, func(u *user) {
		u.fails(unix.EAFNOSUPPORT, sysSocket, unix.AF_INET, unix.SOCK_STREAM, 0)
		u.call(sysSocketpair, unix.AF_UNIX, unix.SOCK_STREAM, 0, u.base)
		a, b := u.int(0), u.int(4)
		passed := u.open("/passed", unix.O_CREAT|unix.O_RDWR)
		u.write(passed, "by message")
		// A message of one byte with one descriptor.
		vector := u.put(0x100, words(u.put(0x80, []byte("x")), 1))
		control := u.put(0x200, slices.Concat(words(20, unix.SOL_SOCKET|unix.SCM_RIGHTS<<32), words(passed)))
		header := u.put(0x300, words(0, 0, vector, 1, control, 24, 0))
		if n := u.call(sysSendmsg, a, header, 0); n != 1 {
			u.Errorf("sendmsg: %d", n)
		}
		u.put(0x200, make([]byte, 24))
		u.call(sysRecvmsg, b, header, unix.MSG_CMSG_CLOEXEC)
		got := u.int(0x210)
		if got <= passed || u.call(sysFcntl, got, unix.F_GETFD) != unix.FD_CLOEXEC {
			u.Errorf("received descriptor %d", got)
		}
		u.call(sysLseek, got, 0, unix.SEEK_SET)
		if text := u.read(got, 100); text != "by message" {
			u.Errorf("the passed file contains %q", text)
		}
		u.call(sysGetsockopt, a, unix.SOL_SOCKET, unix.SO_PEERCRED, u.base+0x400, u.put(0x420, words(12)))
		if pid := u.int(0x400); pid != uint64(u.task.ProcessID()) {
			u.Errorf("SO_PEERCRED returned process %d", pid)
		}
		u.fails(unix.EAGAIN, sysRecvfrom, b, u.base, 10, unix.MSG_DONTWAIT, 0, 0)
		u.fails(unix.ENOTSOCK, sysShutdown, passed, unix.SHUT_WR)
	})
}

func TestFileSizeLimitCutsWrites(t *testing.T) {
	asUser(t, func(u *user) {
		limits := u.task.Group().Limits.All()
		limits[unix.RLIMIT_FSIZE].Soft = 10
		u.task.Group().Limits.SetAll(limits)
		fd := u.open("/f", unix.O_CREAT|unix.O_RDWR)
		if n := u.write(fd, "0123456789abc"); n != 10 {
			u.Errorf("write up to the limit: %d", n)
		}
		u.task.SetBlocked(^u.task.Blocked())
		u.fails(unix.EFBIG, sysWrite, fd, u.put(0, []byte("x")), 1)
		u.fails(unix.EFBIG, sysFtruncate, fd, 11)
	})
}
