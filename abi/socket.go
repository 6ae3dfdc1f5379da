package abi

// Msghdr is struct msghdr (recvmsg(2)).
type Msghdr struct {
	Name       uint64
	NameLen    uint32
	Pad        uint32
	Iov        uint64
	IovLen     uint64
	Control    uint64
	ControlLen uint64
	Flags      uint32
	Pad1       uint32
}

// Mmsghdr is struct mmsghdr (recvmmsg(2)).
type Mmsghdr struct {
	Hdr Msghdr
	Len uint32
	Pad uint32
}
