package decode

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/tracespec"
)

var (
	socketFamilies = sequence("AF_???", 0, `AF_UNSPEC AF_UNIX AF_INET AF_AX25 AF_IPX AF_APPLETALK AF_NETROM AF_BRIDGE AF_ATMPVC AF_X25 AF_INET6 AF_ROSE AF_DECnet AF_NETBEUI AF_SECURITY
		AF_KEY AF_NETLINK AF_PACKET AF_ASH AF_ECONET AF_ATMSVC AF_RDS AF_SNA AF_IRDA AF_PPPOX AF_WANPIPE AF_LLC AF_IB AF_MPLS AF_CAN AF_TIPC AF_BLUETOOTH AF_IUCV
		AF_RXRPC AF_ISDN AF_PHONET AF_IEEE802154 AF_CAIF AF_ALG AF_NFC AF_VSOCK AF_KCM AF_QIPCRTR AF_SMC AF_XDP AF_MCTP`)
	socketTypes  = names("", "SOCK_STREAM 1 SOCK_DGRAM 2 SOCK_RAW 3 SOCK_RDM 4 SOCK_SEQPACKET 5 SOCK_DCCP 6 SOCK_PACKET 10")
	socketFlags  = names("SOCK_???", "SOCK_CLOEXEC 0x80000 SOCK_NONBLOCK 0x800")
	ipProtocols  = names("IPPROTO_???", "IPPROTO_IP 0 IPPROTO_ICMP 1 IPPROTO_IGMP 2 IPPROTO_TCP 6 IPPROTO_UDP 17 IPPROTO_IPV6 41 IPPROTO_ICMPV6 58 IPPROTO_SCTP 132 IPPROTO_RAW 255")
	netlinkKinds = sequence("NETLINK_???", 0, `NETLINK_ROUTE NETLINK_UNUSED NETLINK_USERSOCK NETLINK_FIREWALL NETLINK_SOCK_DIAG NETLINK_NFLOG NETLINK_XFRM NETLINK_SELINUX
		NETLINK_ISCSI NETLINK_AUDIT NETLINK_FIB_LOOKUP NETLINK_CONNECTOR NETLINK_NETFILTER NETLINK_IP6_FW NETLINK_DNRTMSG NETLINK_KOBJECT_UEVENT NETLINK_GENERIC
		NETLINK_DM NETLINK_SCSITRANSPORT NETLINK_ECRYPTFS NETLINK_RDMA NETLINK_CRYPTO NETLINK_SMC`)
	messageFlags = names("MSG_???", `MSG_OOB 1 MSG_PEEK 2 MSG_DONTROUTE 4 MSG_CTRUNC 8 MSG_PROBE 0x10 MSG_TRUNC 0x20 MSG_DONTWAIT 0x40 MSG_EOR 0x80 MSG_WAITALL 0x100
		MSG_FIN 0x200 MSG_SYN 0x400 MSG_CONFIRM 0x800 MSG_RST 0x1000 MSG_ERRQUEUE 0x2000 MSG_NOSIGNAL 0x4000 MSG_MORE 0x8000 MSG_WAITFORONE 0x10000
		MSG_SENDPAGE_NOTLAST 0x20000 MSG_BATCH 0x40000 MSG_NO_SHARED_FRAGS 0x80000 MSG_ZEROCOPY 0x4000000 MSG_FASTOPEN 0x20000000 MSG_CMSG_CLOEXEC 0x40000000`)
	socketLayers = names("SOL_???", "SOL_IP 0 SOL_SOCKET 1 SOL_TCP 6 SOL_UDP 17 SOL_IPV6 41 SOL_ICMPV6 58 SOL_RAW 255 SOL_PACKET 263 SOL_NETLINK 270 SOL_ALG 279")
	controlTypes = names("SCM_???", "SCM_RIGHTS 1 SCM_CREDENTIALS 2 SCM_SECURITY 3 SO_TIMESTAMP_OLD 29 SO_TIMESTAMPNS_OLD 35 SO_TIMESTAMPING_OLD 37")
	shutdownWays = sequence("SHUT_???", 0, "SHUT_RD SHUT_WR SHUT_RDWR")
	nlOpts       = names("NETLINK_???", "NETLINK_ADD_MEMBERSHIP 1 NETLINK_DROP_MEMBERSHIP 2 NETLINK_PKTINFO 3 NETLINK_BROADCAST_ERROR 4 NETLINK_NO_ENOBUFS 5 NETLINK_LISTEN_ALL_NSID 8 NETLINK_LIST_MEMBERSHIPS 9 NETLINK_CAP_ACK 10 NETLINK_EXT_ACK 11 NETLINK_GET_STRICT_CHK 12")
	// levelOpts are the names of options by level.
	levelOpts = map[uint32]*nameTable{unix.SOL_RAW: sockRawOptions, unix.SOL_PACKET: sockPacketOptions, unix.SOL_UDP: sockUdpOptions, unix.SOL_SOCKET: sockOptions, unix.SOL_IP: sockIpOptions, unix.SOL_IPV6: sockIpv6Options, unix.SOL_TCP: sockTcpOptions, unix.SOL_NETLINK: nlOpts}
)

