package unixsock

import (
	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/guard"
	"slowpath/wait"
)

// Listen is listen(2). backlog is not negative and at most somaxconn
// (/proc/sys/net/core/somaxconn). Errors: EOPNOTSUPP for a datagram socket, EINVAL
// without a name or if the socket is connected.
func (s *Socket) Listen(caller fs.Caller, backlog int) error {
	if !s.connections() {
		return unix.EOPNOTSUPP
	}
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	if s.name.None() || s.state == connected {
		return unix.EINVAL
	}
	s.state, s.backlog = listening, backlog
	s.owner = fs.SocketCredentialsOf(caller)
	return nil
}

// Connect is connect(2), but returns EAGAIN instead of waiting if the
// listener's queue is full. Queue is woken when there may be room. Other
// errors: EISCONN, ECONNREFUSED, EPROTOTYPE, EINVAL, and those of find.
func (s *Socket) Connect(caller fs.Caller, a Address) error {
	other, err := s.find(caller, a)
	if err != nil {
		return err
	}
	if other.kind != s.kind {
		return unix.EPROTOTYPE
	}
	if !s.connections() {
		return s.setDestination(other)
	}
	locked := guard.Lock(&s.domain.mu)
	defer locked.Release()
	switch {
	case other.state != listening || other.noRead:
		err = unix.ECONNREFUSED
	case s.state == connected:
		err = unix.EISCONN
	case s.state == listening:
		err = unix.EINVAL
	case len(other.pending) > other.backlog:
		other.block(s)
		err = unix.EAGAIN
	}
	if err != nil {
		return err
	}
	s.owner = fs.SocketCredentialsOf(caller)
	server := newSocket(s.mounts, s.kind, other.owner)
	server.name = other.name
	server.options.PassCredentials = other.options.PassCredentials
	s.join(server)
	other.pending = append(other.pending, server)
	locked.Release()
	other.queue.Wake(wait.Readable)
	s.queue.Wake(wait.Writable)
	return nil
}

// Disconnect removes the default destination of a datagram socket (connect(2)
// with AF_UNSPEC). Error: EINVAL for other sockets.
func (s *Socket) Disconnect() error {
	if s.connections() {
		return unix.EINVAL
	}
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	s.peer, s.state = nil, fresh
	return nil
}

func (s *Socket) setDestination(other *Socket) error {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	if other.state == closed {
		return unix.ECONNREFUSED
	}
	if !other.accepts(s) {
		return unix.EPERM
	}
	s.peer, s.state = other, connected
	return nil
}

// accepts reports whether s takes messages from other. A connected datagram
// socket takes only those of its peer.
func (s *Socket) accepts(other *Socket) bool {
	return s.connections() || s.peer == nil || s.peer == other
}

// Accept is accept(2), but returns EAGAIN instead of waiting. flags may have
// O_NONBLOCK. Other errors: EINVAL if the socket is not listening, EOPNOTSUPP
// for a datagram socket.
func (s *Socket) Accept(flags int) (*fs.File, Address, error) {
	if !s.connections() {
		return nil, Address{}, unix.EOPNOTSUPP
	}
	locked := guard.Lock(&s.domain.mu)
	defer locked.Release()
	if s.state != listening {
		return nil, Address{}, unix.EINVAL
	}
	if len(s.pending) == 0 {
		return nil, Address{}, unix.EAGAIN
	}
	server := s.pending[0]
	s.pending = s.pending[1:]
	from := server.peer.name
	blocked := s.takeBlocked()
	locked.Release()
	wakeAll(blocked, wait.Writable)
	return server.open(flags), from, nil
}

// PeerCredentials is SO_PEERCRED: the credentials of the peer when the
// connection was made. Without a connection the process is 0 and the ids are
// -1.
func (s *Socket) PeerCredentials() Credentials {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	if s.state == listening {
		return s.owner
	}
	if s.peerOwner == (Credentials{}) && s.peer == nil {
		return Credentials{UID: ^uint32(0), GID: ^uint32(0)}
	}
	return s.peerOwner
}

// Listening reports whether the socket is listening (SO_ACCEPTCONN).
func (s *Socket) Listening() bool {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	return s.state == listening
}

// TakeFailure is SO_ERROR: it returns the pending error and clears it.
func (s *Socket) TakeFailure() error {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	err := s.failure
	s.failure = nil
	return err
}

// Options returns the options.
func (s *Socket) Options() Options {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	return s.options
}

// SetOptions calls change with the options. change must not sleep.
func (s *Socket) SetOptions(change func(o *Options)) {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	change(&s.options)
}
