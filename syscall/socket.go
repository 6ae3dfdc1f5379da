package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/fs"
	"slowpath/fs/netlink"
	"slowpath/fs/unixsock"
	"slowpath/task"
	"slowpath/wait"
)

var socketCalls = []Row{
	{Number: unix.SYS_SOCKET, Name: "socket", Arguments: args(Int, Int, Int), Handler: sysSocket,
		Partial: "Only AF_UNIX is supported, and AF_NETLINK with the protocol NETLINK_AUDIT. There is no network: the other families fail with EAFNOSUPPORT."},
	{Number: unix.SYS_CONNECT, Name: "connect", Arguments: args(FD, Pointer, Int), Handler: sysConnect},
	{Number: unix.SYS_ACCEPT, Name: "accept", Arguments: args(FD, Pointer, Pointer), Handler: sysAccept},
	{Number: unix.SYS_SENDTO, Name: "sendto", Arguments: args(FD, Pointer, Uint, Hex, Pointer, Int), Handler: sysSendto},
	{Number: unix.SYS_RECVFROM, Name: "recvfrom", Arguments: args(FD, Pointer, Uint, Hex, Pointer, Pointer), Handler: sysRecvfrom},
	{Number: unix.SYS_SENDMSG, Name: "sendmsg", Arguments: args(FD, Pointer, Hex), Handler: sysSendmsg},
	{Number: unix.SYS_RECVMSG, Name: "recvmsg", Arguments: args(FD, Pointer, Hex), Handler: sysRecvmsg},
	{Number: unix.SYS_SHUTDOWN, Name: "shutdown", Arguments: args(FD, Int), Handler: sysShutdown},
	{Number: unix.SYS_BIND, Name: "bind", Arguments: args(FD, Pointer, Int), Handler: sysBind},
	{Number: unix.SYS_LISTEN, Name: "listen", Arguments: args(FD, Int), Handler: sysListen},
	{Number: unix.SYS_GETSOCKNAME, Name: "getsockname", Arguments: args(FD, Pointer, Pointer), Handler: sysGetsockname},
	{Number: unix.SYS_GETPEERNAME, Name: "getpeername", Arguments: args(FD, Pointer, Pointer), Handler: sysGetpeername},
	{Number: unix.SYS_SOCKETPAIR, Name: "socketpair", Arguments: args(Int, Int, Int, Pointer), Handler: sysSocketpair},
	{Number: unix.SYS_SETSOCKOPT, Name: "setsockopt", Arguments: args(FD, Int, Int, Pointer, Int), Handler: sysSetsockopt},
	{Number: unix.SYS_GETSOCKOPT, Name: "getsockopt", Arguments: args(FD, Int, Int, Pointer, Pointer), Handler: sysGetsockopt},
	{Number: unix.SYS_ACCEPT4, Name: "accept4", Arguments: args(FD, Pointer, Pointer, Hex), Handler: sysAccept4},
	{Number: unix.SYS_RECVMMSG, Name: "recvmmsg", Arguments: args(FD, Pointer, Uint, Hex, Pointer), Handler: sysRecvmmsg},
	{Number: unix.SYS_SENDMMSG, Name: "sendmmsg", Arguments: args(FD, Pointer, Uint, Hex), Handler: sysSendmmsg},
}

// onSocket runs the function of its family on the socket of a descriptor. Errors: EBADF,
// ENOTSOCK.
func onSocket(t *task.Task, register uint64, onUnix func(f *fs.File, s *unixsock.Socket) (uint64, error), onNetlink func(f *fs.File, s *netlink.Socket) (uint64, error)) (uint64, error) {
	return withFile(t, register, func(f *fs.File) (uint64, error) {
		if s := unixsock.Of(f); s != nil {
			return onUnix(f, s)
		}
		if s := netlink.Of(f); s != nil {
			return onNetlink(f, s)
		}
		return 0, unix.ENOTSOCK
	})
}

