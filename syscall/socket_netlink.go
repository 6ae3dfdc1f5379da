package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/fs/netlink"
	"slowpath/task"
	"slowpath/wait"
)

// netlinkSocket is socket(2) of the family AF_NETLINK.
func netlinkSocket(t *task.Task, a *amd64.Args) (uint64, error) {
	kind, flags, err := splitKind(a[1])
	if err != nil {
		return 0, err
	}
	file, err := netlink.New(t.FS.Mounts(), t, kind, int(int32(a[2])), flags)
	if err != nil {
		return 0, err
	}
	return install(t, file, flags&unix.SOCK_CLOEXEC != 0)
}

// readNetlinkAddress reads a struct sockaddr_nl. Errors: EINVAL, EFAULT.
func readNetlinkAddress(t *task.Task, address, length uint64) (netlink.Address, error) {
	p, err := copyAddress(t, address, length)
	if err != nil {
		return netlink.Address{}, err
	}
	return netlink.ParseAddress(p)
}

func netlinkConnect(t *task.Task, s *netlink.Socket, a *amd64.Args) (uint64, error) {
	if disconnects(t, a[1], a[2]) {
		s.Disconnect()
		return 0, nil
	}
	address, err := readNetlinkAddress(t, a[1], a[2])
	if err != nil {
		return 0, err
	}
	return 0, s.Connect(t, address)
}

// sendNetlink is sendmsg(2) with a decoded address, nil for that of connect(2).
func sendNetlink(t *task.Task, s *netlink.Socket, src *userMemory, to *netlink.Address, flags uint32, owner fs.SocketCredentials) (uint64, error) {
	if flags&unix.MSG_OOB != 0 {
		return 0, unix.EOPNOTSUPP
	}
	n, err := s.Send(t, src, to, owner)
	if err != nil {
		return 0, err
	}
	return uint64(n), nil
}

func netlinkSendto(t *task.Task, s *netlink.Socket, a *amd64.Args) (uint64, error) {
	src, err := newUserMemory(t, a[1], a[2])
	if err != nil {
		return 0, err
	}
	to, err := destination(t, a[4], a[5], readNetlinkAddress)
	if err != nil {
		return 0, err
	}
	return sendNetlink(t, s, src, to, uint32(a[3]), fs.SocketCredentialsOf(t))
}

// netlinkSend is sendmsg(2) of a message at an address. Of the control messages only the
// credentials are obeyed; descriptors cannot be passed.
func netlinkSend(t *task.Task, s *netlink.Socket, at uint64, flags uint32) (uint64, error) {
	h, src, err := readMessage(t, at)
	if err != nil {
		return 0, err
	}
	to, err := destination(t, h.Name, uint64(min(h.NameLen, maxName)), readNetlinkAddress)
	if err != nil {
		return 0, err
	}
	owner, err := controlCredentials(t, &h)
	if err != nil {
		return 0, err
	}
	return sendNetlink(t, s, src, to, flags, owner)
}

// controlCredentials returns the sender's credentials for a message that is not passed to
// a Unix socket. EINVAL for descriptors (Linux: scm_send).
func controlCredentials(t *task.Task, h *abi.Msghdr) (fs.SocketCredentials, error) {
	own := fs.SocketCredentialsOf(t)
	if h.ControlLen == 0 {
		return own, nil
	}
	out := outgoing(t)
	err := readControl(t, h, &out)
	for _, f := range out.Files {
		f.DecRef()
	}
	switch {
	case err != nil:
		return own, err
	case len(out.Files) > 0:
		return own, unix.EINVAL
	case out.Credentials != nil:
		return *out.Credentials, nil
	}
	return own, nil
}

// receiveNetlink waits for a message.
func receiveNetlink(t *task.Task, file *fs.File, s *netlink.Socket, dst *userMemory, flags uint32) (in netlink.Incoming, err error) {
	if flags&unix.MSG_OOB != 0 {
		return in, unix.EOPNOTSUPP
	}
	err = waitSocket(t, file, wait.Readable, flags, s.Options().ReceiveTimeout, func() (err error) {
		in, err = s.Receive(dst, flags&unix.MSG_PEEK != 0)
		return err
	})
	return in, err
}

// netlinkLength returns the result of recv(2).
func netlinkLength(in *netlink.Incoming, flags uint32) uint64 {
	if flags&unix.MSG_TRUNC != 0 {
		return uint64(in.Full)
	}
	return uint64(in.Count)
}

func netlinkRecvfrom(t *task.Task, file *fs.File, s *netlink.Socket, a *amd64.Args) (uint64, error) {
	dst, err := newUserMemory(t, a[1], a[2])
	if err != nil {
		return 0, err
	}
	in, err := receiveNetlink(t, file, s, dst, uint32(a[3]))
	if err != nil {
		return 0, err
	}
	if a[4] != 0 {
		if err := storeName(t, in.From.Bytes(), a[4], a[5]); err != nil {
			return 0, err
		}
	}
	return netlinkLength(&in, uint32(a[3])), nil
}

// netlinkReceive is recvmsg(2) into a message at an address.
func netlinkReceive(t *task.Task, file *fs.File, s *netlink.Socket, at uint64, flags uint32) (uint64, error) {
	h, dst, err := readMessage(t, at)
	if err != nil {
		return 0, err
	}
	in, err := receiveNetlink(t, file, s, dst, flags)
	if err != nil {
		return 0, err
	}
	control := newControlBuffer(t, &h, flags)
	control.putCredentials(s, in.Credentials)
	if s.Flag(netlink.PacketInfo) {
		control.put(unix.SOL_NETLINK, unix.NETLINK_PKTINFO, abi.Bytes(&in.Group))
	}
	if in.Count < in.Full {
		control.flags |= unix.MSG_TRUNC
	}
	if h.Name != 0 {
		if err := storeName(t, in.From.Bytes(), h.Name, at+messageLayoutOf(t).nameLength); err != nil {
			return 0, err
		}
	}
	return netlinkLength(&in, flags), storeControl(t, at, &control)
}
