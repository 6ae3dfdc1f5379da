package syscall

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/fs/unixsock"
	"slowpath/task"
)

// msghdr is struct msghdr.
type msghdr struct {
	name          uint64
	nameLength    uint32
	vectors       uint64
	vectorCount   uint64
	control       uint64
	controlLength uint64
}

// Offsets in struct msghdr of what recvmsg(2) stores, and the sizes.
const (
	msghdrSize       = 56
	mmsghdrSize      = 64 // with the length of the message
	offsetNameLength = 8
	offsetControl    = 40
	offsetFlags      = 48
)

func readMsghdr(t *task.Task, address uint64) (msghdr, error) {
	var p [msghdrSize]byte
	if err := t.CopyIn(address, p[:]); err != nil {
		return msghdr{}, err
	}
	word := binary.LittleEndian.Uint64
	return msghdr{
		name: word(p[:]), nameLength: binary.LittleEndian.Uint32(p[8:]), vectors: word(p[16:]), vectorCount: word(p[24:]),
		control: word(p[32:]), controlLength: word(p[40:]),
	}, nil
}

// Limits of control messages.
const (
	maxControl = 20480 // bytes (net.core.optmem_max)
	maxPassed  = 253   // descriptors (SCM_MAX_FD)
	cmsgHeader = 16    // struct cmsghdr
	ucredSize  = 12
)

func align(n int) int { return (n + 7) &^ 7 }

// readControl decodes the control messages of sendmsg(2).
func readControl(t *task.Task, h *msghdr, out *unixsock.Outgoing) error {
	if h.controlLength > maxControl {
		return unix.ENOBUFS
	}
	p := make([]byte, h.controlLength)
	if err := t.CopyIn(h.control, p); err != nil {
		return err
	}
	for len(p) >= cmsgHeader {
		size := binary.LittleEndian.Uint64(p)
		if size < cmsgHeader || size > uint64(len(p)) {
			return unix.EINVAL
		}
		level, kind := binary.LittleEndian.Uint32(p[8:]), binary.LittleEndian.Uint32(p[12:])
		if err := addControl(t, out, level, kind, p[cmsgHeader:size]); err != nil {
			return err
		}
		p = p[min(len(p), align(int(size))):]
	}
	return nil
}

