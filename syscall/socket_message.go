package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/fs/unixsock"
	"slowpath/task"
)

// Limits of control messages.
const (
	maxControl = 20480 // bytes (net.core.optmem_max)
	maxPassed  = 253   // descriptors (SCM_MAX_FD)
	cmsgHeader = unix.SizeofCmsghdr
	ucredSize  = unix.SizeofUcred
)

func align(n int) int { return (n + 7) &^ 7 }

// readControl decodes the control messages of sendmsg(2).
func readControl(t *task.Task, h *abi.Msghdr, out *unixsock.Outgoing) error {
	if h.ControlLen > maxControl {
		return unix.ENOBUFS
	}
	p := make([]byte, h.ControlLen)
	if err := t.CopyIn(h.Control, p); err != nil {
		return err
	}
	for len(p) >= cmsgHeader {
		var header unix.Cmsghdr
		copy(abi.Bytes(&header), p)
		if header.Len < cmsgHeader || header.Len > uint64(len(p)) {
			return unix.EINVAL
		}
		if err := addControl(t, out, &header, p[cmsgHeader:header.Len]); err != nil {
			return err
		}
		p = p[min(len(p), align(int(header.Len))):]
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
// EINVAL, EPERM.
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
	out.Credentials = &claim
	return nil
}

func sendMessage(t *task.Task, file *fs.File, s *unixsock.Socket, address uint64, flags uint32) (uint64, error) {
	h, err := abi.CopyIn[abi.Msghdr](t, address)
	if err != nil {
		return 0, err
	}
	src, err := newUserVectors(t, h.Iov, h.IovLen)
	if err != nil {
		return 0, err
	}
	out := unixsock.Outgoing{Caller: t}
	if h.Name != 0 && h.NameLen != 0 {
		to, err := readAddress(t, h.Name, uint64(h.NameLen))
		if err != nil {
			return 0, err
		}
		out.To = &to
	}
	if h.Control != 0 && h.ControlLen != 0 {
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
	return withSocket(t, a[0], func(file *fs.File, s *unixsock.Socket) (uint64, error) {
		return sendMessage(t, file, s, a[1], uint32(a[2]))
	})
}

// controlMessages returns the control messages of a received message that fit
// in room bytes, and the flags for msg_flags.
func controlMessages(t *task.Task, s *unixsock.Socket, in *unixsock.Incoming, room int, flags uint32) ([]byte, uint32) {
	var p []byte
	result := flags & unix.MSG_CMSG_CLOEXEC // Linux returns it
	if s.Options().PassCredentials {
		if room < cmsgHeader+ucredSize {
			result |= unix.MSG_CTRUNC
		} else {
			ucred := ucredOf(in.Credentials)
			p = appendControl(p, unix.SCM_CREDENTIALS, abi.Bytes(&ucred))
			p = append(p, make([]byte, align(len(p))-len(p))...)
		}
	}
	if len(in.Files) == 0 {
		return p, result
	}
	p, truncated := appendDescriptors(t, p, in, room, flags)
	if truncated {
		result |= unix.MSG_CTRUNC
	}
	return p, result
}

// appendControl appends a control message of level SOL_SOCKET, without its
// padding.
func appendControl(p []byte, kind int32, data []byte) []byte {
	header := unix.Cmsghdr{Len: uint64(cmsgHeader + len(data)), Level: unix.SOL_SOCKET, Type: kind}
	return append(append(p, abi.Bytes(&header)...), data...)
}

// ucredOf converts credentials to a struct ucred.
func ucredOf(c unixsock.Credentials) unix.Ucred {
	return unix.Ucred{Pid: c.Process, Uid: c.UID, Gid: c.GID}
}

// appendDescriptors installs the files for which the control buffer has room,
// and appends their descriptors. It closes the other files and sets truncated.
func appendDescriptors(t *task.Task, p []byte, in *unixsock.Incoming, room int, flags uint32) (_ []byte, truncated bool) {
	fit := max(0, min((room-len(p)-cmsgHeader)/4, len(in.Files)))
	var numbers []int32
	for _, f := range in.Files[:fit] {
		n, err := install(t, f, flags&unix.MSG_CMSG_CLOEXEC != 0)
		if err != nil {
			truncated = true
			continue
		}
		numbers = append(numbers, int32(n))
	}
	for _, f := range in.Files[fit:] {
		f.DecRef()
		truncated = true
	}
	if len(numbers) > 0 {
		p = appendControl(p, unix.SCM_RIGHTS, abi.SliceBytes(numbers))
		p = append(p, make([]byte, min(align(len(p))-len(p), max(0, room-len(p))))...)
	}
	return p, truncated
}

func receiveMessage(t *task.Task, file *fs.File, s *unixsock.Socket, address uint64, flags uint32) (uint64, error) {
	h, err := abi.CopyIn[abi.Msghdr](t, address)
	if err != nil {
		return 0, err
	}
	dst, err := newUserVectors(t, h.Iov, h.IovLen)
	if err != nil {
		return 0, err
	}
	in, err := receive(t, file, s, dst, flags)
	if err != nil {
		return 0, err
	}
	room := 0
	if h.Control != 0 {
		room = int(min(h.ControlLen, maxControl))
	}
	control, result := controlMessages(t, s, &in, room, flags)
	if in.Count < in.Full && s.Kind() != unix.SOCK_STREAM {
		result |= unix.MSG_TRUNC
	}
	return length(s, &in, flags), storeMessage(t, address, &h, &in, control, result)
}

// storeMessage stores the results of recvmsg(2) in the caller's struct msghdr.
func storeMessage(t *task.Task, address uint64, h *abi.Msghdr, in *unixsock.Incoming, control []byte, flags uint32) error {
	if h.Name != 0 {
		if err := writeAddress(t, in.From, h.Name, address+abi.MsghdrNameLen); err != nil {
			return err
		}
	}
	if err := t.CopyOut(h.Control, control); len(control) > 0 && err != nil {
		return err
	}
	if err := abi.CopyOut(t, address+abi.MsghdrControlLen, uint64(len(control))); err != nil {
		return err
	}
	return abi.CopyOut(t, address+abi.MsghdrFlags, flags)
}

func sysRecvmsg(t *task.Task, a *amd64.Args) (uint64, error) {
	return withSocket(t, a[0], func(file *fs.File, s *unixsock.Socket) (uint64, error) {
		return receiveMessage(t, file, s, a[1], uint32(a[2]))
	})
}

// many runs operation on up to count messages, stores the length of each and
// returns their number. An error is returned only if the first message failed.
func many(t *task.Task, address, count uint64, operation func(n int, address uint64) (uint64, error)) (uint64, error) {
	const limit = 1024 // UIO_MAXIOV
	for n := range int(min(uint64(uint32(count)), limit)) {
		at := address + uint64(n)*abi.MmsghdrSize
		size, err := operation(n, at)
		if err == nil {
			err = abi.CopyOut(t, at+abi.MmsghdrLen, uint32(size))
		}
		if err != nil {
			return moved(uint64(n), err)
		}
	}
	return min(uint64(uint32(count)), limit), nil
}

func sysSendmmsg(t *task.Task, a *amd64.Args) (uint64, error) {
	return withSocket(t, a[0], func(file *fs.File, s *unixsock.Socket) (uint64, error) {
		return many(t, a[1], a[2], func(_ int, at uint64) (uint64, error) {
			return sendMessage(t, file, s, at, uint32(a[3]))
		})
	})
}

// sysRecvmmsg is recvmmsg(2). As in Linux, the timeout is checked only between
// messages.
func sysRecvmmsg(t *task.Task, a *amd64.Args) (uint64, error) {
	deadline, err := readTimeout(t, a[4])
	if err != nil {
		return 0, err
	}
	return withSocket(t, a[0], func(file *fs.File, s *unixsock.Socket) (uint64, error) {
		flags := uint32(a[3])
		return many(t, a[1], a[2], func(n int, at uint64) (uint64, error) {
			if n > 0 && flags&unix.MSG_WAITFORONE != 0 {
				flags |= unix.MSG_DONTWAIT
			}
			if n > 0 && deadline != 0 && clock.Monotonic() >= deadline {
				return 0, unix.EAGAIN
			}
			return receiveMessage(t, file, s, at, flags)
		})
	})
}
