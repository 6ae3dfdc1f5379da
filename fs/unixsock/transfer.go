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
	// Limit is the caller's RLIMIT_NOFILE. It limits the descriptors that the
	// caller's user has sent and nobody has received.
	Limit uint64
	// Credentials are those of SCM_CREDENTIALS, already checked; nil means the
	// caller's.
	Credentials *Credentials
}

// streamChunk is the most bytes of a stream that are copied at a time: as in
// Linux, what a linear page and 32 KiB of page fragments of an sk_buff hold.
const streamChunk = 3776 + 32<<10

// Send sends bytes of src to the peer or the destination, and returns EAGAIN
// instead of waiting. A stream sends as many bytes as there is room for. Other
// errors: EPIPE, ENOTCONN, EISCONN, EMSGSIZE, ENOBUFS, ECONNREFUSED, EPERM, EFAULT,
// ETOOMANYREFS, and those of find.
func (s *Socket) Send(src fs.Source, out Outgoing) (int, error) {
	if !s.packets() && src.Remaining() == 0 {
		return 0, s.sendNothing(out)
	}
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
	if err := s.deliver(target, newMessage(data, out), out); err != nil {
		fs.Unget(src, len(data))
		return 0, err
	}
	target.queue.Wake(wait.Readable)
	if len(out.Files) > 0 {
		s.domain.collectIfMany()
	}
	return len(data), nil
}

func newMessage(data []byte, out Outgoing) *message {
	m := &message{data: data, files: out.Files, owner: fs.SocketCredentialsOf(out.Caller)}
	if len(out.Files) > 0 {
		m.uid = out.Caller.Credentials().UID
	}
	if out.Credentials != nil {
		m.owner = *out.Credentials
	}
	return m
}

// sendNothing is Send of no bytes on a stream. It sends no message, so descriptors
// are dropped, as in Linux.
func (s *Socket) sendNothing(out Outgoing) error {
	if err := s.addressError(out); err != nil {
		return err
	}
	if err := s.maySendToPeer(); err != nil && err != unix.EAGAIN {
		return err
	}
	dropAll(out.Files)
	return nil
}

func (s *Socket) maySendToPeer() error {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	return s.maySend(s.peer)
}

// addressError returns the error of a message with a destination on a socket that
// has a connection, or could have one. A sequenced-packet socket ignores the
// destination.
func (s *Socket) addressError(out Outgoing) error {
	switch {
	case out.To == nil || s.kind != unix.SOCK_STREAM:
		return nil
	case s.Connected():
		return unix.EISCONN
	}
	return unix.EOPNOTSUPP
}

