package syscall

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/fs"
)

// badPointer is an address that no task can access.
const badPointer = 8

// socketPair returns the descriptors of two connected sockets.
func (u *user) socketPair(kind uint64) (a, b uint64) {
	u.Helper()
	u.call(sysSocketpair, unix.AF_UNIX, kind, 0, u.base)
	return u.int(0), u.int(4)
}

// nextDescriptor returns the descriptor that the next call would get.
func (u *user) nextDescriptor() uint64 {
	u.Helper()
	fd := u.call(sysEventfd2, 0, 0)
	u.call(sysClose, fd)
	return fd
}

// TestResultsForBadPointersAreEFAULTAndOpenNothing checks the calls that store a
// result: a null or bad pointer is EFAULT, and no descriptor stays open.
func TestResultsForBadPointersAreEFAULTAndOpenNothing(t *testing.T) {
	asUser(t, func(u *user) {
		s := u.call(sysSocket, unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		u.call(sysBind, s, u.put(0x100, []byte{unix.AF_UNIX, 0}), 2)
		u.call(sysListen, s, 5)
		length := u.put(0x200, words(110))
		u.call(sysGetsockname, s, u.base+0x300, length)
		name, size := u.base+0x300, u.int(0x200)
		connect := func() {
			client := u.call(sysSocket, unix.AF_UNIX, unix.SOCK_STREAM, 0)
			u.call(sysConnect, client, name, size)
		}
		connect()
		connect()
		before := u.nextDescriptor()
		full := u.put(0x200, words(110))
		for what, c := range map[string]struct {
			call      Handler
			arguments []uint64
		}{
			"getsockname, no buffer":   {sysGetsockname, []uint64{s, 0, full}},
			"getsockname, no length":   {sysGetsockname, []uint64{s, u.base + 0x400, 0}},
			"getsockopt, no buffer":    {sysGetsockopt, []uint64{s, unix.SOL_SOCKET, unix.SO_TYPE, 0, full}},
			"getsockopt, no length":    {sysGetsockopt, []uint64{s, unix.SOL_SOCKET, unix.SO_TYPE, u.base + 0x400, 0}},
			"accept, bad buffer":       {sysAccept, []uint64{s, badPointer, full}},
			"accept, no length":        {sysAccept, []uint64{s, u.base + 0x400, 0}},
			"pipe2":                    {sysPipe2, []uint64{0, 0}},
			"socketpair":               {sysSocketpair, []uint64{unix.AF_UNIX, unix.SOCK_STREAM, 0, badPointer}},
			"getrlimit":                {sysGetrlimit, []uint64{unix.RLIMIT_NOFILE, 0}},
			"getrusage":                {sysGetrusage, []uint64{0, 0}},
			"fstat":                    {sysFstat, []uint64{s, 0}},
			"sendto, bad address":      {sysSendto, []uint64{s, u.base, 1, 0, badPointer, 10}},
			"connect, bad address":     {sysConnect, []uint64{s, badPointer, 10}},
			"sendmsg, bad header":      {sysSendmsg, []uint64{s, 0, 0}},
			"sendmsg, no control data": {sysSendmsg, []uint64{s, u.put(0x500, words(0, 0, 0, 0, 0, 24, 0)), 0}},
		} {
			if n, err := invoke(u.task, c.call, c.arguments...); err != unix.EFAULT {
				u.Errorf("%s: %d, %v, want EFAULT", what, n, err)
			}
		}
		u.fails(unix.EMSGSIZE, sysSendmsg, s, u.put(0x500, words(0, 0, u.base, 2000, 0, 0, 0)), 0)
		u.fails(unix.EAGAIN, sysAccept, s, 0, 0) // a connection whose address cannot be stored is closed
		if after := u.nextDescriptor(); after != before {
			u.Errorf("the next descriptor is %d, want %d: a failed call left one open", after, before)
		}
	})
}

// TestFullDescriptorTablePrecedesEffects checks that a call without a free descriptor
// creates no file and accepts no connection.
func TestFullDescriptorTablePrecedesEffects(t *testing.T) {
	asUser(t, func(u *user) {
		s := u.call(sysSocket, unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		u.call(sysBind, s, u.put(0x100, []byte{unix.AF_UNIX, 0}), 2)
		u.call(sysListen, s, 5)
		u.put(0x200, words(110))
		u.call(sysGetsockname, s, u.base+0x300, u.base+0x200)
		u.call(sysConnect, u.call(sysSocket, unix.AF_UNIX, unix.SOCK_STREAM, 0), u.base+0x300, u.int(0x200))
		limits := u.task.Group().Limits.All()
		limit := limits[unix.RLIMIT_NOFILE].Soft
		limits[unix.RLIMIT_NOFILE].Soft = u.nextDescriptor()
		u.task.Group().Limits.SetAll(limits)
		u.fails(unix.EMFILE, sysAccept, s, 0, 0)
		u.fails(unix.EMFILE, sysOpenat, atCWD, u.path("/new"), unix.O_CREAT|unix.O_WRONLY, 0o600)
		u.fails(unix.ENOENT, sysUnlink, u.path("/new"))
		limits[unix.RLIMIT_NOFILE].Soft = limit
		u.task.Group().Limits.SetAll(limits)
		u.call(sysAccept, s, 0, 0)
	})
}

// TestPanicDuringOpenFreesTheDescriptor: other threads keep the table when the panic
// ends the process of the caller.
func TestPanicDuringOpenFreesTheDescriptor(t *testing.T) {
	asUser(t, func(u *user) {
		before := u.nextDescriptor()
		func() {
			defer func() { recover() }()
			withDescriptor(u.task, fs.KeepOnExec, func() (*fs.File, error) { panic("bug in a file") })
		}()
		if after := u.nextDescriptor(); after != before {
			u.Errorf("the next descriptor is %d after a panic, want %d", after, before)
		}
	})
}

// TestControlMessagesAreCutAtTheBuffer receives credentials and two descriptors into
// buffers of several sizes. The kernel never writes beyond the buffer, cuts the
// messages as Linux does, and opens only descriptors whose number it has stored.
func TestControlMessagesAreCutAtTheBuffer(t *testing.T) {
	const ucred, rights = 32, 16 // the space of SCM_CREDENTIALS, the header of SCM_RIGHTS
	for _, c := range []struct {
		room, used, opened, truncated uint64
	}{
		{0, 0, 0, unix.MSG_CTRUNC}, {8, 0, 0, unix.MSG_CTRUNC}, {20, 20, 0, unix.MSG_CTRUNC},
		{ucred, ucred, 0, unix.MSG_CTRUNC}, {ucred + rights + 3, ucred, 0, unix.MSG_CTRUNC},
		{ucred + rights + 4, ucred + rights + 4, 1, unix.MSG_CTRUNC},
		{ucred + rights + 8, ucred + rights + 8, 2, 0}, {200, ucred + rights + 8, 2, 0},
	} {
		asUser(t, func(u *user) {
			a, b := u.socketPair(unix.SOCK_STREAM)
			u.call(sysSetsockopt, b, unix.SOL_SOCKET, unix.SO_PASSCRED, u.put(0x40, words(1)), 4)
			vector := u.put(0x100, words(u.base+0x80, 1))
			control := u.put(0x200, slices.Concat(words(24, unix.SOL_SOCKET|unix.SCM_RIGHTS<<32), words(a|b<<32)))
			u.call(sysSendmsg, a, u.put(0x300, words(0, 0, vector, 1, control, 24, 0)), 0)
			before := u.nextDescriptor()
			u.put(0x400, slices.Repeat([]byte{0xee}, 256))
			header := u.put(0x300, words(0, 0, vector, 1, u.base+0x400, c.room, 0))
			u.call(sysRecvmsg, b, header, 0)
			used, flags := binary.LittleEndian.Uint64(u.get(0x328, 8)), u.int(0x330)
			if used != c.used || flags != c.truncated || u.nextDescriptor() != before+c.opened {
				u.Errorf("room %d: used %d, flags %#x, %d descriptors; want %d, %#x, %d",
					c.room, used, flags, u.nextDescriptor()-before, c.used, c.truncated, c.opened)
			}
			for i, x := range u.get(0x400, 256) {
				if uint64(i) >= c.room && x != 0xee {
					u.Fatalf("room %d: byte %d of the buffer was written", c.room, i)
				}
			}
		})
	}
}

// TestSpliceGivesBackWhatTheDestinationDoesNotTake splices from a pipe to a full
// socket and to one without a peer: the bytes stay in the pipe.
func TestSpliceGivesBackWhatTheDestinationDoesNotTake(t *testing.T) {
	asUser(t, func(u *user) {
		u.task.SetBlocked(^u.task.Blocked()) // SIGPIPE
		u.call(sysPipe2, u.base, unix.O_NONBLOCK)
		r, w := u.int(0), u.int(4)
		u.write(w, "kept")
		a, b := u.socketPair(unix.SOCK_STREAM | unix.SOCK_NONBLOCK)
		for {
			if _, err := invoke(u.task, sysWrite, a, u.base+0x10000, 4096); err != nil {
				break
			}
		}
		u.fails(unix.EAGAIN, sysSplice, r, 0, a, 0, 10, spliceNonBlock)
		u.call(sysClose, b)
		u.fails(unix.EPIPE, sysSplice, r, 0, a, 0, 10, 0)
		if got := u.read(r, 10); got != "kept" {
			u.Errorf("the pipe contains %q", got)
		}
	})
}

// TestVmspliceTakesThePagesThatFit fills a pipe by vmsplice(2): the result is short,
// and a full pipe is EAGAIN with SPLICE_F_NONBLOCK.
func TestVmspliceTakesThePagesThatFit(t *testing.T) {
	asUser(t, func(u *user) {
		u.call(sysPipe2, u.base, 0)
		r, w := u.int(0), u.int(4)
		big := u.put(0x100, words(u.base+0x10000, 100_000))
		if n := u.call(sysVmsplice, w, big, 1, 0); n != 65536 {
			u.Errorf("vmsplice into an empty pipe: %d", n)
		}
		u.fails(unix.EAGAIN, sysVmsplice, w, big, 1, spliceNonBlock)
		u.read(r, 5000)
		if n := u.call(sysVmsplice, w, big, 1, spliceNonBlock); n != 4096 {
			u.Errorf("vmsplice with one unused page: %d", n)
		}
		u.fails(unix.EBADF, sysVmsplice, u.call(sysEventfd2, 0, 0), big, 1, 0)
	})
}

// TestPositionsOfPipesAreESPIPEFirst checks the order of errors of preadv2(2) and its
// variants.
func TestPositionsOfPipesAreESPIPEFirst(t *testing.T) {
	asUser(t, func(u *user) {
		u.call(sysPipe2, u.base, 0)
		r, w := u.int(0), u.int(4)
		vector := u.put(0x100, words(u.base, 1))
		const unknownFlag = 0x1000
		u.fails(unix.ESPIPE, sysPwritev2, r, vector, 1, 0, 0, 0)
		u.fails(unix.ESPIPE, sysPreadv2, w, vector, 1, 0, 0, unknownFlag)
		u.fails(unix.ESPIPE, sysPreadv2, w, badPointer, 1, 0, 0, 0)
		u.fails(unix.EBADF, sysPreadv2, w, vector, 1, ^uint64(0), 0, 0)
		u.fails(unix.EBADF, sysPwritev2, 99, vector, 1, 0, 0, 0)
		u.fails(unix.ESPIPE, sysPwrite64, r, u.base, 1, 0)
		u.fails(unix.EINVAL, sysPread64, w, u.base, 1, ^uint64(0))
		u.fails(unix.EOPNOTSUPP, sysPwritev2, u.open("/f", unix.O_CREAT|unix.O_RDWR), vector, 1, 0, 0, unknownFlag)
	})
}

// TestLockOfAClosedDescriptorIsUndone closes the descriptor while F_SETLKW waits for
// a lock on it. The lock must not stay: no close(2) would release it.
func TestLockOfAClosedDescriptorIsUndone(t *testing.T) {
	asUser(t, func(u *user) {
		holder := u.open("/f", unix.O_CREAT|unix.O_RDWR)
		lock := u.put(0x500, words(unix.F_WRLCK, 0, 10, 0))
		u.call(sysFcntl, holder, unix.F_OFD_SETLK, lock)
		waiting := u.open("/f", unix.O_RDWR)
		file, err := u.task.FDs.Get(int(holder))
		if err != nil {
			u.Fatal(err)
		}
		go func() { // acts as another thread
			time.Sleep(20 * time.Millisecond)
			u.task.FDs.Close(int(waiting))
			file.Inode().Base().Locks().ReleaseRecords(file)
			file.DecRef()
		}()
		u.fails(unix.EBADF, sysFcntl, waiting, unix.F_SETLKW, lock)
		u.call(sysFcntl, holder, unix.F_OFD_SETLK, lock)
	})
}

// TestTestedLockIsTheLowest sets locks of several owners in descending order:
// F_OFD_GETLK returns the conflicting lock with the lowest start.
func TestTestedLockIsTheLowest(t *testing.T) {
	asUser(t, func(u *user) {
		for _, start := range []uint64{300, 100, 200} {
			fd := u.open("/f", unix.O_CREAT|unix.O_RDWR)
			u.call(sysFcntl, fd, unix.F_OFD_SETLK, u.put(0x500, words(unix.F_WRLCK, start, 10, 0)))
		}
		fd := u.open("/f", unix.O_RDWR)
		u.call(sysFcntl, fd, unix.F_OFD_GETLK, u.put(0x500, words(unix.F_WRLCK, 50, 500, 0)))
		if start := binary.LittleEndian.Uint64(u.get(0x508, 8)); start != 100 {
			u.Errorf("the lock found starts at %d, want 100", start)
		}
	})
}
