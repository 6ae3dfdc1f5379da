package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/fs/netlink"
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
// these sockets.
var keptOptions = map[int]fs.KeptOption{
	unix.SO_REUSEADDR: fs.ReuseAddress, unix.SO_KEEPALIVE: fs.KeepAlive,
	unix.SO_BROADCAST: fs.Broadcast, unix.SO_OOBINLINE: fs.OutOfBandInline,
	unix.SO_PRIORITY: fs.Priority, unix.SO_REUSEPORT: fs.ReusePort,
}

// optionHolder is a socket of any family, for the options of the level SOL_SOCKET.
type optionHolder interface {
	Kind() int
	Options() fs.SocketOptions
	SetOptions(change func(o *fs.SocketOptions))
	TakeFailure() error
}

func sysSetsockopt(t *task.Task, a *amd64.Args) (uint64, error) {
	return onSocket(t, a[0], func(_ *fs.File, s *unixsock.Socket) (uint64, error) {
		if int32(a[1]) != unix.SOL_SOCKET {
			return 0, unix.EOPNOTSUPP
		}
		return 0, setSocketOption(t, s, a)
	}, func(_ *fs.File, s *netlink.Socket) (uint64, error) {
		switch int32(a[1]) {
		case unix.SOL_SOCKET:
			return 0, setSocketOption(t, s, a)
		case unix.SOL_NETLINK:
			value, err := optionValue(t, a)
			if err != nil {
				return 0, err
			}
			return 0, s.SetNetlinkOption(t, int(int32(a[2])), value)
		}
		return 0, unix.ENOPROTOOPT
	})
}

// setSocketOption is setsockopt(2) of the level SOL_SOCKET.
func setSocketOption(t *task.Task, s optionHolder, a *amd64.Args) error {
	name := int(int32(a[2]))
	if timeout, _ := isTimeout(name); timeout {
		return setTimeout(t, s, name, a[3], a[4])
	}
	value, err := optionValue(t, a)
	if err != nil {
		return err
	}
	forced := name == unix.SO_SNDBUFFORCE || name == unix.SO_RCVBUFFORCE
	if forced && !t.Credentials().Has(cred.NetAdmin) {
		return unix.EPERM
	}
	return setOption(s, name, value)
}

// optionValue reads the value of setsockopt(2) that is an int: EINVAL, EFAULT.
func optionValue(t *task.Task, a *amd64.Args) (int32, error) {
	if int32(a[4]) < 4 {
		return 0, unix.EINVAL
	}
	return abi.CopyIn[int32](t, a[3])
}

func setOption(s optionHolder, name int, value int32) error {
	bufferSize := max(minBuffer, 2*min(max(0, int(value)), maxBuffer))
	var change func(o *fs.SocketOptions)
	switch {
	case name == unix.SO_PASSCRED:
		change = func(o *fs.SocketOptions) { o.PassCredentials = value != 0 }
	case name == unix.SO_SNDBUF || name == unix.SO_SNDBUFFORCE:
		change = func(o *fs.SocketOptions) { o.SendBuffer = bufferSize }
	case name == unix.SO_RCVBUF || name == unix.SO_RCVBUFFORCE:
		change = func(o *fs.SocketOptions) { o.ReceiveBuffer = bufferSize }
	case name == unix.SO_LINGER:
		return nil // no effect, because data is delivered immediately
	default:
		kept, is := keptOptions[name]
		if !is {
			return unix.ENOPROTOOPT
		}
		change = func(o *fs.SocketOptions) { o.Kept[kept] = value }
	}
	s.SetOptions(change)
	return nil
}

