package unixsock

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs"
	"slowpath/guard"
	"slowpath/wait"
)

// Outgoing has the arguments of sendmsg(2) other than the data.
type Outgoing struct {
	Caller fs.Caller
	// To is the destination of a datagram, or nil for the default one.
	To *Address
	// Files are descriptors to pass (SCM_RIGHTS). Each has a reference, which
	// Send takes over if it succeeds.
	Files []*fs.File
	// Credentials are those of SCM_CREDENTIALS, already checked; nil means the
	// caller's.
	Credentials *Credentials
}

// streamChunk is the most bytes of a stream that are copied at a time.
const streamChunk = 64 << 10

// Send sends bytes of src to the peer or the destination, and returns EAGAIN
// instead of waiting. A stream sends as many bytes as there is room for. Other
// errors: EPIPE, ENOTCONN, EISCONN, EMSGSIZE, ENOBUFS, ECONNREFUSED, EPERM, and those of
// find.
func (s *Socket) Send(src fs.Source, out Outgoing) (int, error) {
	target, room, err := s.target(out)
	if err != nil {
		return 0, err
	}
	limit := min(room, streamChunk)
	if s.packets() {
		limit = src.Remaining()
		if limit > s.Options().SendBuffer-32 {
			return 0, unix.EMSGSIZE
		}
	}
	size := int64(min(limit, src.Remaining())) + messageBytes
	if s.mounts.Memory().Reserve(size) != nil {
		return 0, unix.ENOBUFS
	}
	defer s.mounts.Memory().Unreserve(size)
	data, err := fs.GetAll(src, limit)
	if err != nil {
		return 0, err
	}
	m := &message{data: data, files: out.Files, owner: CredentialsOf(out.Caller)}
	if out.Credentials != nil {
		m.owner = *out.Credentials
	}
	if err := s.deliver(target, m); err != nil {
		fs.Unget(src, len(data))
		return 0, err
	}
	target.queue.Wake(wait.Readable)
	return len(data), nil
}

// target returns the socket to which a message is sent, and its room in bytes.
func (s *Socket) target(out Outgoing) (*Socket, int, error) {
	var named *Socket
	if out.To != nil {
		if s.connections() {
			if s.Connected() {
				return nil, 0, unix.EISCONN
			}
			return nil, 0, unix.EOPNOTSUPP
		}
		var err error
		if named, err = s.find(out.Caller, *out.To); err != nil {
			return nil, 0, err
		}
		if named.kind != s.kind {
			return nil, 0, unix.EPROTOTYPE
		}
	}
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	target := named
	if target == nil {
		target = s.peer
	}
	if err := s.maySend(target); err != nil {
		return nil, 0, err
	}
	return target, max(target.options.ReceiveBuffer-target.charged(), 1), nil
}

// Connected reports whether the socket is connected.
func (s *Socket) Connected() bool {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	return s.state == connected
}

// maySend checks that a message may be sent to target now. domain.mu is held.
// If target has no room, it registers s to be woken and returns EAGAIN.
func (s *Socket) maySend(target *Socket) error {
	switch {
	case s.noWrite:
		return unix.EPIPE
	case target == nil:
		return unix.ENOTCONN
	case target.state == closed && s.connections():
		return unix.EPIPE
	case target.state == closed:
		return unix.ECONNREFUSED
	case target.noRead:
		return unix.EPIPE
	case !target.accepts(s):
		return unix.EPERM
	case !target.hasRoom():
		target.block(s)
		return unix.EAGAIN
	}
	return nil
}

// deliver appends a message to the target's queue.
func (s *Socket) deliver(target *Socket, m *message) error {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	if err := s.maySend(target); err != nil {
		return err
	}
	m.from = s.name
	target.bytes += len(m.data)
	if last := len(target.incoming) - 1; last >= 0 && !s.packets() && target.incoming[last].continues(m) {
		target.incoming[last].data = append(target.incoming[last].data, m.data...)
		return nil
	}
	target.incoming = append(target.incoming, m)
	return nil
}

// continues reports whether m can be appended to last, a piece of a stream.
// Both must be without files and from the same sender.
func (last *message) continues(m *message) bool {
	return len(last.files) == 0 && len(m.files) == 0 && last.owner == m.owner && len(last.data) < streamChunk
}

// Incoming has the results of recvmsg(2) other than the data.
type Incoming struct {
	Count int // bytes stored in the sink
	Full  int // bytes in the packet (MSG_TRUNC)
	From  Address
	// Files are the files passed, each with a reference that the caller takes
	// over.
	Files       []*fs.File
	Credentials Credentials
}

// ReceiveMode says whether Receive removes what it returns from the queue.
type ReceiveMode bool

// The receive modes. Peek is MSG_PEEK.
const (
	Consume ReceiveMode = false
	Peek    ReceiveMode = true
)