// withSocket is onSocket for a call that netlink sockets do not support: EOPNOTSUPP.
func withSocket(t *task.Task, register uint64, operation func(f *fs.File, s *unixsock.Socket) (uint64, error)) (uint64, error) {
	return onSocket(t, register, operation, func(*fs.File, *netlink.Socket) (uint64, error) { return 0, unix.EOPNOTSUPP })
}

// splitKind splits the second argument of socket(2) into the socket type and its flags:
// EINVAL.
func splitKind(kind uint64) (number, flags int, err error) {
	const known, mask = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC, 0xf
	if uint32(kind)&^(known|mask) != 0 {
		return 0, 0, unix.EINVAL
	}
	return int(kind & mask), int(kind & known), nil
}

// socketKind checks the arguments of socket(2). It returns the socket type and
// its flags.
func socketKind(domain, kind, protocol uint64) (int, int, error) {
	k, flags, err := splitKind(kind)
	if err != nil {
		return 0, 0, err
	}
	if uint32(domain) != unix.AF_UNIX {
		return 0, 0, unix.EAFNOSUPPORT
	}
	if uint32(protocol) != 0 && uint32(protocol) != unix.PF_UNIX {
		return 0, 0, unix.EPROTONOSUPPORT
	}
	switch k {
	case unix.SOCK_RAW: // Linux makes it a datagram socket
		k = unix.SOCK_DGRAM
	case unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET:
	default:
		return 0, 0, unix.ESOCKTNOSUPPORT
	}
	return k, flags, nil
}

func sysSocket(t *task.Task, a *amd64.Args) (uint64, error) {
	if uint32(a[0]) == unix.AF_NETLINK {
		return netlinkSocket(t, a)
	}
	kind, flags, err := socketKind(a[0], a[1], a[2])
	if err != nil {
		return 0, err
	}
	return install(t, unixsock.New(t.FS.Mounts(), t, kind, flags), flags&unix.SOCK_CLOEXEC != 0)
}

func sysSocketpair(t *task.Task, a *amd64.Args) (uint64, error) {
	if uint32(a[0]) == unix.AF_NETLINK {
		return 0, unix.EOPNOTSUPP
	}
	kind, flags, err := socketKind(a[0], a[1], a[2])
	if err != nil {
		return 0, err
	}
	left, right := unixsock.Pair(t.FS.Mounts(), t, kind, flags)
	return 0, installPair(t, left, right, a[3], flags&unix.SOCK_CLOEXEC != 0)
}

// argumentWatcher is what else a task's fs.NameWatcher may want to see of the arguments of
// calls (package audit).
type argumentWatcher interface {
	// SocketAddress sees a socket address that the program has passed, or gets.
	SocketAddress(p []byte)
	// DescriptorPair sees the descriptors of pipe(2) and socketpair(2).
	DescriptorPair(first, second int)
	// OpenHow sees the argument of openat2(2).
	OpenHow(flags, mode, resolve uint64)
	// FileMapped sees the descriptor and the flags of mmap(2) for a file.
	FileMapped(fd int, flags uint32)
	// CapabilitiesSet sees that capset(2) has succeeded.
	CapabilitiesSet()
}

// argumentsWatched returns the task's argumentWatcher, or nil.
func argumentsWatched(t *task.Task) argumentWatcher {
	w, _ := t.NameWatcher().(argumentWatcher)
	return w
}

func watchAddress(t *task.Task, p []byte) {
	if w := argumentsWatched(t); w != nil {
		w.SocketAddress(p)
	}
}

// copyAddress copies a socket address of any family. Errors: EINVAL, EFAULT.
func copyAddress(t *task.Task, address, length uint64) ([]byte, error) {
	if uint32(length) > maxName {
		return nil, unix.EINVAL
	}
	p := make([]byte, uint32(length))
	if err := t.CopyIn(address, p); err != nil {
		return nil, err
	}
	watchAddress(t, p)
	return p, nil
}