func addControl(t *task.Task, out *unixsock.Outgoing, level, kind uint32, data []byte) error {
	if level != unix.SOL_SOCKET {
		return nil // for other protocols
	}
	switch kind {
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
	for ; len(data) >= 4; data = data[4:] {
		f, err := t.FDs.GetPath(int(int32(binary.LittleEndian.Uint32(data))))
		if err != nil {
			return err
		}
		out.Files = append(out.Files, f)
	}
	return nil
}

// addCredentials checks what a task says of itself: its own ids, unless it has
// the capability to take others (unix(7)).
func addCredentials(t *task.Task, out *unixsock.Outgoing, data []byte) error {
	if len(data) != ucredSize {
		return unix.EINVAL
	}
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(data[4*i:]) }
	claim := unixsock.Credentials{Process: int32(word(0)), UID: word(1), GID: word(2)}
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
	h, err := readMsghdr(t, address)
	if err != nil {
		return 0, err
	}
	src, err := newUserVectors(t, h.vectors, h.vectorCount)
	if err != nil {
		return 0, err
	}
	out := unixsock.Outgoing{Caller: t}
	if h.name != 0 && h.nameLength != 0 {
		to, err := readAddress(t, h.name, uint64(h.nameLength))
		if err != nil {
			return 0, err
		}
		out.To = &to
	}
	if h.control != 0 && h.controlLength != 0 {
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

// packControl lays out what came with a message, as far as there is room, and
// returns the flags for msg_flags.
func packControl(t *task.Task, s *unixsock.Socket, in *unixsock.Incoming, room int, flags uint32) (packer, uint32) {
	var p packer
	result := flags & unix.MSG_CMSG_CLOEXEC // Linux gives it back
	if s.Options().PassCredentials {
		if room < cmsgHeader+ucredSize {
			result |= unix.MSG_CTRUNC
		} else {
			p.u64(cmsgHeader + ucredSize)
			p.u32(unix.SOL_SOCKET)
			p.u32(unix.SCM_CREDENTIALS)
			p.u32(uint32(in.Credentials.Process))
			p.u32(in.Credentials.UID)
			p.u32(in.Credentials.GID)
			p.zeros(align(len(p)) - len(p))
		}
	}
	if len(in.Files) > 0 && packDescriptors(t, &p, in, room, flags) {
		result |= unix.MSG_CTRUNC
	}
	return p, result
}

// packDescriptors gives descriptors to the files that there is room for; the
// others are closed, and that is reported.
func packDescriptors(t *task.Task, p *packer, in *unixsock.Incoming, room int, flags uint32) (truncated bool) {
	fit := max(0, min((room-len(*p)-cmsgHeader)/4, len(in.Files)))
	var numbers []uint64
	for _, f := range in.Files[:fit] {
		n, err := install(t, f, flags&unix.MSG_CMSG_CLOEXEC != 0)
		if err != nil {
			truncated = true
			continue
		}
		numbers = append(numbers, n)
	}
	for _, f := range in.Files[fit:] {
		f.DecRef()
		truncated = true
	}
	if len(numbers) > 0 {
		p.u64(uint64(cmsgHeader + 4*len(numbers)))
		p.u32(unix.SOL_SOCKET)
		p.u32(unix.SCM_RIGHTS)
		for _, n := range numbers {
			p.u32(uint32(n))
		}
		p.zeros(min(align(len(*p))-len(*p), max(0, room-len(*p))))
	}
	return truncated
}

func receiveMessage(t *task.Task, file *fs.File, s *unixsock.Socket, address uint64, flags uint32) (uint64, error) {
	h, err := readMsghdr(t, address)
	if err != nil {
		return 0, err
	}
	dst, err := newUserVectors(t, h.vectors, h.vectorCount)
	if err != nil {
		return 0, err
	}
	in, err := receive(t, file, s, dst, flags)
	if err != nil {
		return 0, err
	}
	room := 0
	if h.control != 0 {
		room = int(min(h.controlLength, maxControl))
	}
	control, result := packControl(t, s, &in, room, flags)
	if in.Count < in.Full && s.Kind() != unix.SOCK_STREAM {
		result |= unix.MSG_TRUNC
	}
	return length(s, &in, flags), storeMessage(t, address, &h, &in, control, result)
}

// storeMessage stores what recvmsg(2) returns in the structure.
func storeMessage(t *task.Task, address uint64, h *msghdr, in *unixsock.Incoming, control packer, flags uint32) error {
	if h.name != 0 {
		if err := writeAddress(t, in.From, h.name, address+offsetNameLength); err != nil {
			return err
		}
	}
	if err := t.CopyOut(h.control, control); len(control) > 0 && err != nil {
		return err
	}
	if err := writeUint64(t, address+offsetControl, uint64(len(control))); err != nil {
		return err
	}
	return fs.CopyOutInt32(t, address+offsetFlags, int32(flags))
}

func sysRecvmsg(t *task.Task, a *amd64.Args) (uint64, error) {
	return withSocket(t, a[0], func(file *fs.File, s *unixsock.Socket) (uint64, error) {
		return receiveMessage(t, file, s, a[1], uint32(a[2]))
	})
}

// many runs operation on up to count messages and stores the length of each.
// An error counts only if it meets the first.
func many(t *task.Task, address, count uint64, operation func(n int, address uint64) (uint64, error)) (uint64, error) {
	const most = 1024 // UIO_MAXIOV
	for n := range int(min(uint64(uint32(count)), most)) {
		at := address + uint64(n)*mmsghdrSize
		size, err := operation(n, at)
		if err == nil {
			err = fs.CopyOutInt32(t, at+msghdrSize, int32(size))
		}
		if err != nil {
			return moved(uint64(n), err)
		}
	}
	return min(uint64(uint32(count)), most), nil
}

func sysSendmmsg(t *task.Task, a *amd64.Args) (uint64, error) {
	return withSocket(t, a[0], func(file *fs.File, s *unixsock.Socket) (uint64, error) {
		return many(t, a[1], a[2], func(_ int, at uint64) (uint64, error) {
			return sendMessage(t, file, s, at, uint32(a[3]))
		})
	})
}

// sysRecvmmsg is recvmmsg(2). As in Linux the timeout is looked at between
// messages only.
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
