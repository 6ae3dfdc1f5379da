package fs

// KeptOption is an option of setsockopt(2) that is stored and returned, but has no
// effect.
type KeptOption uint8

// The kept options, SO_REUSEADDR and so on.
const (
	ReuseAddress KeptOption = iota
	KeepAlive
	Broadcast
	OutOfBandInline
	Priority
	ReusePort
	keptOptions
)

// SocketOptions are the stored options of setsockopt(2), level SOL_SOCKET. Timeouts are
// nanoseconds, 0 for none; buffers are bytes. Options are copied, so they must hold no
// map, slice or pointer.
type SocketOptions struct {
	PassCredentials             bool
	SendBuffer, ReceiveBuffer   int
	SendTimeout, ReceiveTimeout int64
	Kept                        [keptOptions]int32
}

// DefaultSocketBuffer is the size of a socket's buffers in bytes
// (/proc/sys/net/core/wmem_default).
const DefaultSocketBuffer = 212992

// NewSocketOptions returns the options of a new socket.
func NewSocketOptions() SocketOptions {
	return SocketOptions{SendBuffer: DefaultSocketBuffer, ReceiveBuffer: DefaultSocketBuffer}
}

// SocketCredentials identify the sender of a message, or a peer (struct ucred).
type SocketCredentials struct {
	Process  int32
	UID, GID uint32
}

// SocketCredentialsOf returns the credentials of the messages that a caller sends.
func SocketCredentialsOf(c Caller) SocketCredentials {
	own := c.Credentials()
	return SocketCredentials{Process: c.ProcessID(), UID: own.EUID, GID: own.EGID}
}

// SocketDescriber is implemented by the operations of sockets.
type SocketDescriber interface {
	// DescribeSocket returns the protocol and the addresses of the socket, or its inode number,
	// in the format of strace -yy: UNIX-STREAM:[7->8,"/name"]. It may sleep.
	DescribeSocket() string
}