func setTimeout(t *task.Task, s optionHolder, name int, address, size uint64) error {
	narrow, least := timevalNarrow(t, name), abi.TimevalSize
	if narrow {
		least = compat.TimevalSize
	}
	if int32(size) < int32(least) {
		return unix.EINVAL
	}
	v, err := load(t, narrow, address, compat.Timeval.Wide)
	if err != nil {
		return err
	}
	timeout, err := socketTimeout(v)
	if err != nil {
		return err
	}
	s.SetOptions(func(o *fs.SocketOptions) {
		if _, receiving := isTimeout(name); receiving {
			o.ReceiveTimeout = timeout
		} else {
			o.SendTimeout = timeout
		}
	})
	return nil
}

func sysGetsockopt(t *task.Task, a *amd64.Args) (uint64, error) {
	return onSocket(t, a[0], func(_ *fs.File, s *unixsock.Socket) (uint64, error) {
		if int32(a[1]) != unix.SOL_SOCKET {
			return 0, unix.EOPNOTSUPP
		}
		return 0, storeOption(t, a, func(name int) ([]byte, error) { return getOption(t, s, name) })
	}, func(_ *fs.File, s *netlink.Socket) (uint64, error) {
		switch int32(a[1]) {
		case unix.SOL_SOCKET:
			return 0, storeOption(t, a, func(name int) ([]byte, error) { return getOption(t, s, name) })
		case unix.SOL_NETLINK:
			return 0, storeOption(t, a, s.NetlinkOption)
		}
		return 0, unix.ENOPROTOOPT
	})
}

// storeOption stores the value of an option, cut to the caller's buffer, and its length.
func storeOption(t *task.Task, a *amd64.Args, get func(name int) ([]byte, error)) error {
	room, err := abi.CopyIn[int32](t, a[4])
	if err != nil {
		return err
	}
	if room < 0 {
		return unix.EINVAL
	}
	value, err := get(int(int32(a[2])))
	if err != nil {
		return err
	}
	value = value[:min(len(value), int(room))]
	if err := t.CopyOut(a[3], value); err != nil && room > 0 {
		return err
	}
	return abi.CopyOut(t, a[4], int32(len(value)))
}

// getOption returns the value of an option as getsockopt(2) stores it.
func getOption(t *task.Task, s optionHolder, name int) ([]byte, error) {
	o := s.Options()
	switch name {
	case unix.SO_PEERCRED:
		peer := unix.Ucred{Uid: ^uint32(0), Gid: ^uint32(0)} // that of a socket without a peer
		if local, is := s.(*unixsock.Socket); is {
			peer = ucredOf(local.PeerCredentials())
		}
		return abi.Bytes(&peer), nil
	case unix.SO_RCVTIMEO, rcvTimeoNew:
		return timeoutOption(t, name, o.ReceiveTimeout), nil
	case unix.SO_SNDTIMEO, sndTimeoNew:
		return timeoutOption(t, name, o.SendTimeout), nil
	case unix.SO_LINGER:
		return abi.Bytes(new(unix.Linger)), nil
	}
	value, err := intOption(s, &o, name)
	return abi.Bytes(&value), err
}

// familyOf returns SO_DOMAIN, SO_PROTOCOL and SO_ACCEPTCONN.
func familyOf(s optionHolder) (domain, protocol int, listening bool) {
	switch s := s.(type) {
	case *netlink.Socket:
		return unix.AF_NETLINK, s.Protocol(), false
	case *unixsock.Socket:
		return unix.AF_UNIX, 0, s.Listening()
	}
	return 0, 0, false
}

func intOption(s optionHolder, o *fs.SocketOptions, name int) (int32, error) {
	domain, protocol, listening := familyOf(s)
	switch name {
	case unix.SO_TYPE:
		return int32(s.Kind()), nil
	case unix.SO_DOMAIN:
		return int32(domain), nil
	case unix.SO_PROTOCOL:
		return int32(protocol), nil
	case unix.SO_ERROR:
		if errno, ok := s.TakeFailure().(unix.Errno); ok {
			return int32(errno), nil
		}
		return 0, nil
	case unix.SO_ACCEPTCONN:
		return int32(boolean(listening)), nil
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
