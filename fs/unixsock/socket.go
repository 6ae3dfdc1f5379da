// Package unixsock has the sockets of the local machine (unix(7)): streams,
// datagrams and sequenced packets, with names in the file system or abstract
// ones, and with descriptors and credentials as messages.
//
// One lock per name space guards the state of all sockets. It is never held
// while user memory is touched: data is copied into kernel memory first, and
// out of it after.
package unixsock

import (
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/wait"
)

// Credentials identify the peer: struct ucred.
type Credentials struct {
	Process  int32
	UID, GID uint32
}

// CredentialsOf returns what a caller's messages carry.
func CredentialsOf(c fs.Caller) Credentials {
	who := c.Credentials()
	return Credentials{Process: c.ProcessID(), UID: who.EUID, GID: who.EGID}
}

// domain is what the sockets of a name space share.
type domain struct {
	mu       sync.Mutex
	abstract map[string]*Socket
	nextAuto uint32
}

type domainKey struct{}

func domainOf(m *fs.Mounts) *domain {
	return m.Service(domainKey{}, func() any { return &domain{abstract: make(map[string]*Socket)} }).(*domain)
}

// state is how far a socket has come.
type state uint8

const (
	fresh     state = iota
	listening       // stream and seqpacket
	connected       // for datagrams: has a default destination
	closed
)

// DefaultBuffer is the size of a socket's buffers in bytes
// (/proc/sys/net/core/wmem_default).
const DefaultBuffer = 212992

// maxDatagrams is how many datagrams wait at a socket
// (/proc/sys/net/unix/max_dgram_qlen).
const maxDatagrams = 10

// Socket is the operations of an open socket.
type Socket struct {
	fs.FileBase
	domain *domain
	mounts *fs.Mounts
	kind   int // SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET
	queue  wait.Queue

	// domain.mu guards what follows.
	state     state
	name      Address
	peer      *Socket // nil if there was none; closed if it has gone
	owner     Credentials
	peerOwner Credentials
	incoming  []*message
	bytes     int // in incoming
	backlog   int
	pending   []*Socket // connected to a listener, not accepted
	blocked   []*Socket // senders that wait for room here
	noRead    bool      // shut down for reading, by either end
	noWrite   bool
	failure   error // SO_ERROR
	options   Options
}

// Options are the settings of setsockopt(2) that a socket keeps. Timeouts are
// nanoseconds, 0 for none; buffers are bytes.
type Options struct {
	PassCredentials             bool
	SendBuffer, ReceiveBuffer   int
	SendTimeout, ReceiveTimeout int64
	Flags                       map[int]int32 // SO_REUSEADDR and others that mean nothing here
}

// message is what one write has brought: a datagram, or a piece of a stream.
type message struct {
	data  []byte
	files []*fs.File
	from  Address
	owner Credentials
}

// inode is the inode of a socket without a name.
type inode struct{ fs.InodeBase }

// New opens an unconnected socket. kind is SOCK_STREAM, SOCK_DGRAM or
// SOCK_SEQPACKET; flags may have O_NONBLOCK.
func New(m *fs.Mounts, caller fs.Caller, kind, flags int) *fs.File {
	return newSocket(m, kind, CredentialsOf(caller)).open(flags)
}

// Pair opens two sockets that are connected with each other (socketpair(2)).
func Pair(m *fs.Mounts, caller fs.Caller, kind, flags int) (a, b *fs.File) {
	x, y := newSocket(m, kind, CredentialsOf(caller)), newSocket(m, kind, CredentialsOf(caller))
	x.join(y)
	return x.open(flags), y.open(flags)
}

func newSocket(m *fs.Mounts, kind int, owner Credentials) *Socket {
	return &Socket{
		domain: domainOf(m), mounts: m, kind: kind, owner: owner,
		options: Options{SendBuffer: DefaultBuffer, ReceiveBuffer: DefaultBuffer},
	}
}

// open makes an open file of a socket.
func (s *Socket) open(flags int) *fs.File {
	i := &inode{}
	i.Init(s.mounts.UnnamedNumbers(), fs.NewNode{Mode: unix.S_IFSOCK | 0o777, UID: s.owner.UID, GID: s.owner.GID})
	label := "socket:[" + strconv.FormatUint(i.Number(), 10) + "]"
	return s.mounts.OpenInode(i, label, unix.O_RDWR|flags&unix.O_NONBLOCK, s)
}

// join connects two sockets with each other.
func (s *Socket) join(other *Socket) {
	s.peer, other.peer = other, s
	s.peerOwner, other.peerOwner = other.owner, s.owner
	s.state, other.state = connected, connected
}

