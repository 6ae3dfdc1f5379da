package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/fs/netlink"
	"slowpath/fs/unixsock"
	"slowpath/task"
)

// Limits of control messages.
const (
	maxControl = 20480 // bytes (net.core.optmem_max)
	maxPassed  = 253   // descriptors (SCM_MAX_FD)
	ucredSize  = unix.SizeofUcred
	maxName    = 128 // bytes of a socket address (struct sockaddr_storage)
)

// readControl decodes the control messages of sendmsg(2).
func readControl(t *task.Task, h *abi.Msghdr, out *unixsock.Outgoing) error {
	if h.ControlLen > maxControl {
		return unix.ENOBUFS
	}
	p := make([]byte, h.ControlLen)
	if err := t.CopyIn(h.Control, p); err != nil {
		return err
	}
	layout := messageLayoutOf(t)
	for uint64(len(p)) >= layout.header {
		header := layout.decode(p)
		if header.Len < layout.header || header.Len > uint64(len(p)) {
			return unix.EINVAL
		}
		if err := addControl(t, out, &header, p[layout.header:header.Len]); err != nil {
			return err
		}
		p = p[min(uint64(len(p)), layout.padded(header.Len)):]
	}
	return nil
}

func addControl(t *task.Task, out *unixsock.Outgoing, header *unix.Cmsghdr, data []byte) error {
	if header.Level != unix.SOL_SOCKET {
		return nil // Linux ignores other levels
	}
	switch header.Type {
	case unix.SCM_RIGHTS:
		return addDescriptors(t, out, data)
	case unix.SCM_CREDENTIALS:
		return addCredentials(t, out, data)
	}
	return unix.EINVAL
}

func addDescriptors(t *task.Task, out *unixsock.Outgoing, data []byte) error {
	if len(out.Files)+len(data)/4 > maxPassed {
		return unix.EINVAL
	}
	numbers := make([]int32, len(data)/4)
	copy(abi.SliceBytes(numbers), data)
	for _, number := range numbers {
		f, err := t.FDs.GetPath(int(number))
		if err != nil {
			return err
		}
		out.Files = append(out.Files, f)
	}
	return nil
}

// addCredentials decodes the credentials that a task sends. They must be its
// own ids, unless it has the capability to use others (unix(7)). Errors:
// EINVAL, EPERM, ESRCH.
func addCredentials(t *task.Task, out *unixsock.Outgoing, data []byte) error {
	if len(data) != ucredSize {
		return unix.EINVAL
	}
	var ucred unix.Ucred
	copy(abi.Bytes(&ucred), data)
	claim := unixsock.Credentials{Process: ucred.Pid, UID: ucred.Uid, GID: ucred.Gid}
	c := t.Credentials()
	switch {
	case claim.Process != t.ProcessID() && !c.Has(cred.SysAdmin),
		claim.UID != c.UID && claim.UID != c.EUID && claim.UID != c.SUID && !c.Has(cred.SetUID),
		claim.GID != c.GID && claim.GID != c.EGID && claim.GID != c.SGID && !c.Has(cred.SetGID):
		return unix.EPERM
	}
	if claim.Process != t.ProcessID() && t.Kernel().GroupByID(int(claim.Process)) == nil {
		return unix.ESRCH
	}
	if claim.UID == ^uint32(0) || claim.GID == ^uint32(0) {
		return unix.EINVAL
	}
	out.Credentials = &claim
	return nil
}

func sendMessage(t *task.Task, file *fs.File, s *unixsock.Socket, address uint64, flags uint32) (uint64, error) {
	h, src, err := readMessage(t, address)
	if err != nil {
		return 0, err
	}
	out := outgoing(t)
	if out.To, err = destination(t, h.Name, uint64(min(h.NameLen, maxName)), readAddress); err != nil {
		return 0, err
	}
	if h.ControlLen != 0 {
		if err := readControl(t, &h, &out); err != nil {
			for _, f := range out.Files {
				f.DecRef()
			}
			return 0, err
		}
	}
	return send(t, file, s, src, flags, out)
}

func sysSendmsg(t *task.Task, a *amd64.Args) (uint64, error) {
	return onSocket(t, a[0], func(file *fs.File, s *unixsock.Socket) (uint64, error) {
		return sendMessage(t, file, s, a[1], uint32(a[2]))
	}, func(_ *fs.File, s *netlink.Socket) (uint64, error) { return netlinkSend(t, s, a[1], uint32(a[2])) })
}

