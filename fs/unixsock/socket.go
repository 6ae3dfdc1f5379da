// Package unixsock implements Unix domain sockets (unix(7)): streams, datagrams
// and sequenced packets, path names and abstract names, passing of descriptors
// and credentials.
//
// One lock per namespace guards the state of all sockets. It is not held while
// user memory is accessed: Send copies the data into kernel memory before it
// takes the lock, and Receive copies it out after it has released the lock.
package unixsock

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/wait"
)

// Credentials identify the sender or the peer.
type Credentials = fs.SocketCredentials

// domain is the state that all sockets of a namespace share.
type domain struct {
	accounts *fs.Accounts

	mu       sync.Mutex
	abstract map[string]*Socket
	nextAuto uint32
	inFlight inFlight
}

type domainKey struct{}

func domainOf(m *fs.Mounts) *domain {
	accounts := m.Accounts() // Service does not allow a call of Service in make
	return m.Service(domainKey{}, func() any {
		return &domain{accounts: accounts, abstract: make(map[string]*Socket), inFlight: newInFlight()}
	}).(*domain)
}

// state is the connection state of a socket.
type state uint8

const (
	fresh     state = iota
	listening       // stream and seqpacket
	connected       // for datagrams: has a default destination
	closed
)

// maxDatagrams is the maximum number of datagrams in the queue of a socket
// (/proc/sys/net/unix/max_dgram_qlen).
const maxDatagrams = 10

// Socket implements fs.FileOperations for a socket.
type Socket struct {
	fs.FileBase
	domain *domain
	mounts *fs.Mounts
	kind   int           // SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET
	number atomic.Uint64 // of the inode; 0 before the socket is opened
	queue  wait.Queue

	binding sync.Mutex // held by bind(2) from the check of the name to its change

	// domain.mu guards the fields below.
	state     state
	name      Address
	peer      *Socket // nil without a connection; may be closed
	owner     Credentials
	peerOwner Credentials
	incoming  []*message
	bytes     int // in incoming
	backlog   int
	pending   []*Socket // connections to this listener, not accepted yet
	blocked   []*Socket // senders to wake when there is room
	blockedOn []*Socket // the sockets that have this one in blocked
	noRead    bool      // shut down for reading by either end
	noWrite   bool
	failure   error // SO_ERROR
	options   Options
}

// Options are the stored options of setsockopt(2).
type Options = fs.SocketOptions

// message is a datagram, or the bytes of one write to a stream. The bytes do not
// change, so they are read without the lock.
type message struct {
	data  []byte
	files []*fs.File
	uid   uint32 // the user to whom the files are charged
	from  Address
	owner Credentials
}

// inode is the inode of a socket without a name.
type inode struct{ fs.InodeBase }

// New opens an unconnected socket. kind is SOCK_STREAM, SOCK_DGRAM or
// SOCK_SEQPACKET; flags may have O_NONBLOCK.
func New(m *fs.Mounts, caller fs.Caller, kind, flags int) *fs.File {
	return newSocket(m, kind, fs.SocketCredentialsOf(caller)).open(flags)
}

// Pair opens two sockets that are connected to each other (socketpair(2)).
func Pair(m *fs.Mounts, caller fs.Caller, kind, flags int) (a, b *fs.File) {
	x, y := newSocket(m, kind, fs.SocketCredentialsOf(caller)), newSocket(m, kind, fs.SocketCredentialsOf(caller))
	x.join(y)
	return x.open(flags), y.open(flags)
}

func newSocket(m *fs.Mounts, kind int, owner Credentials) *Socket {
	return &Socket{
		domain: domainOf(m), mounts: m, kind: kind, owner: owner,
		options: fs.NewSocketOptions(),
	}
}

// open returns an open file for the socket.
func (s *Socket) open(flags int) *fs.File {
	i := &inode{}
	i.Init(s.mounts.UnnamedNumbers(), fs.NewNode{Mode: unix.S_IFSOCK | 0o777, UID: s.owner.UID, GID: s.owner.GID})
	s.number.Store(i.Number())
	label := "socket:[" + strconv.FormatUint(i.Number(), 10) + "]"
	return s.mounts.OpenInode(i, label, unix.O_RDWR|flags&unix.O_NONBLOCK, s)
}

