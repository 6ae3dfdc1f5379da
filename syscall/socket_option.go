package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/fs/unixsock"
	"slowpath/task"
)

// Bounds of a socket's buffer size in bytes (socket(7)). The requested size is
// cut at wmem_max, and then doubled.
const (
	minBuffer = 4608
	maxBuffer = 212992
)

// keptOptions are the options that are stored and returned, but have no effect on
// a Unix socket.
var keptOptions = map[int]unixsock.KeptOption{
	unix.SO_REUSEADDR: unixsock.ReuseAddress, unix.SO_KEEPALIVE: unixsock.KeepAlive,
	unix.SO_BROADCAST: unixsock.Broadcast, unix.SO_OOBINLINE: unixsock.OutOfBandInline,
	unix.SO_PRIORITY: unixsock.Priority, unix.SO_REUSEPORT: unixsock.ReusePort,
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
		value, err := abi.CopyIn[int32](t, a[3])
		if err != nil {
			return 0, err
		}
		return 0, setOption(s, name, value)
	})
}

func setOption(s *unixsock.Socket, name int, value int32) error {
	bufferSize := max(minBuffer, 2*min(max(0, int(value)), maxBuffer))
	var change func(o *unixsock.Options)
	switch {
	case name == unix.SO_PASSCRED:
		change = func(o *unixsock.Options) { o.PassCredentials = value != 0 }
	case name == unix.SO_SNDBUF || name == unix.SO_SNDBUFFORCE:
		change = func(o *unixsock.Options) { o.SendBuffer = bufferSize }
	case name == unix.SO_RCVBUF || name == unix.SO_RCVBUFFORCE:
		change = func(o *unixsock.Options) { o.ReceiveBuffer = bufferSize }
	case name == unix.SO_LINGER:
		return nil // no effect, because data is delivered immediately
	default:
		kept, is := keptOptions[name]
		if !is {
			return unix.ENOPROTOOPT
		}
		change = func(o *unixsock.Options) { o.Kept[kept] = value }
	}
	s.SetOptions(change)
	return nil
}

func setTimeout(t *task.Task, s *unixsock.Socket, name int, address, size uint64) error {
	if int32(size) < int32(abi.TimevalSize) {
		return unix.EINVAL
	}
	v, err := abi.CopyIn[unix.Timeval](t, address)
	if err != nil {
		return err
	}
	timeout, err := socketTimeout(v)
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
		if int32(a[1]) != unix.SOL_SOCKET {
			return 0, unix.EOPNOTSUPP
		}
		room, err := abi.CopyIn[int32](t, a[4])
		if err != nil {
			return 0, err
		}
		if room < 0 {
			return 0, unix.EINVAL
		}
		value, err := getOption(s, int(int32(a[2])))
		if err != nil {
			return 0, err
		}
		value = value[:min(len(value), int(room))]
		if err := t.CopyOut(a[3], value); err != nil && room > 0 {
			return 0, err
		}
		return 0, abi.CopyOut(t, a[4], int32(len(value)))
	})
}

// getOption returns the value of an option as getsockopt(2) stores it.
func getOption(s *unixsock.Socket, name int) ([]byte, error) {
	o := s.Options()
	switch name {
	case unix.SO_PEERCRED:
		peer := ucredOf(s.PeerCredentials())
		return abi.Bytes(&peer), nil
	case unix.SO_RCVTIMEO:
		timeout := unix.NsecToTimeval(o.ReceiveTimeout)
		return abi.Bytes(&timeout), nil
	case unix.SO_SNDTIMEO:
		timeout := unix.NsecToTimeval(o.SendTimeout)
		return abi.Bytes(&timeout), nil
	case unix.SO_LINGER:
		return abi.Bytes(new(unix.Linger)), nil
	}
	value, err := intOption(s, &o, name)
	return abi.Bytes(&value), err
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
		return int32(boolean(s.Listening())), nil
	case unix.SO_PASSCRED:
		return int32(boolean(o.PassCredentials)), nil
	case unix.SO_SNDBUF:
		return int32(o.SendBuffer), nil
	case unix.SO_RCVBUF:
		return int32(o.ReceiveBuffer), nil
	}
	if kept, is := keptOptions[name]; is {
		return o.Kept[kept], nil
	}
	return 0, unix.ENOPROTOOPT
}