// readMessage reads a struct msghdr, and returns the buffers of the message too. Errors:
// EINVAL, EFAULT, EMSGSIZE for too many buffers, and those of newUserVectors.
func readMessage(t *task.Task, address uint64) (h abi.Msghdr, buffers *userMemory, err error) {
	if h, err = copyInMsghdr(t, address); err != nil {
		return h, nil, err
	}
	if h.Name != 0 && int32(h.NameLen) < 0 {
		return h, nil, unix.EINVAL
	}
	if h.IovLen > maxVectors {
		return h, nil, unix.EMSGSIZE
	}
	buffers, err = newUserVectors(t, h.Iov, h.IovLen)
	return h, buffers, err
}

// outgoing returns the arguments of a message without a destination, control
// messages and data.
func outgoing(t *task.Task) unixsock.Outgoing {
	return unixsock.Outgoing{Caller: t, Limit: t.Group().Limits.Soft(unix.RLIMIT_NOFILE)}
}

// controlBuffer is the caller's buffer for the control messages of recvmsg(2). A
// message that does not fit is cut or left out, and MSG_CTRUNC is set (Linux:
// put_cmsg and scm_detach_fds). Faults are ignored, as in Linux: a message that
// cannot be stored does not use room.
type controlBuffer struct {
	t       *task.Task
	layout  *messageLayout
	address uint64
	room    uint64 // bytes left
	used    uint64
	flags   uint32 // for msg_flags
}

// newControlBuffer returns the buffer of a message that is received with flags.
func newControlBuffer(t *task.Task, h *abi.Msghdr, flags uint32) controlBuffer {
	b := controlBuffer{t: t, layout: messageLayoutOf(t), address: h.Control, room: h.ControlLen}
	b.flags = flags & unix.MSG_CMSG_CLOEXEC // Linux returns it
	if h.Control == 0 {
		b.room = 0
	}
	return b
}

// putCredentials stores the sender of a message, if the socket has SO_PASSCRED.
func (b *controlBuffer) putCredentials(s optionHolder, from fs.SocketCredentials) {
	if s.Options().PassCredentials {
		ucred := ucredOf(from)
		b.put(unix.SOL_SOCKET, unix.SCM_CREDENTIALS, abi.Bytes(&ucred))
	}
}

// put stores one control message.
func (b *controlBuffer) put(level, kind int32, data []byte) {
	if b.address == 0 || b.room < b.layout.header {
		b.flags |= unix.MSG_CTRUNC
		return
	}
	whole := b.layout.header + uint64(len(data))
	size := whole
	if size > b.room {
		b.flags |= unix.MSG_CTRUNC
		size = b.room
	}
	message := append(b.layout.encode(level, kind, size), data...)
	if b.t.CopyOut(b.address, message[:size]) == nil {
		b.advance(whole)
	}
}

// advance moves behind a message of the given size and its padding.
func (b *controlBuffer) advance(size uint64) {
	space := min(b.layout.padded(size), b.room)
	b.address += space
	b.room -= space
	b.used += space
}

// putFiles opens descriptors for the files that fit, and closes the others. A
// descriptor is opened only when its number is stored.
func (b *controlBuffer) putFiles(files []*fs.File, onExec fs.ExecAction) {
	fit := 0
	header := b.layout.header
	if b.address != 0 && b.room > header {
		fit = int(min((b.room-header)/4, uint64(len(files))))
	}
	opened := 0
	for opened < fit && b.putFile(files[opened], opened, onExec) == nil {
		opened++
	}
	size := header + 4*uint64(opened)
	if opened > 0 && b.t.CopyOut(b.address, b.layout.encode(unix.SOL_SOCKET, unix.SCM_RIGHTS, size)) == nil {
		b.advance(size)
	}
	if opened < len(files) {
		b.flags |= unix.MSG_CTRUNC
	}
	for _, f := range files[opened:] {
		f.DecRef()
	}
}

// putFile stores the descriptor of a file at an index of the message and opens it.
// Errors: EMFILE, ENOMEM, EFAULT.
func (b *controlBuffer) putFile(f *fs.File, index int, onExec fs.ExecAction) error {
	n, err := b.t.FDs.Reserve(0, b.t.DescriptorLimit())
	if err != nil {
		return err
	}
	filled := false
	defer func() { // also if the copy panics: other threads keep the table
		if !filled {
			b.t.FDs.Cancel(n)
		}
	}()
	if err := abi.CopyOut(b.t, b.address+b.layout.header+4*uint64(index), int32(n)); err != nil {
		return err
	}
	b.t.FDs.Fill(n, f, onExec)
	filled = true
	return nil
}

// ucredOf converts credentials to a struct ucred.
func ucredOf(c unixsock.Credentials) unix.Ucred {
	return unix.Ucred{Pid: c.Process, Uid: c.UID, Gid: c.GID}
}