// join connects two sockets to each other. domain.mu is held unless both are
// new.
func (s *Socket) join(other *Socket) {
	s.peer, other.peer = other, s
	s.peerOwner, other.peerOwner = other.owner, s.owner
	s.state, other.state = connected, connected
}

// Of returns the socket of an open file, or nil if the file is not a socket.
func Of(f *fs.File) *Socket {
	s, _ := f.Operations().(*Socket)
	return s
}

// Kind returns SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.
func (s *Socket) Kind() int { return s.kind }

// packets reports whether the socket preserves message boundaries.
func (s *Socket) packets() bool { return s.kind != unix.SOCK_STREAM }

// connections reports whether the socket is connection-oriented.
func (s *Socket) connections() bool { return s.kind != unix.SOCK_DGRAM }

// Queue implements fs.FileOperations.
func (s *Socket) Queue() *wait.Queue { return &s.queue }

// FillsWrites implements fs.Stream. It affects only streams, because a packet
// is sent completely or not at all.
func (s *Socket) FillsWrites() {}

// writable are the events of a socket that takes data.
const writable = wait.Writable | wait.WrBand

// Readiness implements fs.FileOperations.
func (s *Socket) Readiness() wait.Events {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	var ready wait.Events
	if s.failure != nil {
		ready |= wait.Err
	}
	if s.state == listening {
		if len(s.pending) > 0 || s.noRead {
			ready |= wait.Readable
		}
		if s.noRead {
			ready |= wait.RdHup
		}
		return ready
	}
	if len(s.incoming) > 0 || s.ended() {
		ready |= wait.Readable
	}
	if s.ended() {
		ready |= wait.RdHup
	}
	if s.ended() && s.noWrite || s.connections() && (s.state == fresh || s.peerGone()) {
		ready |= wait.Hup
	}
	if s.mayWrite() {
		ready |= writable
	}
	return ready
}

// ended reports whether no more messages can arrive. domain.mu is held.
func (s *Socket) ended() bool { return s.noRead || s.connections() && s.peerGone() }

func (s *Socket) peerGone() bool { return s.peer != nil && s.peer.state == closed }

// mayWrite reports whether poll(2) shows the socket as writable: at most a quarter of the
// buffer is in use (Linux: unix_writable). So a reader that takes a little of a full
// buffer does not wake the writer each time.
func (s *Socket) mayWrite() bool {
	if s.peer == nil || s.peerGone() || s.noWrite {
		return true
	}
	return s.peer.hasRoom() && 4*s.peer.charged() <= s.peer.options.ReceiveBuffer
}

// hasRoom reports whether the socket has room for another message.
func (s *Socket) hasRoom() bool {
	if s.kind == unix.SOCK_DGRAM && len(s.incoming) >= maxDatagrams {
		return false
	}
	return s.charged() < s.options.ReceiveBuffer
}

// messageBytes is the least that a message takes of the buffer (Linux: the truesize
// of an empty sk_buff). It bounds the number of messages.
const messageBytes = 768

// charged returns what the incoming messages take of the buffer. domain.mu is held.
func (s *Socket) charged() int {
	n := 0
	for _, m := range s.incoming {
		n += max(len(m.data), messageBytes)
	}
	return n
}

// socketBytes is about what a socket needs of the kernel's heap.
const socketBytes = 1024

// HeldMemory implements fs.MemoryHolder. It counts the connections that were not
// accepted, and the files in flight that are not sockets.
func (s *Socket) HeldMemory() int64 {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	held := s.queuedBytes()
	for _, waiting := range s.pending {
		held += waiting.queuedBytes()
	}
	return held
}

func (s *Socket) queuedBytes() int64 {
	held := int64(socketBytes + s.charged())
	for _, m := range s.incoming {
		for _, f := range m.files {
			if Of(f) == nil {
				held += f.HeldMemory()
			}
		}
	}
	return held
}

// block adds other to the senders that are woken when s has room. domain.mu is
// held.
func (s *Socket) block(other *Socket) {
	if !slices.Contains(s.blocked, other) {
		s.blocked = append(s.blocked, other)
		other.blockedOn = append(other.blockedOn, s)
	}
}

