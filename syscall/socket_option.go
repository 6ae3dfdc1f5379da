package syscall

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/fs/unixsock"
	"slowpath/task"
)

// Sizes of a socket's buffers in bytes (socket(7)): the user's number is
// doubled, and bounded by wmem_max.
const (
	leastBuffer = 4608
	mostBuffer  = 212992
)

// keptOptions are those that a local socket keeps and that change nothing.
func keptOption(name int) bool {
	switch name {
	case unix.SO_REUSEADDR, unix.SO_KEEPALIVE, unix.SO_BROADCAST, unix.SO_OOBINLINE, unix.SO_PRIORITY, unix.SO_REUSEPORT:
		return true
	}
	return false
}

func sysSetsockopt(t *task.Task, a *amd64.Args) (uint64, error) {
	return withSocket(t, a[0], func(_ *fs.File, s *unixsock.Socket) (uint64, error) {
		if int32(a[1]) != unix.SOL_SOCKET {
			return 0, unix.EOPNOTSUPP
		}
		name := int(int32(a[2]))
		if name == unix.SO_RCVTIMEO || name == unix.SO_SNDTIMEO {
			return 0, setTimeout(t, s, name, a[3], a[4])
		}
		if int32(a[4]) < 4 {
			return 0, unix.EINVAL
		}
		value, err := fs.CopyInInt32(t, a[3])
		if err != nil {
			return 0, err
		}
		return 0, setOption(s, name, value)
	})
}

func setOption(s *unixsock.Socket, name int, value int32) error {
	bufferSize := max(leastBuffer, 2*min(max(0, int(value)), mostBuffer))
	var change func(o *unixsock.Options)
	switch {
	case name == unix.SO_PASSCRED:
		change = func(o *unixsock.Options) { o.PassCredentials = value != 0 }
	case name == unix.SO_SNDBUF || name == unix.SO_SNDBUFFORCE:
		change = func(o *unixsock.Options) { o.SendBuffer = bufferSize }
	case name == unix.SO_RCVBUF || name == unix.SO_RCVBUFFORCE:
		change = func(o *unixsock.Options) { o.ReceiveBuffer = bufferSize }
	case name == unix.SO_LINGER:
		return nil // there is nothing to linger for: data is delivered at once
	case keptOption(name):
		change = func(o *unixsock.Options) {
			if o.Flags == nil {
				o.Flags = make(map[int]int32)
			}
			o.Flags[name] = value
		}
	default:
		return unix.ENOPROTOOPT
	}
	s.SetOptions(change)
	return nil
}

func setTimeout(t *task.Task, s *unixsock.Socket, name int, address, size uint64) error {
	if int32(size) < timevalSize {
		return unix.EINVAL
	}
	var p [timevalSize]byte
	if err := t.CopyIn(address, p[:]); err != nil {
		return err
	}
	timeout, err := decodeTimeval(p[:])
	if err != nil {
		return err
	}
	s.SetOptions(func(o *unixsock.Options) {
		if name == unix.SO_RCVTIMEO {
			o.ReceiveTimeout = timeout
		} else {
			o.SendTimeout = timeout
		}
	})
	return nil
}

func sysGetsockopt(t *task.Task, a *amd64.Args) (uint64, error) {
	return withSocket(t, a[0], func(_ *fs.File, s *unixsock.Socket) (uint64, error) {
		room, err := fs.CopyInInt32(t, a[4])
		if err != nil {
			return 0, err
		}
		if room < 0 {
			return 0, unix.EINVAL
		}
		if int32(a[1]) != unix.SOL_SOCKET {
			return 0, unix.EOPNOTSUPP
		}
		value, err := getOption(s, int(int32(a[2])))
		if err != nil {
			return 0, err
		}
		value = value[:min(len(value), int(room))]
		if err := t.CopyOut(a[3], value); err != nil {
			return 0, err
		}
		return 0, fs.CopyOutInt32(t, a[4], int32(len(value)))
	})
}

// getOption returns the value of an option as getsockopt(2) stores it.
func getOption(s *unixsock.Socket, name int) ([]byte, error) {
	o := s.Options()
	var p packer
	switch name {
	case unix.SO_PEERCRED:
		who := s.PeerCredentials()
		p.u32(uint32(who.Process))
		p.u32(who.UID)
		p.u32(who.GID)
		return p, nil
	case unix.SO_RCVTIMEO:
		return packTimeval(o.ReceiveTimeout), nil
	case unix.SO_SNDTIMEO:
		return packTimeval(o.SendTimeout), nil
	case unix.SO_LINGER:
		return make([]byte, 8), nil
	}
	value, err := intOption(s, &o, name)
	return binary.LittleEndian.AppendUint32(nil, uint32(value)), err
}

func intOption(s *unixsock.Socket, o *unixsock.Options, name int) (int32, error) {
	switch name {
	case unix.SO_TYPE:
		return int32(s.Kind()), nil
	case unix.SO_DOMAIN:
		return unix.AF_UNIX, nil
	case unix.SO_PROTOCOL:
		return 0, nil
	case unix.SO_ERROR:
		if errno, ok := s.TakeFailure().(unix.Errno); ok {
			return int32(errno), nil
		}
		return 0, nil
	case unix.SO_ACCEPTCONN:
		return truth(s.Listening()), nil
	case unix.SO_PASSCRED:
		return truth(o.PassCredentials), nil
	case unix.SO_SNDBUF:
		return int32(o.SendBuffer), nil
	case unix.SO_RCVBUF:
		return int32(o.ReceiveBuffer), nil
	}
	if keptOption(name) {
		return o.Flags[name], nil
	}
	return 0, unix.ENOPROTOOPT
}

func truth(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

func packTimeval(ns int64) []byte {
	var p packer
	p.i64(ns / 1e9)
	p.i64(ns % 1e9 / 1000)
	return p
}