func receiveMessage(t *task.Task, file *fs.File, s *unixsock.Socket, address uint64, flags uint32) (uint64, error) {
	h, dst, err := readMessage(t, address)
	if err != nil {
		return 0, err
	}
	in, err := receive(t, file, s, dst, flags)
	if err != nil {
		return 0, err
	}
	control := newControlBuffer(t, &h, flags)
	control.putCredentials(s, in.Credentials)
	if len(in.Files) > 0 {
		control.putFiles(in.Files, flags&unix.MSG_CMSG_CLOEXEC != 0)
	}
	if in.Count < in.Full && s.Kind() != unix.SOCK_STREAM {
		control.flags |= unix.MSG_TRUNC
	}
	return length(s, &in, flags), storeMessage(t, address, &h, &in, &control)
}

// storeMessage stores the results of recvmsg(2) in the caller's struct msghdr.
func storeMessage(t *task.Task, address uint64, h *abi.Msghdr, in *unixsock.Incoming, control *controlBuffer) error {
	if err := storeSender(t, in.From, h.Name, address+messageLayoutOf(t).nameLength); err != nil {
		return err
	}
	return storeControl(t, address, control)
}

// storeControl stores the flags and the length of the control messages.
func storeControl(t *task.Task, address uint64, control *controlBuffer) error {
	if err := abi.CopyOut(t, address+control.layout.flags, control.flags); err != nil {
		return err
	}
	return copyOutLong(t, address+control.layout.controlLength, control.used)
}

func sysRecvmsg(t *task.Task, a *amd64.Args) (uint64, error) {
	return onSocket(t, a[0], func(file *fs.File, s *unixsock.Socket) (uint64, error) {
		return receiveMessage(t, file, s, a[1], uint32(a[2]))
	}, func(file *fs.File, s *netlink.Socket) (uint64, error) {
		return netlinkReceive(t, file, s, a[1], uint32(a[2]))
	})
}

// many runs operation on up to count messages, stores the length of each and
// returns their number. An error is returned only if the first message failed.
func many(t *task.Task, address, count uint64, operation func(n int, address uint64) (uint64, error)) (uint64, error) {
	const limit = 1024 // UIO_MAXIOV
	layout := messageLayoutOf(t)
	for n := range int(min(uint64(uint32(count)), limit)) {
		at := address + uint64(n)*layout.size
		size, err := operation(n, at)
		if err == nil {
			err = abi.CopyOut(t, at+layout.length, uint32(size))
		}
		if err != nil {
			return moved(uint64(n), err)
		}
	}
	return min(uint64(uint32(count)), limit), nil
}

func sysSendmmsg(t *task.Task, a *amd64.Args) (uint64, error) {
	return onSocket(t, a[0], func(file *fs.File, s *unixsock.Socket) (uint64, error) {
		return many(t, a[1], a[2], func(_ int, at uint64) (uint64, error) {
			return sendMessage(t, file, s, at, uint32(a[3]))
		})
	}, func(_ *fs.File, s *netlink.Socket) (uint64, error) {
		return many(t, a[1], a[2], func(_ int, at uint64) (uint64, error) { return netlinkSend(t, s, at, uint32(a[3])) })
	})
}

// sysRecvmmsg is recvmmsg(2). As in Linux, the timeout is checked only between
// messages.
func sysRecvmmsg(t *task.Task, a *amd64.Args) (uint64, error) {
	deadline, err := readTimeout(t, a[4])
	if err != nil {
		return 0, err
	}
	return onSocket(t, a[0], func(file *fs.File, s *unixsock.Socket) (uint64, error) {
		return receiveMany(t, a, deadline, func(at uint64, flags uint32) (uint64, error) { return receiveMessage(t, file, s, at, flags) })
	}, func(file *fs.File, s *netlink.Socket) (uint64, error) {
		return receiveMany(t, a, deadline, func(at uint64, flags uint32) (uint64, error) { return netlinkReceive(t, file, s, at, flags) })
	})
}

// receiveMany is recvmmsg(2) with a function that receives one message.
func receiveMany(t *task.Task, a *amd64.Args, deadline int64, receive func(at uint64, flags uint32) (uint64, error)) (uint64, error) {
	flags := uint32(a[3])
	return many(t, a[1], a[2], func(n int, at uint64) (uint64, error) {
		if n > 0 && flags&unix.MSG_WAITFORONE != 0 {
			flags |= unix.MSG_DONTWAIT
		}
		if n > 0 && deadline != 0 && clock.Monotonic() >= deadline {
			return 0, unix.EAGAIN
		}
		return receive(at, flags)
	})
}