// socketType prints the type of a socket with its flags.
func socketType(p *Printer, _ *Input, v uint64) {
	v = uint64(uint32(v))
	name := socketTypes.find(v & 0xf)
	if name == "" {
		p.text(p.flags(socketFlags, v))
		return
	}
	p.text(name)
	if rest := v &^ 0xf; rest != 0 {
		p.text("|" + p.flags(socketFlags, rest))
	}
}

// protocol prints the protocol of socket(2), which depends on the family.
func protocol(p *Printer, in *Input, v uint64) {
	switch in.Arguments[0] {
	case unix.AF_INET, unix.AF_INET6:
		p.text(p.value(ipProtocols, v))
	case unix.AF_NETLINK:
		p.text(p.value(netlinkKinds, v))
	default:
		p.format("%d", v)
	}
}

// maxSockaddr is the size of struct sockaddr_storage.
const maxSockaddr = 128

// sockaddr prints a socket address of length bytes.
func sockaddr(p *Printer, b []byte, address, length uint64) {
	switch {
	case address == 0:
		p.text("NULL")
		return
	case int32(length) < 2 || len(b) < 2 || uint64(len(b)) < min(length, maxSockaddr):
		p.address(address)
		return
	}
	family := word(b, 0, 2)
	if family == unix.AF_UNIX {
		b = b[:min(len(b), unix.SizeofSockaddrUnix)]
	}
	p.text("{sa_family=" + p.value(socketFamilies, family))
	if len(b) > 2 {
		p.text(", ")
		sockaddrData(p, b, family)
	}
	p.text("}")
}

func sockaddrData(p *Printer, b []byte, family uint64) {
	port := func() uint16 { return binary.BigEndian.Uint16(b[2:]) }
	switch {
	case family == unix.AF_UNIX && b[2] != 0:
		p.text("sun_path=")
		p.quote(textField(b, 2, len(b)-2))
	case family == unix.AF_UNIX:
		p.text("sun_path=@")
		p.quote(b[3:])
	case family == unix.AF_INET && len(b) >= unix.SizeofSockaddrInet4:
		p.format("sin_port=htons(%d), sin_addr=inet_addr(\"%v\")", port(), netip.AddrFrom4([4]byte(b[4:8])))
	case family == unix.AF_INET6 && len(b) >= 24:
		p.format("sin6_port=htons(%d), sin6_flowinfo=htonl(%d), inet_pton(AF_INET6, \"%v\", &sin6_addr)",
			port(), binary.BigEndian.Uint32(b[4:]), netip.AddrFrom16([16]byte(b[8:24])))
		if len(b) >= 28 {
			p.format(", sin6_scope_id=%d", word(b, 24, 4))
		}
	case family == unix.AF_NETLINK && len(b) >= 12:
		p.format("nl_pid=%d, nl_groups=%08x", int32(word(b, 4, 4)), word(b, 8, 4))
	default:
		p.text("sa_data=")
		p.quote(b[2:])
	}
}