// readAddress reads the address of a Unix socket.
func readAddress(t *task.Task, address, length uint64) (unixsock.Address, error) {
	p, err := copyAddress(t, address, length)
	if err != nil {
		return unixsock.Address{}, err
	}
	return unixsock.ParseAddress(p)
}

// destination reads the address to which a message is sent: nil if there is none.
func destination[A any](t *task.Task, address, length uint64, read func(t *task.Task, address, length uint64) (A, error)) (*A, error) {
	if address == 0 || length == 0 {
		return nil, nil
	}
	to, err := read(t, address, length)
	if err != nil {
		return nil, err
	}
	return &to, nil
}

// storeName stores a struct sockaddr, cut to the caller's buffer, and its full
// length. Errors: EFAULT, also for a null pointer, and EINVAL.
func storeName(t *task.Task, name []byte, buffer, lengthAt uint64) error {
	room, err := abi.CopyIn[int32](t, lengthAt)
	if err != nil {
		return err
	}
	if room < 0 {
		return unix.EINVAL
	}
	shown := name[:min(len(name), int(room))]
	watchAddress(t, shown)
	if err := t.CopyOut(buffer, shown); err != nil && room > 0 {
		return err
	}
	return abi.CopyOut(t, lengthAt, int32(len(name)))
}

// storeSender stores the address of a message's sender, unless buffer is 0. A sender
// without a name has an empty one, not even a family (recv(2)).
func storeSender(t *task.Task, from unixsock.Address, buffer, lengthAt uint64) error {
	if buffer == 0 {
		return nil
	}
	var name []byte
	if !from.None() {
		name = from.Bytes()
	}
	return storeName(t, name, buffer, lengthAt)
}

func sysBind(t *task.Task, a *amd64.Args) (uint64, error) {
	return onSocket(t, a[0], func(_ *fs.File, s *unixsock.Socket) (uint64, error) {
		address, err := readAddress(t, a[1], a[2])
		if err != nil {
			return 0, err
		}
		return 0, s.Bind(t, address)
	}, func(_ *fs.File, s *netlink.Socket) (uint64, error) {
		address, err := readNetlinkAddress(t, a[1], a[2])
		if err != nil {
			return 0, err
		}
		return 0, s.Bind(t, address)
	})
}

func sysListen(t *task.Task, a *amd64.Args) (uint64, error) {
	return withSocket(t, a[0], func(_ *fs.File, s *unixsock.Socket) (uint64, error) {
		backlog := min(uint32(a[1]), uint32(t.Kernel().Settings().SoMaxConn.Get())) // a negative one counts as the largest
		return 0, s.Listen(t, int(backlog))
	})
}

func sysConnect(t *task.Task, a *amd64.Args) (uint64, error) {
	return onSocket(t, a[0], func(file *fs.File, s *unixsock.Socket) (uint64, error) {
		if disconnects(t, a[1], a[2]) {
			return 0, s.Disconnect()
		}
		address, err := readAddress(t, a[1], a[2])
		if err != nil {
			return 0, err
		}
		return 0, waitSocket(t, file, wait.Writable, 0, s.Options().SendTimeout, func() error { return s.Connect(t, address) })
	}, func(_ *fs.File, s *netlink.Socket) (uint64, error) { return netlinkConnect(t, s, a) })
}

// disconnects reports whether the family of an address is AF_UNSPEC.
func disconnects(t *task.Task, address, length uint64) bool {
	if length < 2 {
		return false
	}
	family, err := abi.CopyIn[uint16](t, address)
	return err == nil && family == unix.AF_UNSPEC
}

