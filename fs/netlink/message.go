package netlink

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// HeaderSize is the size of struct nlmsghdr.
const HeaderSize = unix.SizeofNlMsghdr

// Message is one netlink message (struct nlmsghdr and what follows it).
type Message struct {
	Type, Flags uint16
	Sequence    uint32
	Port        uint32
	// Payload is what follows the header, without padding.
	Payload []byte
	// header is the header as it was received.
	header []byte
}

// Next splits the first message off what a program has sent. It reports false if the rest
// is no whole message; Linux ignores such a rest (nlmsg_ok).
func Next(p []byte) (m Message, rest []byte, ok bool) {
	if len(p) < HeaderSize {
		return Message{}, nil, false
	}
	length := binary.LittleEndian.Uint32(p)
	if length < HeaderSize || uint64(length) > uint64(len(p)) {
		return Message{}, nil, false
	}
	m = Message{
		Type: binary.LittleEndian.Uint16(p[4:]), Flags: binary.LittleEndian.Uint16(p[6:]),
		Sequence: binary.LittleEndian.Uint32(p[8:]), Port: binary.LittleEndian.Uint32(p[12:]),
		Payload: p[HeaderSize:length], header: p[:HeaderSize],
	}
	return m, p[min(uint64(length+3)&^3, uint64(len(p))):], true
}

// Encode returns the bytes of a message with the payload.
func Encode(kind, flags uint16, sequence uint32, payload []byte) []byte {
	return EncodeLength(uint32(HeaderSize+len(payload)), kind, flags, sequence, payload)
}

// EncodeLength is Encode with another length in the header. The messages of audit to its
// daemon have that of the payload (Linux: audit_log_end).
func EncodeLength(length uint32, kind, flags uint16, sequence uint32, payload []byte) []byte {
	p := make([]byte, HeaderSize, HeaderSize+len(payload))
	binary.LittleEndian.PutUint32(p, length)
	binary.LittleEndian.PutUint16(p[4:], kind)
	binary.LittleEndian.PutUint16(p[6:], flags)
	binary.LittleEndian.PutUint32(p[8:], sequence)
	return append(p, payload...)
}

// flagCapped is NLM_F_CAPPED: the payload of the message was left out.
const flagCapped = 0x100

// Acknowledge returns the answer to m with a result: 0 or a negative errno (Linux:
// netlink_ack). That of an error contains the whole message, unless the sender does not
// want that.
func (m Message) Acknowledge(result int32, from Sender) []byte {
	payload := binary.LittleEndian.AppendUint32(nil, uint32(result))
	payload = append(payload, m.header...)
	flags := uint16(flagCapped)
	if result != 0 && !from.CapAcknowledgements {
		flags = 0
		payload = append(payload, m.Payload...)
	}
	p := Encode(unix.NLMSG_ERROR, flags, m.Sequence, payload)
	binary.LittleEndian.PutUint32(p[12:], from.Port)
	return p
}

// Address is struct sockaddr_nl.
type Address struct {
	Port   uint32 // nl_pid; 0 is the kernel
	Groups uint32 // nl_groups, a mask
}

// addressSize is the size of struct sockaddr_nl.
const addressSize = unix.SizeofSockaddrNetlink

// ParseAddress parses a struct sockaddr_nl: EINVAL.
func ParseAddress(p []byte) (Address, error) {
	if len(p) < addressSize || binary.LittleEndian.Uint16(p) != unix.AF_NETLINK {
		return Address{}, unix.EINVAL
	}
	return Address{Port: binary.LittleEndian.Uint32(p[4:]), Groups: binary.LittleEndian.Uint32(p[8:])}, nil
}

// firstGroup returns the address with the lowest of its groups: a message is sent to one
// group only (Linux: netlink_sendmsg, netlink_connect).
func (a Address) firstGroup() Address {
	a.Groups &= -a.Groups
	return a
}

// Bytes returns the address as a struct sockaddr_nl.
func (a Address) Bytes() []byte {
	p := make([]byte, addressSize)
	binary.LittleEndian.PutUint16(p, unix.AF_NETLINK)
	binary.LittleEndian.PutUint32(p[4:], a.Port)
	binary.LittleEndian.PutUint32(p[8:], a.Groups)
	return p
}