// addressIn prints a socket address that a call reads.
func addressIn(i, length int) Arg {
	op := tracespec.Op{Kind: tracespec.Bytes, Address: argument(i), Count: argument(length), Unit: 1, Max: maxSockaddr}
	return Arg{ops: []tracespec.Op{op}, print: func(p *Printer, in *Input) {
		sockaddr(p, in.capture(0), in.Arguments[i], in.Arguments[length])
	}}
}

// addressOut prints a socket address that a call has stored, and its length before and
// after.
func addressOut(i, length int) []Arg {
	address := onExit(Arg{ops: []tracespec.Op{fixed(argument(length), 4),
		{Kind: tracespec.Prefix, Address: argument(i), Count: captured(0, 0, 4), Unit: 1, Max: maxSockaddr}}})
	address.before = []tracespec.Op{fixed(argument(length), 4)}
	address.print = func(p *Printer, in *Input) {
		before, after := in.before(0), in.capture(0)
		if before == nil || after == nil {
			p.address(in.Arguments[i])
			return
		}
		n := min(word(before, 0, 4), word(after, 0, 4))
		b := in.capture(1)
		sockaddr(p, b[:min(uint64(len(b)), n)], in.Arguments[i], n)
	}
	size := onExit(Arg{ops: []tracespec.Op{fixed(argument(length), 4)}})
	size.before = address.before
	size.print = func(p *Printer, in *Input) {
		if in.Arguments[i] == 0 {
			p.address(in.Arguments[length])
			return
		}
		printLength(p, in, in.Arguments[length])
	}
	address.always, size.always = true, true
	return []Arg{address, size}
}

// printLength prints a length at an address, before and after a call.
func printLength(p *Printer, in *Input, address uint64) {
	switch before, after := in.before(0), in.capture(0); {
	case before == nil:
		p.address(address)
	case after == nil || word(before, 0, 4) == word(after, 0, 4):
		p.format("[%d]", int32(word(before, 0, 4)))
	default:
		p.format("[%d => %d]", int32(word(before, 0, 4)), int32(word(after, 0, 4)))
	}
}

const msghdrSize = 56

// message prints struct msghdr. total is the number of bytes of its data.
func message(i int, total tracespec.Value) Arg {
	ops := []tracespec.Op{
		fixed(argument(i), msghdrSize),
		{Kind: tracespec.Prefix, Address: captured(0, 0, 8), Count: captured(0, 8, 4), Unit: 1, Max: maxSockaddr},
		array(captured(0, 16, 8), captured(0, 24, 8), 16),
		{Kind: tracespec.Vector, Address: captured(2, 0, 8), Count: total, Unit: 16, Max: maxOfString},
		{Kind: tracespec.Bytes, Address: captured(0, 32, 8), Count: captured(0, 40, 8), Unit: 1, Max: 4096},
		{Kind: tracespec.Rights, Address: captured(4, 0, 8), Count: constant(tracespec.MaxElements)},
	}
	return Arg{ops: ops, print: orAddress(i, func(p *Printer, in *Input, b []byte) {
		size := uint64(1 << 62)
		if total.Source == tracespec.Result {
			size = uint64(max(in.Result, 0))
		}
		p.message(in, b, in.before(0), size, 1)
	})}
}

// maxMessages is the maximum number of messages of sendmmsg(2) and recvmmsg(2) that are
// decoded.
const maxMessages = 16

const mmsghdrSize = 64

