package netlink

import (
	"strconv"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/wait"
)

// Socket implements fs.FileOperations for a netlink socket.
type Socket struct {
	fs.FileBase
	family *Family
	kind   int // SOCK_RAW or SOCK_DGRAM, which are the same here
	queue  wait.Queue

	inode inode

	// Family.mu guards the fields below.
	port         uint32 // 0 until it is bound
	peer         Address
	groups       uint32 // those that it has joined
	incoming     []packet
	bytes        int // charged for incoming
	waiting      []packet
	waitingBytes int
	failure      error // SO_ERROR
	options      fs.SocketOptions
	netlink      [flagOptions]bool
	closed       bool
}

// packet is what one send has sent. The data does not change.
type packet struct {
	data   []byte
	from   uint32 // the sender's port; 0 is the kernel
	groups uint32 // the groups to which it was sent, or 0
	owner  fs.SocketCredentials
}

// packetOverhead is what a packet takes of the buffer besides its data, in bytes (Linux:
// the size of struct sk_buff and struct skb_shared_info).
const packetOverhead = 576

func (p *packet) charge() int { return len(p.data) + packetOverhead }

// inode is the inode of a socket.
type inode struct{ fs.InodeBase }

// lastProtocol is the greatest protocol number (MAX_LINKS).
const lastProtocol = 31

// New opens a socket. kind is the socket type, flags may have O_NONBLOCK. Errors:
// ESOCKTNOSUPPORT, EPROTONOSUPPORT.
func New(m *fs.Mounts, c fs.Caller, kind, protocol, flags int) (*fs.File, error) {
	if kind != unix.SOCK_RAW && kind != unix.SOCK_DGRAM {
		return nil, unix.ESOCKTNOSUPPORT
	}
	if protocol < 0 || protocol > lastProtocol {
		return nil, unix.EPROTONOSUPPORT
	}
	family := domainOf(m).family(protocol)
	if family == nil {
		return nil, unix.EPROTONOSUPPORT
	}
	s := &Socket{family: family, kind: kind, options: fs.NewSocketOptions()}
	i := &s.inode
	own := c.Credentials()
	i.Init(m.UnnamedNumbers(), fs.NewNode{Mode: unix.S_IFSOCK | 0o777, UID: own.EUID, GID: own.EGID})
	label := "socket:[" + strconv.FormatUint(i.Number(), 10) + "]"
	return m.OpenInode(i, label, unix.O_RDWR|flags&unix.O_NONBLOCK, s), nil
}

// Of returns the socket of an open file, or nil if the file is no netlink socket.
func Of(f *fs.File) *Socket {
	s, _ := f.Operations().(*Socket)
	return s
}

// DescribeSocket implements fs.SocketDescriber.
func (s *Socket) DescribeSocket() string {
	s.family.mu.Lock()
	defer s.family.mu.Unlock()
	if s.port == 0 {
		return "NETLINK:[" + strconv.FormatUint(s.inode.Number(), 10) + "]"
	}
	name := strconv.Itoa(s.family.protocol.Number)
	if known := protocolNames[s.family.protocol.Number]; known != "" {
		name = known
	}
	return "NETLINK:[" + name + ":" + strconv.FormatUint(uint64(s.port), 10) + "]"
}

// protocolNames are the names of protocols in DescribeSocket.
var protocolNames = map[int]string{unix.NETLINK_ROUTE: "ROUTE", unix.NETLINK_AUDIT: "AUDIT", unix.NETLINK_KOBJECT_UEVENT: "KOBJECT_UEVENT", unix.NETLINK_GENERIC: "GENERIC"}

// Kind returns SOCK_RAW or SOCK_DGRAM.
func (s *Socket) Kind() int { return s.kind }

// Protocol returns the protocol's number.
func (s *Socket) Protocol() int { return s.family.protocol.Number }

// Queue implements fs.FileOperations.
func (s *Socket) Queue() *wait.Queue { return &s.queue }

// Readiness implements fs.FileOperations. A send never waits.
func (s *Socket) Readiness() wait.Events {
	s.family.mu.Lock()
	defer s.family.mu.Unlock()
	ready := wait.Writable | wait.WrBand
	if len(s.incoming) > 0 {
		ready |= wait.Readable
	}
	if s.failure != nil {
		ready |= wait.Err
	}
	return ready
}

// HeldMemory implements fs.MemoryHolder.
func (s *Socket) HeldMemory() int64 {
	s.family.mu.Lock()
	defer s.family.mu.Unlock()
	const socketBytes = 512
	return int64(socketBytes + s.bytes + s.waitingBytes)
}