// Receive stores bytes of the next message in dst, and returns EAGAIN instead
// of waiting. With Peek the message stays in the queue, and Files are
// additional references. Count 0 without an error is the end of file. Other
// errors: ENOTCONN, ECONNRESET, EINVAL.
func (s *Socket) Receive(dst fs.Sink, mode ReceiveMode) (Incoming, error) {
	in, data, blocked, err := s.takeMessage(dst.Remaining(), mode)
	wakeAll(blocked, wait.Writable)
	if err != nil || len(data) == 0 {
		return in, err
	}
	if in.Count, err = fs.PutAll(dst, data); err != nil {
		(&message{files: in.Files}).drop()
		in.Files = nil
	}
	return in, err
}

// takeMessage takes one packet. Of a stream it takes the bytes of one sender,
// up to limit and up to the next descriptors. blocked are the sockets to wake.
func (s *Socket) takeMessage(limit int, mode ReceiveMode) (in Incoming, data []byte, blocked []*Socket, err error) {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	if len(s.incoming) == 0 {
		return in, nil, nil, s.emptyError()
	}
	first := s.incoming[0]
	in = Incoming{From: first.from, Credentials: first.owner, Files: first.files}
	if s.packets() {
		in.Full = len(first.data)
		data = first.data[:min(limit, len(first.data))]
	} else {
		data = s.streamData(limit)
		in.Full = len(data)
	}
	if mode == Peek {
		for _, f := range in.Files {
			f.IncRef()
		}
		return in, data, nil, nil
	}
	s.consume(first, len(data))
	blocked = s.takeBlocked()
	if s.peer != nil {
		blocked = append(blocked, s.peer) // poll(2) of the peer may wait for room
	}
	return in, data, blocked, nil
}

// emptyError returns the error of a read when the queue is empty; nil means end
// of file.
func (s *Socket) emptyError() error {
	switch {
	case s.failure != nil:
		err := s.failure
		s.failure = nil
		return err
	case s.state == listening, s.state == fresh && s.connections():
		if s.kind == unix.SOCK_SEQPACKET {
			return unix.ENOTCONN
		}
		return unix.EINVAL
	case s.ended():
		return nil
	}
	return unix.EAGAIN
}

// streamData copies bytes from the front of a stream.
func (s *Socket) streamData(limit int) []byte {
	first := s.incoming[0]
	data := append([]byte(nil), first.data[:min(limit, len(first.data))]...)
	for _, m := range s.incoming[1:] {
		if len(data) == limit || len(m.files) > 0 || len(first.files) > 0 || m.owner != first.owner {
			break
		}
		data = append(data, m.data[:min(limit-len(data), len(m.data))]...)
	}
	return data
}

// consume removes n bytes, or the first packet, from the queue.
func (s *Socket) consume(first *message, n int) {
	if s.packets() {
		s.bytes -= len(first.data)
		s.incoming = s.incoming[1:]
		return
	}
	s.bytes -= n
	first.files = nil
	for len(s.incoming) > 0 && n >= len(s.incoming[0].data) {
		n -= len(s.incoming[0].data)
		s.incoming = s.incoming[1:]
	}
	if n > 0 {
		s.incoming[0].data = s.incoming[0].data[n:]
	}
}

// Read implements fs.FileOperations. Descriptors in the message are closed, as
// by read(2) in Linux.
func (s *Socket) Read(_ *fs.File, dst fs.Sink, _ int64) (int, error) {
	if dst.Remaining() == 0 {
		return 0, nil
	}
	in, err := s.Receive(dst, Consume)
	(&message{files: in.Files}).drop()
	return in.Count, err
}

// Write implements fs.FileOperations. The sender is the task that opened the
// socket.
func (s *Socket) Write(_ *fs.File, src fs.Source, _ int64) (int, int64, error) {
	if src.Remaining() == 0 && !s.packets() {
		return 0, 0, nil
	}
	n, err := s.sendAsOwner(src)
	return n, 0, err
}

// sendAsOwner sends with the credentials of the task that opened the socket,
// because Write does not have the caller.
func (s *Socket) sendAsOwner(src fs.Source) (int, error) {
	s.domain.mu.Lock()
	owner := s.owner
	s.domain.mu.Unlock()
	return s.Send(src, Outgoing{Caller: fs.KernelCaller{}, Credentials: &owner})
}

// Ioctl implements fs.FileOperations: FIONREAD and TIOCOUTQ.
func (s *Socket) Ioctl(_ *fs.File, c fs.Caller, request uint32, argument uint64) (uint64, error) {
	count := 0
	locked := guard.Lock(&s.domain.mu)
	defer locked.Release()
	switch {
	case request == unix.TIOCINQ && s.packets():
		if len(s.incoming) > 0 {
			count = len(s.incoming[0].data)
		}
	case request == unix.TIOCINQ:
		count = s.bytes
	case request == unix.TIOCOUTQ && s.peer != nil:
		count = s.peer.bytes
	case request != unix.TIOCOUTQ:
		locked.Release()
		return 0, unix.ENOTTY
	}
	locked.Release()
	return 0, abi.CopyOut(c, argument, int32(count))
}