// messages prints the array of struct mmsghdr of sendmmsg(2), or of recvmmsg(2), which stores
// how long each message is.
func messages(i, count int, receives bool) Arg {
	const each = 5
	ops := []tracespec.Op{{Kind: tracespec.Prefix, Address: argument(i), Count: argument32(count), Unit: mmsghdrSize, Max: maxMessages * mmsghdrSize}}
	for m := range maxMessages {
		at := m * mmsghdrSize
		vectors := len(ops) + 1
		ops = append(ops,
			tracespec.Op{Kind: tracespec.Prefix, Address: captured(0, at, 8), Count: captured(0, at+8, 4), Unit: 1, Max: maxSockaddr},
			array(captured(0, at+16, 8), captured(0, at+24, 8), 16),
			tracespec.Op{Kind: tracespec.Vector, Address: captured(vectors, 0, 8), Count: constant(unlimited), Unit: 16, Max: maxOfString},
			tracespec.Op{Kind: tracespec.Bytes, Address: captured(0, at+32, 8), Count: captured(0, at+40, 8), Unit: 1, Max: 4096},
			tracespec.Op{Kind: tracespec.Rights, Address: captured(vectors+2, 0, 8), Count: constant(tracespec.MaxElements)})
	}
	a := onExitAlways(Arg{ops: ops})
	a.print = func(p *Printer, in *Input) {
		n := uint64(uint32(in.Arguments[count]))
		if !in.Failed() {
			n = uint64(in.Result)
		}
		b := in.capture(0)
		if len(b) < mmsghdrSize || receives && in.Failed() {
			p.elements(in, in.Arguments[i], nil, n, mmsghdrSize, nil)
			return
		}
		index := 0
		p.elements(in, in.Arguments[i], b, n, mmsghdrSize, func(p *Printer, in *Input, one []byte) {
			size := uint64(unlimited)
			if receives {
				size = word(one, msghdrSize, 4)
			}
			p.text("{msg_hdr=")
			p.message(in, one, nil, size, 1+each*index)
			if !in.Failed() {
				p.format(", msg_len=%d", word(one, msghdrSize, 4))
			}
			p.text("}")
			index++
		})
	}
	return a
}

// leftOfWait is the note of recvmmsg(2): what is left of its timeout.
func leftOfWait(i int) Arg {
	a := onExit(Arg{ops: []tracespec.Op{fixed(argument(i), timespecSize)}})
	a.note = func(_ *Printer, in *Input) (string, bool) {
		switch {
		case in.Failed():
			return "", false
		case in.Result == 0:
			return "Timeout", true
		case in.Arguments[i] == 0 || in.capture(0) == nil:
			return "", false
		}
		return "left " + leftOf(in.Arguments[i], in.capture(0), timespec), true
	}
	return a
}

// message prints struct msghdr. base is the index of the first op of what it points to.
func (p *Printer) message(in *Input, b, before []byte, size uint64, base int) {
	length := word(b, 8, 4)
	p.text("{msg_name=")
	name := in.capture(base)
	shown := length
	if before != nil {
		shown = min(shown, word(before, 8, 4))
	}
	sockaddr(p, name[:min(uint64(len(name)), shown)], word(b, 0, 8), shown)
	p.text(", msg_namelen=")
	if before != nil && word(before, 8, 4) != length {
		p.format("%d => ", int32(word(before, 8, 4)))
	}
	p.format("%d, msg_iov=", int32(length))
	p.vectors(in, word(b, 16, 8), word(b, 24, 8), base+1, size)
	p.format(", msg_iovlen=%d", word(b, 24, 8))
	if n := word(b, 40, 8); n != 0 {
		p.text(", msg_control=")
		in.files(p, base+4)
		p.control(in, in.capture(base+3), word(b, 32, 8))
	}
	p.format(", msg_controllen=%d, msg_flags=%s}", word(b, 40, 8), p.flags(messageFlags, word(b, 48, 4)))
}

// control prints control messages.
func (p *Printer) control(in *Input, b []byte, address uint64) {
	const header = 16
	shorter := uint64(0)
	if in.narrow {
		shorter = 4 // whose length has 4 bytes less
	}
	if len(b) < header {
		p.address(address)
		return
	}
	p.text("[")
	for separator := ""; len(b) >= header; separator = ", " {
		length := word(b, 0, 8)
		level, kind := word(b, 8, 4), word(b, 12, 4)
		p.format("%s{cmsg_len=%d, cmsg_level=%s, cmsg_type=", separator, length-shorter, p.value(socketLayers, level))
		end := min(length, uint64(len(b)))
		if level == unix.SOL_SOCKET {
			p.text(p.value(controlTypes, kind))
			if end > header {
				p.controlData(b[header:end], kind)
			}
		} else {
			p.text(hexText(kind))
		}
		p.text("}")
		next := (end + 7) &^ 7
		if end < header || next >= uint64(len(b)) {
			break
		}
		b = b[next:]
	}
	p.text("]")
}

