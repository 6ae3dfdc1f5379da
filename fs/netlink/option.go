package netlink

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/fs"
)

// FlagOption is an option of the level SOL_NETLINK that is on or off.
type FlagOption uint8

// The flag options.
const (
	PacketInfo          FlagOption = iota // NETLINK_PKTINFO
	BroadcastError                        // NETLINK_BROADCAST_ERROR
	NoOverrunError                        // NETLINK_NO_ENOBUFS
	CapAcknowledgements                   // NETLINK_CAP_ACK
	ExtAcknowledgements                   // NETLINK_EXT_ACK; the kernel has no extended texts
	StrictChecks                          // NETLINK_GET_STRICT_CHK
	flagOptions
)

// flagsByName has the flag options by their number in setsockopt(2).
var flagsByName = map[int]FlagOption{
	unix.NETLINK_PKTINFO: PacketInfo, unix.NETLINK_BROADCAST_ERROR: BroadcastError,
	unix.NETLINK_NO_ENOBUFS: NoOverrunError, unix.NETLINK_CAP_ACK: CapAcknowledgements,
	unix.NETLINK_EXT_ACK: ExtAcknowledgements, unix.NETLINK_GET_STRICT_CHK: StrictChecks,
}

// Flag reports whether a flag option is on.
func (s *Socket) Flag(o FlagOption) bool {
	s.family.mu.Lock()
	defer s.family.mu.Unlock()
	return s.netlink[o]
}

// overrunReported reports whether lost messages are an error of the next receive.
// Family.mu is held.
func (s *Socket) overrunReported() bool { return !s.netlink[NoOverrunError] }

// SetNetlinkOption is setsockopt(2) of the level SOL_NETLINK. Errors: ENOPROTOOPT, EINVAL
// for a group that does not exist, and those of Protocol.Join.
func (s *Socket) SetNetlinkOption(c fs.Caller, name int, value int32) error {
	if flag, is := flagsByName[name]; is {
		s.setFlag(flag, value != 0)
		return nil
	}
	switch name {
	case unix.NETLINK_ADD_MEMBERSHIP, unix.NETLINK_DROP_MEMBERSHIP:
		return s.setMembership(c, name == unix.NETLINK_ADD_MEMBERSHIP, value)
	}
	return unix.ENOPROTOOPT
}

func (s *Socket) setFlag(o FlagOption, on bool) {
	s.family.mu.Lock()
	defer s.family.mu.Unlock()
	s.netlink[o] = on
}

// setMembership joins or leaves a group. A socket without a port gets one, because only
// those with a port are members.
func (s *Socket) setMembership(c fs.Caller, member bool, group int32) error {
	if group <= 0 || int(group) > s.family.protocol.Groups {
		return unix.EINVAL
	}
	bit := maskOf(int(group))
	if !member {
		s.setGroups(func(old uint32) uint32 { return old &^ bit })
		return nil
	}
	if err := s.mayJoin(c, int(group)); err != nil {
		return err
	}
	if err := s.family.bind(s, 0, uint32(c.ProcessID())); err != nil {
		return err
	}
	s.setGroups(func(old uint32) uint32 { return old | bit })
	return nil
}

// NetlinkOption is getsockopt(2) of the level SOL_NETLINK: ENOPROTOOPT.
func (s *Socket) NetlinkOption(name int) ([]byte, error) {
	if name == unix.NETLINK_LIST_MEMBERSHIPS {
		return binary.LittleEndian.AppendUint32(nil, s.LocalName().Groups), nil
	}
	flag, is := flagsByName[name]
	if !is {
		return nil, unix.ENOPROTOOPT
	}
	value := uint32(0)
	if s.Flag(flag) {
		value = 1
	}
	return binary.LittleEndian.AppendUint32(nil, value), nil
}

// Options returns the options of the level SOL_SOCKET.
func (s *Socket) Options() fs.SocketOptions {
	s.family.mu.Lock()
	defer s.family.mu.Unlock()
	return s.options
}

// SetOptions changes the options of the level SOL_SOCKET.
func (s *Socket) SetOptions(change func(o *fs.SocketOptions)) {
	s.family.mu.Lock()
	defer s.family.mu.Unlock()
	change(&s.options)
}

// TakeFailure returns and clears the error of SO_ERROR.
func (s *Socket) TakeFailure() error {
	s.family.mu.Lock()
	defer s.family.mu.Unlock()
	err := s.failure
	s.failure = nil
	return err
}