// waitSocket is await for a socket. It does not sleep with O_NONBLOCK or
// MSG_DONTWAIT, and it returns EAGAIN after timeout nanoseconds. A timeout of 0
// means none.
func waitSocket(t *task.Task, f *fs.File, events wait.Events, flags uint32, timeout int64, operation func() error) error {
	err := operation()
	if err != unix.EAGAIN || doesNotWait(f, flags) {
		return err
	}
	deadline := int64(0)
	if timeout > 0 {
		deadline = clock.Monotonic() + timeout
	}
	blocked := t.Block(f.Queue(), events|ends, deadline, func() bool {
		err = operation()
		return err != unix.EAGAIN
	})
	switch blocked {
	case nil:
		return err
	case unix.ETIMEDOUT:
		return unix.EAGAIN
	}
	if timeout > 0 {
		return unix.EINTR // not restarted with a timeout (signal(7))
	}
	return blocked
}

// doesNotWait reports whether a call with flags does not wait.
func doesNotWait(f *fs.File, flags uint32) bool {
	return f.NonBlocking() || flags&unix.MSG_DONTWAIT != 0
}

func accept(t *task.Task, a *amd64.Args, flags uint64) (uint64, error) {
	if flags&^(unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC) != 0 {
		return 0, unix.EINVAL
	}
	return withSocket(t, a[0], func(file *fs.File, s *unixsock.Socket) (uint64, error) {
		return withDescriptor(t, flags&unix.SOCK_CLOEXEC != 0, func() (*fs.File, error) {
			return acceptOne(t, a, file, s, int(flags))
		})
	})
}

// acceptOne waits for a connection and stores the address of its peer. If that fails
// the connection is closed, as in Linux.
func acceptOne(t *task.Task, a *amd64.Args, file *fs.File, s *unixsock.Socket, flags int) (*fs.File, error) {
	var server *fs.File
	var from unixsock.Address
	err := waitSocket(t, file, wait.Readable, 0, s.Options().ReceiveTimeout, func() (err error) {
		server, from, err = s.Accept(flags)
		return err
	})
	if err != nil || a[1] == 0 {
		return server, err
	}
	if err := storeName(t, from.Bytes(), a[1], a[2]); err != nil {
		server.DecRef()
		return nil, err
	}
	return server, nil
}

func sysAccept(t *task.Task, a *amd64.Args) (uint64, error) { return accept(t, a, 0) }

func sysAccept4(t *task.Task, a *amd64.Args) (uint64, error) {
	return accept(t, a, uint64(uint32(a[3])))
}

func sysGetsockname(t *task.Task, a *amd64.Args) (uint64, error) {
	return onSocket(t, a[0], func(_ *fs.File, s *unixsock.Socket) (uint64, error) {
		return 0, storeName(t, s.LocalName().Bytes(), a[1], a[2])
	}, func(_ *fs.File, s *netlink.Socket) (uint64, error) {
		return 0, storeName(t, s.LocalName().Bytes(), a[1], a[2])
	})
}

func sysGetpeername(t *task.Task, a *amd64.Args) (uint64, error) {
	return onSocket(t, a[0], func(_ *fs.File, s *unixsock.Socket) (uint64, error) {
		name, err := s.PeerName()
		if err != nil {
			return 0, err
		}
		return 0, storeName(t, name.Bytes(), a[1], a[2])
	}, func(_ *fs.File, s *netlink.Socket) (uint64, error) {
		return 0, storeName(t, s.PeerName().Bytes(), a[1], a[2])
	})
}

func sysShutdown(t *task.Task, a *amd64.Args) (uint64, error) {
	return withSocket(t, a[0], func(_ *fs.File, s *unixsock.Socket) (uint64, error) {
		return 0, s.Shutdown(int(int32(a[1])))
	})
}