// Bind is bind(2). It joins the groups of the address, and leaves the others. Errors:
// EADDRINUSE, EINVAL if the socket has another port, and those of Protocol.Join.
func (s *Socket) Bind(c fs.Caller, a Address) error {
	if port := s.LocalName().Port; port != 0 && port != a.Port {
		return unix.EINVAL
	}
	wanted := a.Groups & (1<<s.family.protocol.Groups - 1)
	for group := range groupsOf(wanted) {
		if err := s.mayJoin(c, group); err != nil {
			return err
		}
	}
	if err := s.family.bind(s, a.Port, uint32(c.ProcessID())); err != nil {
		return err
	}
	s.setGroups(func(uint32) uint32 { return wanted })
	return nil
}

func (s *Socket) mayJoin(c fs.Caller, group int) error {
	if s.family.protocol.Join == nil {
		return nil
	}
	return s.family.protocol.Join(c, group)
}

// setGroups changes the groups, and announces those that the socket has left.
func (s *Socket) setGroups(change func(old uint32) uint32) {
	s.announce(s.replaceGroups(change))
}

// announce calls Protocol.Left for the groups of a mask.
func (s *Socket) announce(left uint32) {
	if s.family.protocol.Left == nil {
		return
	}
	for group := range groupsOf(left) {
		s.family.protocol.Left(group)
	}
}

// replaceGroups changes the groups, and returns those that the socket has left.
func (s *Socket) replaceGroups(change func(old uint32) uint32) (left uint32) {
	s.family.mu.Lock()
	defer s.family.mu.Unlock()
	if s.closed {
		return 0
	}
	old := s.groups
	s.groups = change(old)
	return old &^ s.groups
}

// Connect is connect(2): it sets the destination of send(2). Error: EPERM for another
// destination than the kernel without CAP_NET_ADMIN.
func (s *Socket) Connect(c fs.Caller, a Address) error {
	if err := mayAddress(c, a); err != nil {
		return err
	}
	if err := s.family.bind(s, 0, uint32(c.ProcessID())); err != nil {
		return err
	}
	s.setPeer(a.firstGroup())
	return nil
}

// Disconnect is connect(2) with AF_UNSPEC.
func (s *Socket) Disconnect() { s.setPeer(Address{}) }

func (s *Socket) setPeer(a Address) {
	s.family.mu.Lock()
	defer s.family.mu.Unlock()
	s.peer = a
}

// mayAddress checks the right to send to an address: EPERM.
func mayAddress(c fs.Caller, a Address) error {
	if a != (Address{}) && !c.Credentials().Has(cred.NetAdmin) {
		return unix.EPERM
	}
	return nil
}

// LocalName is getsockname(2).
func (s *Socket) LocalName() Address {
	s.family.mu.Lock()
	defer s.family.mu.Unlock()
	return Address{Port: s.port, Groups: s.groups}
}

// PeerName is getpeername(2).
func (s *Socket) PeerName() Address {
	s.family.mu.Lock()
	defer s.family.mu.Unlock()
	return s.peer
}

// maxSend is what a send leaves of the send buffer (Linux: netlink_sendmsg).
const maxSend = 32

// Send is sendmsg(2) to an address, nil for that of Connect. It does not wait. Errors:
// ENODATA for an empty message, EMSGSIZE, EPERM, ENOBUFS, EFAULT, ECONNREFUSED if there is
// no socket with the port, EAGAIN if it has no room.
func (s *Socket) Send(c fs.Caller, src fs.Source, to *Address, owner fs.SocketCredentials) (int, error) {
	size := src.Remaining()
	destination := s.PeerName()
	if to != nil {
		destination = *to
		if err := mayAddress(c, destination); err != nil {
			return 0, err
		}
		destination = destination.firstGroup()
	}
	if size == 0 {
		return 0, unix.ENODATA
	}
	if err := s.family.bind(s, 0, uint32(c.ProcessID())); err != nil {
		return 0, err
	}
	if size > s.Options().SendBuffer-maxSend {
		return 0, unix.EMSGSIZE
	}
	if s.family.admit(size+packetOverhead) != nil {
		return 0, unix.ENOBUFS
	}
	data, err := fs.GetAll(src, size)
	if err != nil {
		return 0, err
	}
	return size, s.route(c, destination, packet{data: data, from: s.LocalName().Port, groups: destination.Groups, owner: owner})
}

// route gives a packet to the members of its groups, and to its destination.
func (s *Socket) route(c fs.Caller, to Address, p packet) error {
	if p.groups != 0 {
		s.family.multicast(p, s)
	}
	if to.Port != 0 {
		_, err := s.family.unicast(to.Port, p)
		return err
	}
	if receive := s.family.protocol.Receive; receive != nil {
		receive(c, Sender{Port: p.from, CapAcknowledgements: s.Flag(CapAcknowledgements)}, p.data)
	}
	return nil
}