// Of returns the socket that an open file is, or nil.
func Of(f *fs.File) *Socket {
	s, _ := f.Operations().(*Socket)
	return s
}

// Kind returns SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.
func (s *Socket) Kind() int { return s.kind }

// packets reports whether messages keep their bounds.
func (s *Socket) packets() bool { return s.kind != unix.SOCK_STREAM }

// connections reports whether the kind has connections.
func (s *Socket) connections() bool { return s.kind != unix.SOCK_DGRAM }

// Queue implements fs.FileOperations.
func (s *Socket) Queue() *wait.Queue { return &s.queue }

// FillsWrites implements fs.Stream. Packets go at once or not at all, so that
// this concerns streams only.
func (s *Socket) FillsWrites() {}

// Readiness implements fs.FileOperations.
func (s *Socket) Readiness() wait.Events {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	var ready wait.Events
	if s.failure != nil {
		ready |= wait.Err
	}
	if s.state == listening {
		if len(s.pending) > 0 {
			ready |= wait.Readable
		}
		return ready
	}
	if len(s.incoming) > 0 || s.ended() {
		ready |= wait.Readable
	}
	if s.ended() {
		ready |= wait.RdHup
	}
	if s.connections() && (s.state == fresh || s.ended() && s.noWrite || s.peerGone()) {
		ready |= wait.Hup
	}
	if s.mayWrite() {
		ready |= wait.Writable
	}
	return ready
}

// ended reports whether nothing more will come. domain.mu is held.
func (s *Socket) ended() bool { return s.noRead || s.connections() && s.peerGone() }

func (s *Socket) peerGone() bool { return s.peer != nil && s.peer.state == closed }

// mayWrite reports whether a write would not wait.
func (s *Socket) mayWrite() bool {
	if s.peer == nil || s.peerGone() || s.noWrite {
		return true
	}
	return s.peer.hasRoom()
}

// hasRoom reports whether the socket takes another message.
func (s *Socket) hasRoom() bool {
	if s.kind == unix.SOCK_DGRAM && len(s.incoming) >= maxDatagrams {
		return false
	}
	return s.bytes < s.options.ReceiveBuffer
}

// block remembers that other waits for room at s. domain.mu is held.
func (s *Socket) block(other *Socket) {
	if !slices.Contains(s.blocked, other) {
		s.blocked = append(s.blocked, other)
	}
}

// takeBlocked returns the senders that wait for room at s, to be woken.
func (s *Socket) takeBlocked() []*Socket {
	blocked := s.blocked
	s.blocked = nil
	return blocked
}

func wakeAll(sockets []*Socket, events wait.Events) {
	for _, s := range sockets {
		s.queue.Wake(events)
	}
}

// Shutdown is shutdown(2): how is SHUT_RD, SHUT_WR or SHUT_RDWR. ENOTCONN.
func (s *Socket) Shutdown(how int) error {
	if how < unix.SHUT_RD || how > unix.SHUT_RDWR {
		return unix.EINVAL
	}
	s.domain.mu.Lock()
	if s.state != connected {
		s.domain.mu.Unlock()
		return unix.ENOTCONN
	}
	read, write := how != unix.SHUT_WR, how != unix.SHUT_RD
	s.noRead, s.noWrite = s.noRead || read, s.noWrite || write
	peer := s.peer
	if peer != nil && s.connections() {
		peer.noRead, peer.noWrite = peer.noRead || write, peer.noWrite || read
	}
	s.domain.mu.Unlock()
	s.queue.Wake(wait.All)
	if peer != nil {
		peer.queue.Wake(wait.All)
	}
	return nil
}

// Release implements fs.FileOperations. The peer sees end of file, or a reset
// if data was never read. Pending connections are refused.
func (s *Socket) Release() {
	s.domain.mu.Lock()
	s.state = closed
	if s.name.Abstract && s.domain.abstract[s.name.Name] == s {
		delete(s.domain.abstract, s.name.Name)
	}
	wake := s.takeBlocked()
	lost, pending := s.incoming, s.pending
	s.incoming, s.pending, s.bytes = nil, nil, 0
	if s.peer != nil {
		if s.connections() && len(lost) > 0 {
			s.peer.failure = unix.ECONNRESET
		}
		wake = append(wake, s.peer)
	}
	s.domain.mu.Unlock()
	for _, waiting := range pending {
		waiting.Release()
	}
	wakeAll(wake, wait.All)
	for _, m := range lost {
		m.drop()
	}
}

// drop closes the files of a message that is not received.
func (m *message) drop() {
	for _, f := range m.files {
		f.DecRef()
	}
}
