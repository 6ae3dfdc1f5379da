// Package netlink implements the sockets of AF_NETLINK (netlink(7)). The kernel's side of
// a protocol is a Family, which another package registers: it gets the messages that
// programs send, and sends messages to one socket, or to the members of a multicast group.
//
// One lock per family guards the state of all its sockets. It is not held while user
// memory is accessed, or while the functions of Protocol run.
//
// Who is charged: the open files of the caller bound the sockets. The messages in a
// socket are bounded by its receive buffer, and the replies that wait for room there by
// MaxWaiting; Memory.Admit is asked for each. Release frees all of it.
package netlink

import (
	"iter"
	"math/bits"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/fs"
	"slowpath/mm"
	"slowpath/wait"
)

// Protocol is the kernel's side of a netlink protocol. The functions run on the goroutine
// of the caller, with no lock held, and may sleep.
type Protocol struct {
	// Number is the protocol of socket(2).
	Number int
	// Groups is the number of multicast groups, at most 32.
	Groups int
	// Receive handles what a program has sent to the kernel: messages of the caller, from
	// the socket with the given port.
	Receive func(c fs.Caller, from Sender, p []byte)
	// Join decides whether the caller may join a group, which starts with 1. nil allows it.
	Join func(c fs.Caller, group int) error
	// Left is called after a socket has left a group.
	Left func(group int)
}

// Sender is the socket from which a message came.
type Sender struct {
	// Port is the port of the socket (nl_pid).
	Port uint32
	// CapAcknowledgements is NETLINK_CAP_ACK: an acknowledgement has only the header of
	// the message.
	CapAcknowledgements bool
}

// Family is a registered protocol with its sockets. It is safe for concurrent use.
type Family struct {
	protocol Protocol
	memory   *mm.Memory

	mu    sync.Mutex
	ports map[uint32]*Socket
	rover uint32 // the last port that autobind has tried
}

// domain has the families of a namespace.
type domain struct {
	mu       sync.Mutex
	families map[int]*Family
}

type domainKey struct{}

func domainOf(m *fs.Mounts) *domain {
	return m.Service(domainKey{}, func() any { return &domain{families: make(map[int]*Family)} }).(*domain)
}

// Register adds a protocol to the namespace. It must be called once for each number,
// before the first socket is made.
func Register(m *fs.Mounts, p Protocol) *Family {
	f := &Family{protocol: p, memory: m.Memory(), ports: make(map[uint32]*Socket), rover: firstRover}
	d := domainOf(m)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.families[p.Number] = f
	return f
}

// family returns the family of a protocol, or nil.
func (d *domain) family(protocol int) *Family {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.families[protocol]
}

// HasListeners reports whether a socket has joined the group.
func (f *Family) HasListeners(group int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.ports {
		if s.groups&maskOf(group) != 0 {
			return true
		}
	}
	return false
}

// Multicast sends a message to all sockets that have joined the group. A socket without
// room loses it, and reports ENOBUFS. It does not sleep. p must not change after that.
func (f *Family) Multicast(group int, p []byte) {
	f.multicast(packet{data: p, groups: maskOf(group)}, nil)
}

// multicast sends to the members of p.groups, except the sender.
func (f *Family) multicast(p packet, except *Socket) {
	if f.admit(p.charge()) != nil {
		return // lost, as if no socket had room
	}
	for _, s := range f.deliverToMembers(p, except) {
		s.queue.Wake(wait.Readable | wait.Err)
	}
}

func (f *Family) deliverToMembers(p packet, except *Socket) (reached []*Socket) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.ports {
		if s.groups&p.groups == 0 || s == except {
			continue
		}
		if !s.push(p) && s.overrunReported() {
			s.failure = unix.ENOBUFS
		}
		reached = append(reached, s)
	}
	return reached
}

// Unicast sends a message to the socket with a port. It waits at most patience for room.
// Errors: ECONNREFUSED if there is no such socket, EAGAIN without room. p must not change
// after that.
func (f *Family) Unicast(port uint32, p []byte, patience time.Duration) error {
	deadline := clock.Monotonic() + int64(patience)
	for {
		s, err := f.unicast(port, packet{data: p})
		if err != unix.EAGAIN || !s.awaitRoom(deadline) {
			return err
		}
	}
}

// unicast delivers to a port, if there is room.
func (f *Family) unicast(port uint32, p packet) (*Socket, error) {
	if err := f.admit(p.charge()); err != nil {
		return nil, unix.ENOBUFS
	}
	s, err := f.deliverTo(port, p)
	if err == nil {
		s.queue.Wake(wait.Readable)
	}
	return s, err
}

func (f *Family) deliverTo(port uint32, p packet) (*Socket, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.ports[port]
	switch {
	case s == nil:
		return nil, unix.ECONNREFUSED
	case !s.push(p):
		return s, unix.EAGAIN
	}
	return s, nil
}

// MaxWaiting is the greatest size of the replies that wait for room in a socket, in bytes
// (ReplySize).
const MaxWaiting = 8 << 20

// ReplySize returns what a reply with a payload of n bytes takes of MaxWaiting.
func ReplySize(n int) int { return HeaderSize + n + packetOverhead }

// Reply sends messages to the socket with a port, in order. What has no room waits until
// the program has read what came before. Errors: ECONNREFUSED, ENOBUFS if too much waits,
// ENOMEM. It does not sleep. The messages must not change after that.
func (f *Family) Reply(port uint32, messages ...[]byte) error {
	s, err := f.queueReplies(port, messages)
	if s != nil {
		s.queue.Wake(wait.Readable)
	}
	return err
}

func (f *Family) queueReplies(port uint32, messages [][]byte) (*Socket, error) {
	size := 0
	for _, m := range messages {
		size += len(m) + packetOverhead
	}
	if err := f.admit(size); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.ports[port]
	if s == nil {
		return nil, unix.ECONNREFUSED
	}
	if s.waitingBytes+size > MaxWaiting {
		return s, unix.ENOBUFS
	}
	for _, m := range messages {
		p := packet{data: m}
		s.waiting = append(s.waiting, p)
		s.waitingBytes += p.charge()
	}
	s.admitWaiting()
	return s, nil
}

// admit asks for room in the kernel's heap: ENOMEM. No lock may be held.
func (f *Family) admit(bytes int) error { return f.memory.Admit(int64(bytes)) }

// firstRover is the port before the first one that autobind chooses for a second socket
// of a process (Linux: netlink_autobind).
const firstRover = 1<<32 - 4096

// bind gives s the port, or one of its own choice if port is 0: the process id, or an
// unused one. Errors: EADDRINUSE, EINVAL if it has another one.
func (f *Family) bind(s *Socket, port uint32, process uint32) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case s.closed:
		return unix.EBADF
	case s.port != 0 && port != 0 && s.port != port:
		return unix.EINVAL
	case s.port != 0:
		return nil
	case port != 0 && f.ports[port] != nil:
		return unix.EADDRINUSE
	}
	if port == 0 {
		port = process
	}
	for port == 0 || f.ports[port] != nil {
		f.rover--
		port = f.rover
	}
	f.ports[port], s.port = s, port
	return nil
}

// maskOf returns the bit of a group in nl_groups.
func maskOf(group int) uint32 { return 1 << (group - 1) }

// groupsOf returns the groups of the mask, the lowest first.
func groupsOf(mask uint32) iter.Seq[int] {
	return func(yield func(group int) bool) {
		for ; mask != 0 && yield(bits.TrailingZeros32(mask)+1); mask &= mask - 1 {
		}
	}
}