func (p *Printer) controlData(b []byte, kind uint64) {
	switch {
	case kind == unix.SCM_RIGHTS && len(b) >= 4:
		p.text(", cmsg_data=[")
		for i := 0; i+4 <= len(b); i += 4 {
			if i > 0 {
				p.text(", ")
			}
			p.descriptor(word(b, i, 4))
		}
		p.text("]")
	case kind == unix.SCM_CREDENTIALS && len(b) >= 12:
		p.text(", cmsg_data={pid=")
		p.pid(word(b, 0, 4))
		p.format(", uid=%d, gid=%d}", word(b, 4, 4), word(b, 8, 4))
	}
}

// received prints the message of recvmsg(2).
func received(i int) Arg {
	a := onExit(message(i, result()))
	a.before = []tracespec.Op{fixed(argument(i), msghdrSize)}
	print := a.print
	a.print = func(p *Printer, in *Input) {
		if b := in.before(0); in.Failed() && b != nil {
			p.format("{msg_namelen=%d}", int32(word(b, 8, 4)))
			return
		}
		print(p, in)
	}
	return a
}

// receivedBuffer prints the buffer of recvfrom(2), whose result may be greater than the buffer.
func receivedBuffer(i, size int) Arg {
	a := outBuffer(i)
	a.ops[0].Kind = tracespec.Prefix
	a.print = func(p *Printer, in *Input) {
		printBuffer(p, in, in.Arguments[i], min(uint64(max(in.Result, 0)), in.Arguments[size]))
	}
	return a
}

// option prints the name of a socket option, which depends on the level.
func option(p *Printer, in *Input, v uint64) {
	if t := levelOpts[uint32(in.Arguments[1])]; t != nil {
		p.text(p.value(t, uint64(uint32(v))))
		return
	}
	p.text(hexText(uint64(uint32(v))))
}

// optionValue prints the value of a socket option: a number, or a structure.
func optionValue(p *Printer, in *Input, b []byte) {
	socket := uint32(in.Arguments[1]) == unix.SOL_SOCKET
	switch name := in.Arguments[2]; {
	case socket && name == unix.SO_LINGER && len(b) >= 8:
		p.format("{l_onoff=%d, l_linger=%d}", int32(word(b, 0, 4)), int32(word(b, 4, 4)))
	case socket && name == unix.SO_PEERCRED && len(b) >= 12:
		p.format("{pid=%d, uid=%d, gid=%d}", int32(word(b, 0, 4)), word(b, 4, 4), word(b, 8, 4))
	case socket && (name == 20 || name == 21) && len(b) >= 16:
		timeval(p, in, b)
	case socket && name == unix.SO_ERROR && len(b) >= 4 && word(b, 0, 4) != 0:
		p.text("[" + ErrnoName(int(word(b, 0, 4))) + "]")
	case len(b) == 4:
		p.format("[%d]", int32(word(b, 0, 4)))
	case socket && len(b) < 4:
		hex := &Printer{Options: Options{Hex: HexAll}}
		hex.quote(b)
		p.text(hex.Take())
	default:
		p.data(b, uint64(len(b)))
	}
}

// optionSize returns the minimum size of an option of the level SOL_SOCKET that is set.
func optionSize(name uint64) int {
	switch name {
	case unix.SO_LINGER:
		return 8
	case 20, 21: // SO_RCVTIMEO_OLD, SO_SNDTIMEO_OLD
		return 16
	case unix.SO_BINDTODEVICE:
		return 1
	}
	return 4
}

