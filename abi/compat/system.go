package compat

// Msghdr is struct compat_msghdr (include/net/compat.h).
type Msghdr struct {
	Name       uint32
	NameLen    int32
	Iov        uint32
	IovLen     uint32
	Control    uint32
	ControlLen uint32
	Flags      uint32
}

// Cmsghdr is struct compat_cmsghdr.
type Cmsghdr struct {
	Len         uint32
	Level, Type int32
}

// Mmsghdr is struct compat_mmsghdr.
type Mmsghdr struct {
	Hdr Msghdr
	Len uint32
}

// Sysinfo is struct compat_sysinfo (kernel/sys.c).
type Sysinfo struct {
	Uptime              int32
	Loads               [3]uint32
	Totalram, Freeram   uint32
	Sharedram           uint32
	Bufferram           uint32
	Totalswap, Freeswap uint32
	Procs, Pad          uint16
	Totalhigh, Freehigh uint32
	MemUnit             uint32
	Fill                [8]uint8
}

// RobustListHead is struct compat_robust_list_head (linux/compat.h).
type RobustListHead struct {
	List          uint32
	FutexOffset   int32
	ListOpPending uint32
}

// SockFprog is struct compat_sock_fprog: a classic BPF program.
type SockFprog struct {
	Len    uint16
	Pad    uint16
	Filter uint32
}

// UserDesc is struct user_desc (asm/ldt.h): a segment descriptor of set_thread_area(2) and
// modify_ldt(2). It is the same for 64-bit programs.
type UserDesc struct {
	EntryNumber     uint32
	BaseAddr, Limit uint32
	Flags           uint32 // the bit fields: see the constants
}

// The bit fields of UserDesc.
const (
	Seg32Bit      = 1 << 0
	ContentsShift = 1 // two bits
	ReadExecOnly  = 1 << 3
	LimitInPages  = 1 << 4
	SegNotPresent = 1 << 5
	Useable       = 1 << 6
	LongMode      = 1 << 7
)