// send is sendmsg(2) with decoded arguments. It takes over the references in
// out.Files.
func send(t *task.Task, file *fs.File, s *unixsock.Socket, src *userMemory, flags uint32, out unixsock.Outgoing) (uint64, error) {
	defer func() {
		for _, f := range out.Files { // those that were not sent
			f.DecRef()
		}
	}()
	if flags&unix.MSG_OOB != 0 {
		return 0, unix.EOPNOTSUPP
	}
	total := 0
	for {
		err := waitSocket(t, file, wait.Writable, flags, s.Options().SendTimeout, func() error {
			n, err := s.Send(src, out)
			total += n
			return err
		})
		if err == nil {
			out.Files = nil // they were sent with the first bytes
			if s.Kind() == unix.SOCK_STREAM && src.Remaining() > 0 {
				continue
			}
			return uint64(total), nil
		}
		if err == unix.EPIPE && flags&unix.MSG_NOSIGNAL == 0 && s.Kind() == unix.SOCK_STREAM {
			brokenPipe(t)
		}
		return moved(uint64(total), err)
	}
}

func sysSendto(t *task.Task, a *amd64.Args) (uint64, error) {
	return onSocket(t, a[0], func(file *fs.File, s *unixsock.Socket) (uint64, error) {
		src, err := newUserMemory(t, a[1], a[2])
		if err != nil {
			return 0, err
		}
		out := outgoing(t)
		if out.To, err = destination(t, a[4], a[5], readAddress); err != nil {
			return 0, err
		}
		return send(t, file, s, src, uint32(a[3]), out)
	}, func(_ *fs.File, s *netlink.Socket) (uint64, error) { return netlinkSendto(t, s, a) })
}

// receive is recvmsg(2) with decoded arguments. It waits for the first message.
// With MSG_WAITALL on a stream it waits until the buffer is full.
func receive(t *task.Task, file *fs.File, s *unixsock.Socket, dst *userMemory, flags uint32) (unixsock.Incoming, error) {
	if flags&unix.MSG_OOB != 0 {
		return unixsock.Incoming{}, unix.EOPNOTSUPP
	}
	var in unixsock.Incoming
	total := 0
	for {
		err := waitSocket(t, file, wait.Readable, flags, s.Options().ReceiveTimeout, func() (err error) {
			in, err = s.Receive(dst, flags&unix.MSG_PEEK != 0)
			if s.EndIsEAGAIN(&in) && doesNotWait(file, flags) {
				return unix.EAGAIN
			}
			return err
		})
		if err != nil && total > 0 {
			in.Count = total
			return in, nil
		}
		total += in.Count
		more := flags&unix.MSG_WAITALL != 0 && flags&unix.MSG_PEEK == 0 && s.Kind() == unix.SOCK_STREAM
		if err != nil || !more || in.Count == 0 || dst.Remaining() == 0 || len(in.Files) > 0 {
			in.Count = total
			return in, err
		}
	}
}

// length returns the result of recv(2): the bytes received, or with MSG_TRUNC
// the full length of the packet.
func length(s *unixsock.Socket, in *unixsock.Incoming, flags uint32) uint64 {
	if flags&unix.MSG_TRUNC != 0 && s.Kind() != unix.SOCK_STREAM {
		return uint64(in.Full)
	}
	return uint64(in.Count)
}

func sysRecvfrom(t *task.Task, a *amd64.Args) (uint64, error) {
	return onSocket(t, a[0], func(file *fs.File, s *unixsock.Socket) (uint64, error) {
		dst, err := newUserMemory(t, a[1], a[2])
		if err != nil {
			return 0, err
		}
		flags := uint32(a[3])
		in, err := receive(t, file, s, dst, flags)
		for _, passed := range in.Files {
			passed.DecRef()
		}
		if err != nil {
			return 0, err
		}
		return length(s, &in, flags), storeSender(t, in.From, a[4], a[5])
	}, func(file *fs.File, s *netlink.Socket) (uint64, error) { return netlinkRecvfrom(t, file, s, a) })
}

// socketTimeout returns the timeout of SO_RCVTIMEO or SO_SNDTIMEO in
// nanoseconds: EDOM if it is not normalised.
func socketTimeout(v unix.Timeval) (int64, error) {
	if v.Usec < 0 || v.Usec >= 1e6 {
		return 0, unix.EDOM
	}
	v.Sec = max(0, v.Sec)
	return clampedTime(timespecOf(v)), nil
}