// optionIn prints the value that setsockopt(2) sets.
func optionIn(i, length int) Arg {
	op := tracespec.Op{Kind: tracespec.Prefix, Address: argument(i), Count: argument(length), Unit: 1, Max: maxSockaddr}
	return Arg{ops: []tracespec.Op{op}, print: func(p *Printer, in *Input) {
		if b := in.capture(0); len(b) > 0 && int32(in.Arguments[length]) > 0 && (uint32(in.Arguments[1]) != unix.SOL_SOCKET || len(b) >= optionSize(in.Arguments[2])) {
			optionValue(p, in, b)
			return
		}
		p.address(in.Arguments[i])
	}}
}

// optionOut prints the value that getsockopt(2) has stored, and its length.
func optionOut(i, length int) []Arg {
	list := addressOut(i, length)
	list[1].print = func(p *Printer, in *Input) { printLength(p, in, in.Arguments[length]) }
	list[0].print = func(p *Printer, in *Input) {
		if b := in.capture(1); len(b) > 0 {
			optionValue(p, in, b)
			return
		}
		p.address(in.Arguments[i])
	}
	return list
}

// socketRows are the calls on sockets.
var socketRows = []Row{
	call(unix.SYS_SOCKET, "socket", "network", at(0, oneOf(socketFamilies)), at(1, socketType), at(2, protocol)).givesFD(),
	call(unix.SYS_SOCKETPAIR, "socketpair", "network", at(0, oneOf(socketFamilies)), at(1, socketType), at(2, udec), descriptorPair(3)),
	call(unix.SYS_BIND, "bind", "network", fd(0), addressIn(1, 2), at(2, dec)),
	call(unix.SYS_CONNECT, "connect", "network", fd(0), addressIn(1, 2), at(2, dec)),
	call(unix.SYS_LISTEN, "listen", "network", fd(0), at(1, dec)),
	call(unix.SYS_ACCEPT, "accept", "network", slices.Concat([]Arg{fd(0)}, addressOut(1, 2))...).givesFD(),
	call(unix.SYS_ACCEPT4, "accept4", "network", slices.Concat([]Arg{fd(0)}, addressOut(1, 2), []Arg{at(3, flagsOf(socketFlags))})...).givesFD(),
	call(unix.SYS_GETSOCKNAME, "getsockname", "network", slices.Concat([]Arg{fd(0)}, addressOut(1, 2))...),
	call(unix.SYS_GETPEERNAME, "getpeername", "network", slices.Concat([]Arg{fd(0)}, addressOut(1, 2))...),
	call(unix.SYS_SENDTO, "sendto", "network", fd(0), inBuffer(1, 2), at(2, ulong), at(3, flagsOf(messageFlags)), addressIn(4, 5), at(5, dec)),
	call(unix.SYS_RECVFROM, "recvfrom", "network", slices.Concat([]Arg{fd(0), receivedBuffer(1, 2), at(2, ulong), at(3, flagsOf(messageFlags))}, addressOut(4, 5))...),
	call(unix.SYS_SENDMSG, "sendmsg", "network", fd(0), message(1, constant(1<<62)), at(2, flagsOf(messageFlags))),
	call(unix.SYS_RECVMSG, "recvmsg", "network", fd(0), received(1), at(2, flagsOf(messageFlags))),
	call(unix.SYS_SENDMMSG, "sendmmsg", "network", fd(0), messages(1, 2, false), at(2, udec), at(3, flagsOf(messageFlags))),
	call(unix.SYS_RECVMMSG, "recvmmsg", "network", fd(0), messages(1, 2, true), at(2, udec), at(3, flagsOf(messageFlags)), even(structIn(4, timespecSize, timespec)), leftOfWait(4)),
	call(unix.SYS_SHUTDOWN, "shutdown", "network", fd(0), at(1, oneOf(shutdownWays))),
	call(unix.SYS_SETSOCKOPT, "setsockopt", "network", fd(0), at(1, oneOf(socketLayers)), at(2, option), optionIn(3, 4), at(4, dec)),
	call(unix.SYS_GETSOCKOPT, "getsockopt", "network", slices.Concat([]Arg{fd(0), at(1, oneOf(socketLayers)), at(2, option)}, optionOut(3, 4))...),
}