// target returns the socket to which a message is sent, and its room in bytes.
func (s *Socket) target(out Outgoing) (*Socket, int, error) {
	if err := s.addressError(out); err != nil {
		return nil, 0, err
	}
	if err := s.takeFailure(); err != nil {
		return nil, 0, err
	}
	var named *Socket
	if out.To != nil && !s.connections() {
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

// takeFailure returns the pending error of a socket that sends packets, and clears it. A
// stream does not report it to a sender: EPIPE precedes it.
func (s *Socket) takeFailure() error {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	if !s.packets() {
		return nil
	}
	err := s.failure
	s.failure = nil
	return err
}

// Connected reports whether the socket is connected.
func (s *Socket) Connected() bool {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	return s.state == connected
}

// maySend checks that a message may be sent to target now. domain.mu is held.
// If target has no room, it registers s to be woken and returns EAGAIN. A datagram
// socket whose peer is closed loses its peer.
func (s *Socket) maySend(target *Socket) error {
	switch {
	case target == nil:
		return unix.ENOTCONN
	case s.noWrite:
		return unix.EPIPE
	case target.state == closed && s.connections():
		return unix.EPIPE
	case target.state == closed:
		if target == s.peer {
			s.peer, s.state = nil, fresh
		}
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
func (s *Socket) deliver(target *Socket, m *message, out Outgoing) error {
	d := s.domain
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := s.maySend(target); err != nil {
		return err
	}
	if len(m.files) > 0 {
		if err := d.checkInFlight(out.Caller.Credentials(), out.Limit); err != nil {
			return err
		}
	}
	m.from = s.name
	d.addInFlight(m)
	target.bytes += len(m.data)
	target.incoming = append(target.incoming, m)
	return nil
}

// Incoming has the results of recvmsg(2) other than the data.
type Incoming struct {
	Count int  // bytes stored in the sink
	Full  int  // bytes in the packet (MSG_TRUNC)
	Ended bool // there was no message, and no more can arrive
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
// additional references. Count 0 without an error is the end of file. If user
// memory faults, a stream keeps the bytes of the write in which that happens, and
// a packet is lost, as in Linux. Other errors: ENOTCONN, ECONNRESET, EINVAL,
// EFAULT.
func (s *Socket) Receive(dst fs.Sink, mode ReceiveMode) (Incoming, error) {
	r, err := s.take(dst.Remaining(), mode)
	if err != nil || len(r.parts) == 0 {
		return r.in, err
	}
	stored, err := r.store(dst)
	if err == nil || stored > 0 {
		s.finish(&r, stored)
		return r.in, nil
	}
	if mode == Consume && !s.packets() {
		s.finish(&r, 0)
		return Incoming{}, err
	}
	s.finish(&r, len(r.parts))
	dropAll(r.in.Files)
	return Incoming{}, err
}

// part is what a receive takes of a message.
type part struct {
	message *message
	data    []byte
	whole   []byte // the data of the message before
	split   bool   // the rest of the message is still in the queue
}

// reception is the state of a receive between the two times at which it holds the
// lock.
type reception struct {
	in    Incoming
	mode  ReceiveMode
	parts []part
}

// store stores the parts in dst. It returns the number of parts that are stored
// completely.
func (r *reception) store(dst fs.Sink) (int, error) {
	for i, p := range r.parts {
		n, err := dst.Put(p.data)
		if n < len(p.data) {
			if err == nil {
				err = unix.EFAULT
			}
			return i, err
		}
		r.in.Count += n
	}
	return len(r.parts), nil
}

// take takes the next packet out of the queue. Of a stream it takes up to limit
// bytes, up to the next descriptors, and only of one sender if the socket reports
// credentials.
func (s *Socket) take(limit int, mode ReceiveMode) (reception, error) {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	if len(s.incoming) == 0 {
		err := s.emptyError()
		return reception{in: Incoming{Ended: err == nil}}, err
	}
	first := s.incoming[0]
	r := reception{mode: mode, in: Incoming{From: first.from, Credentials: first.owner, Full: len(first.data), Files: first.files}}
	for _, m := range s.incoming {
		if m != first && (limit == 0 || s.packets() || len(m.files)+len(first.files) > 0 || s.options.PassCredentials && m.owner != first.owner) {
			break
		}
		n := min(limit, len(m.data))
		r.parts = append(r.parts, part{message: m, data: m.data[:n], whole: m.data, split: n < len(m.data) && !s.packets()})
		limit -= n
	}
	if mode == Peek {
		for _, f := range r.in.Files {
			f.IncRef()
		}
		return r, nil
	}
	s.domain.detachFiles(first)
	for i := range r.parts {
		s.remove(&r.parts[i])
	}
	return r, nil
}

// remove removes a part, which is at the front of the queue. domain.mu is held.
func (s *Socket) remove(p *part) {
	if p.split {
		s.bytes -= len(p.data)
		p.message.data = p.whole[len(p.data):]
		return
	}
	s.bytes -= len(p.whole)
	s.incoming[0] = nil
	s.incoming = s.incoming[1:]
}

// finish ends a receive that has stored the first parts. The other parts go back to
// the front of the queue. If a message has left the queue, it wakes the
// sockets that may wait for room.
func (s *Socket) finish(r *reception, stored int) {
	if r.mode == Peek {
		return
	}
	wake, back := s.finishLocked(r, stored)
	wakeAll(wake, writable)
	if back {
		s.queue.Wake(wait.Readable)
	}
}

func (s *Socket) finishLocked(r *reception, stored int) (wake []*Socket, back bool) {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	for i := len(r.parts) - 1; i >= stored; i-- {
		m := s.putBack(&r.parts[i])
		if i == 0 {
			m.files = r.in.Files
			s.domain.addInFlight(m)
		}
	}
	if stored == 0 || stored == 1 && r.parts[0].split {
		return nil, stored < len(r.parts)
	}
	wake = s.takeBlocked()
	if s.peer != nil {
		wake = append(wake, s.peer) // poll(2) of the peer may wait for room
	}
	return wake, stored < len(r.parts)
}

// putBack undoes remove, and returns the message that has the data. Another receive
// may have taken the rest of a message meanwhile. domain.mu is held.
func (s *Socket) putBack(p *part) *message {
	if p.split && len(s.incoming) > 0 && s.incoming[0] == p.message && len(p.message.data) == len(p.whole)-len(p.data) {
		s.bytes += len(p.data)
		p.message.data = p.whole
		return p.message
	}
	m := *p.message
	m.data = p.data
	s.bytes += len(m.data)
	s.incoming = append([]*message{&m}, s.incoming...)
	return &m
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

// EndIsEAGAIN reports whether a receive has found the end of file of a datagram socket.
// If the caller does not wait, Linux returns EAGAIN for it (unix_dgram_recvmsg).
func (s *Socket) EndIsEAGAIN(in *Incoming) bool { return in.Ended && s.kind == unix.SOCK_DGRAM }

// Read implements fs.FileOperations. Descriptors in the message are closed, as
// by read(2) in Linux.
func (s *Socket) Read(f *fs.File, dst fs.Sink, _ int64) (int, error) {
	if dst.Remaining() == 0 {
		return 0, nil
	}
	in, err := s.Receive(dst, Consume)
	dropAll(in.Files)
	if s.EndIsEAGAIN(&in) && f.NonBlocking() {
		return 0, unix.EAGAIN
	}
	return in.Count, err
}

// Write implements fs.FileOperations. The sender is the task that opened the
// socket.
func (s *Socket) Write(_ *fs.File, src fs.Source, _ int64) (int, int64, error) {
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
		return 0, unix.ENOTTY
	}
	locked.Release()
	return 0, abi.CopyOut(c, argument, int32(count))
}