// takeBlocked removes the senders that wait for room in s, and returns them to
// be woken. domain.mu is held.
func (s *Socket) takeBlocked() []*Socket {
	blocked := s.blocked
	s.blocked = nil
	for _, sender := range blocked {
		sender.blockedOn = without(sender.blockedOn, s)
	}
	return blocked
}

// unblock removes s from the senders that wait for room. domain.mu is held.
func (s *Socket) unblock() {
	for _, other := range s.blockedOn {
		other.blocked = without(other.blocked, s)
	}
	s.blockedOn = nil
}

func without(sockets []*Socket, s *Socket) []*Socket {
	return slices.DeleteFunc(sockets, func(other *Socket) bool { return other == s })
}

func wakeAll(sockets []*Socket, events wait.Events) {
	for _, s := range sockets {
		s.queue.Wake(events)
	}
}

// Shutdown is shutdown(2). how is SHUT_RD, SHUT_WR or SHUT_RDWR. As in Linux, a
// Unix socket need not be connected. Error: EINVAL.
func (s *Socket) Shutdown(how int) error {
	if how < unix.SHUT_RD || how > unix.SHUT_RDWR {
		return unix.EINVAL
	}
	peer := s.shutDown(how != unix.SHUT_WR, how != unix.SHUT_RD)
	s.queue.Wake(wait.All)
	if peer != nil {
		peer.queue.Wake(wait.All)
	}
	return nil
}

// shutDown stops reading, writing or both, and returns the peer if it is concerned. That
// of a datagram socket is not.
func (s *Socket) shutDown(read, write bool) *Socket {
	s.domain.mu.Lock()
	defer s.domain.mu.Unlock()
	s.noRead, s.noWrite = s.noRead || read, s.noWrite || write
	peer := s.peer
	if peer == nil || !s.connections() {
		return nil
	}
	peer.noRead, peer.noWrite = peer.noRead || write, peer.noWrite || read
	return peer
}

// Release implements fs.FileOperations. The peer gets end of file, or
// ECONNRESET if received data was never read. Connections that were not
// accepted are closed.
func (s *Socket) Release() {
	files, was := s.close(acceptedSocket)
	if !was {
		return // dropAll has closed it and drops its files
	}
	dropAll(files)
	s.domain.collectAfterClose()
}

// origin says whether a connection was accepted.
type origin bool

const (
	acceptedSocket origin = false
	pendingSocket  origin = true // in the queue of a listener
)

// close closes the socket, and reports whether it was open. It returns the files that
// were in flight to it, whose references the caller drops.
func (s *Socket) close(o origin) (files []*fs.File, was bool) {
	left, was := s.closeLocked(o)
	files = left.files
	for _, waiting := range left.pending {
		more, _ := waiting.close(pendingSocket)
		files = append(files, more...)
	}
	wakeAll(left.wake, wait.All)
	return files, was
}

// closing is what close has to do after it has released the lock.
type closing struct {
	files   []*fs.File // to drop
	pending []*Socket  // connections to close
	wake    []*Socket
}

// closeLocked is the part of close under the lock. It reports whether the socket was
// open.
func (s *Socket) closeLocked(o origin) (left closing, was bool) {
	d := s.domain
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.state == closed {
		return closing{}, false
	}
	s.state = closed
	if s.name.Abstract && d.abstract[s.name.Name] == s {
		delete(d.abstract, s.name.Name)
	}
	left.wake = s.takeBlocked()
	s.unblock()
	if s.peer != nil {
		if s.connections() && (len(s.incoming) > 0 || o == pendingSocket) {
			s.peer.failure = unix.ECONNRESET
		}
		left.wake = append(left.wake, s.peer)
	}
	for _, m := range s.incoming {
		left.files = append(left.files, d.detachFiles(m)...)
	}
	left.pending = s.pending
	s.incoming, s.pending, s.bytes = nil, nil, 0
	return left, true
}

// dropAll drops a reference to each file. If it is the last one of a socket, the
// files in flight to that socket are dropped too. The function does not call
// itself through Release: a program can make a chain of sockets of any length.
func dropAll(files []*fs.File) {
	for len(files) > 0 {
		last := len(files) - 1
		f := files[last]
		files = files[:last]
		if f.DropUnlessLast() {
			continue
		}
		if s := Of(f); s != nil {
			more, _ := s.close(acceptedSocket)
			files = append(files, more...)
		}
		f.DecRef()
	}
}