// Incoming is a received message.
type Incoming struct {
	Count, Full int // bytes stored, and bytes of the message
	From        Address
	Credentials fs.SocketCredentials
	Group       uint32 // the first group to which it was sent, or 0
}

// Receive is recvmsg(2) without waiting. peek leaves the message in the socket. Errors:
// EAGAIN, EFAULT, ENOBUFS if messages of a group were lost.
func (s *Socket) Receive(dst fs.Sink, peek bool) (Incoming, error) {
	p, err := s.take(peek)
	if err != nil {
		return Incoming{}, err
	}
	s.queue.Wake(wait.Writable | wait.Readable)
	data := p.data[:min(len(p.data), dst.Remaining())]
	in := Incoming{Count: len(data), Full: len(p.data), From: Address{Port: p.from, Groups: p.groups}, Credentials: p.owner}
	for group := range groupsOf(p.groups) {
		in.Group = uint32(group)
		break
	}
	if n, err := dst.Put(data); err != nil || n < len(data) {
		return Incoming{}, unix.EFAULT
	}
	return in, nil
}

// take returns the first message.
func (s *Socket) take(peek bool) (packet, error) {
	s.family.mu.Lock()
	defer s.family.mu.Unlock()
	if err := s.failure; err != nil {
		s.failure = nil
		return packet{}, err
	}
	if len(s.incoming) == 0 {
		return packet{}, unix.EAGAIN
	}
	p := s.incoming[0]
	if !peek {
		s.bytes -= p.charge()
		s.incoming[0] = packet{}
		s.incoming = s.incoming[1:]
		s.admitWaiting()
	}
	return p, nil
}

// push appends a message if there is room. Family.mu is held.
func (s *Socket) push(p packet) bool {
	if s.bytes > s.options.ReceiveBuffer || len(s.waiting) > 0 {
		return false
	}
	s.enqueue(p)
	return true
}

// enqueue appends a message to those that a program can read. Family.mu is held.
func (s *Socket) enqueue(p packet) {
	s.incoming = append(s.incoming, p)
	s.bytes += p.charge()
}

// admitWaiting moves the replies that wait for room. Family.mu is held.
func (s *Socket) admitWaiting() {
	for len(s.waiting) > 0 && s.bytes <= s.options.ReceiveBuffer {
		p := s.waiting[0]
		s.waiting[0] = packet{}
		s.waiting = s.waiting[1:]
		s.waitingBytes -= p.charge()
		s.enqueue(p)
	}
}

// awaitRoom waits until the socket has room or is closed. It reports false after the
// deadline, a time of clock.Monotonic.
func (s *Socket) awaitRoom(deadline int64) bool {
	var sleeper wait.Sleeper
	w := sleeper.Waiter(wait.Writable | wait.Hup)
	s.queue.Add(w)
	defer s.queue.Remove(w)
	for !s.hasRoom() {
		if sleeper.Sleep(deadline) {
			return false
		}
	}
	return true
}

func (s *Socket) hasRoom() bool {
	s.family.mu.Lock()
	defer s.family.mu.Unlock()
	return s.closed || s.bytes <= s.options.ReceiveBuffer && len(s.waiting) == 0
}

// Read implements fs.FileOperations.
func (s *Socket) Read(_ *fs.File, dst fs.Sink, _ int64) (int, error) {
	in, err := s.Receive(dst, false)
	return in.Count, err
}

// Write implements fs.FileOperations. If the source has no caller, the sender is the task
// that opened the socket.
func (s *Socket) Write(_ *fs.File, src fs.Source, _ int64) (int, int64, error) {
	c := fs.CallerOf(src)
	if c == nil {
		return 0, 0, unix.EINVAL
	}
	n, err := s.Send(c, src, nil, fs.SocketCredentialsOf(c))
	if err != nil {
		n = 0
	}
	return n, 0, err
}

// Release implements fs.FileOperations.
func (s *Socket) Release() {
	left := s.close()
	s.queue.Wake(wait.All)
	s.announce(left)
}

// close removes the socket from its family, and returns its groups.
func (s *Socket) close() (left uint32) {
	s.family.mu.Lock()
	defer s.family.mu.Unlock()
	left = s.groups
	if s.port != 0 {
		delete(s.family.ports, s.port)
	}
	s.closed, s.groups = true, 0
	s.incoming, s.waiting, s.bytes, s.waitingBytes = nil, nil, 0, 0
	return left
}
