package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/task"
)

// messageLayout has the sizes and offsets of struct msghdr, struct mmsghdr and struct
// cmsghdr, in bytes.
type messageLayout struct {
	nameLength, controlLength, flags uint64 // of struct msghdr
	size, length                     uint64 // of struct mmsghdr, and of its member msg_len
	header                           uint64 // the size of struct cmsghdr
	align                            uint64 // of a control message
}

var (
	messageLayout64 = messageLayout{
		nameLength: abi.MsghdrNameLen, controlLength: abi.MsghdrControlLen, flags: abi.MsghdrFlags,
		size: abi.MmsghdrSize, length: abi.MmsghdrLen, header: unix.SizeofCmsghdr, align: 8,
	}
	messageLayout32 = messageLayout{
		nameLength: compat.MsghdrNameLen, controlLength: compat.MsghdrControlLen, flags: compat.MsghdrFlags,
		size: compat.MmsghdrSize, length: compat.MmsghdrLen, header: compat.CmsghdrSize, align: 4,
	}
)

// messageLayoutOf returns the layout of the task's call.
func messageLayoutOf(t *task.Task) *messageLayout {
	if t.Layout.Narrow() {
		return &messageLayout32
	}
	return &messageLayout64
}

// padded returns the length of a control message with its padding.
func (l *messageLayout) padded(n uint64) uint64 { return (n + l.align - 1) &^ (l.align - 1) }

// decode reads the header at the beginning of p, which has at least header bytes.
func (l *messageLayout) decode(p []byte) (h unix.Cmsghdr) {
	if l == &messageLayout64 {
		copy(abi.Bytes(&h), p)
		return h
	}
	var n compat.Cmsghdr
	copy(abi.Bytes(&n), p)
	return unix.Cmsghdr{Len: uint64(n.Len), Level: n.Level, Type: n.Type}
}

// encode returns the header of a control message.
func (l *messageLayout) encode(level, kind int32, size uint64) []byte {
	if l == &messageLayout64 {
		h := unix.Cmsghdr{Len: size, Level: level, Type: kind}
		return append([]byte(nil), abi.Bytes(&h)...)
	}
	h := compat.Cmsghdr{Len: uint32(size), Level: level, Type: kind}
	return append([]byte(nil), abi.Bytes(&h)...)
}

// The socket options whose struct timeval has 64-bit members in every ABI
// (asm-generic/socket.h).
const (
	rcvTimeoNew = 66 // SO_RCVTIMEO_NEW
	sndTimeoNew = 67 // SO_SNDTIMEO_NEW
)

// isTimeout reports whether a socket option is a timeout, of receiving or else of sending.
func isTimeout(name int) (timeout, receiving bool) {
	receiving = name == unix.SO_RCVTIMEO || name == rcvTimeoNew
	return receiving || name == unix.SO_SNDTIMEO || name == sndTimeoNew, receiving
}

// timevalNarrow reports whether the struct timeval of the option has 32-bit members.
func timevalNarrow(t *task.Task, name int) bool {
	return t.Layout.Narrow() && (name == unix.SO_RCVTIMEO || name == unix.SO_SNDTIMEO)
}

// timeoutOption returns the value of a timeout of a socket as getsockopt(2) stores it.
func timeoutOption(t *task.Task, name int, ns int64) []byte {
	v := unix.NsecToTimeval(ns)
	if timevalNarrow(t, name) {
		n := compat.NarrowTimeval(v)
		return abi.Bytes(&n)
	}
	return abi.Bytes(&v)
}
