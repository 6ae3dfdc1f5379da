package abi

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets and sizes in bytes, for system calls that write a single field and
// for those that name the size of a structure.
const (
	MsghdrNameLen      = uint64(unsafe.Offsetof(Msghdr{}.NameLen))
	MsghdrControlLen   = uint64(unsafe.Offsetof(Msghdr{}.ControlLen))
	MsghdrFlags        = uint64(unsafe.Offsetof(Msghdr{}.Flags))
	MmsghdrLen         = uint64(unsafe.Offsetof(Mmsghdr{}.Len))
	MmsghdrSize        = uint64(unsafe.Sizeof(Mmsghdr{}))
	RseqCSOffset       = uint64(unsafe.Offsetof(Rseq{}.RseqCS))
	RseqSize           = uint64(unsafe.Sizeof(Rseq{}))
	RobustListHeadSize = uint64(unsafe.Sizeof(RobustListHead{}))
	EpollEventSize     = uint64(unsafe.Sizeof(EpollEvent{}))
	TimevalSize        = uint64(unsafe.Sizeof(unix.Timeval{}))
	TimezoneSize       = uint64(unsafe.Sizeof(Timezone{}))
	Elf64PhdrSize      = uint64(unsafe.Sizeof(Elf64Phdr{}))
)
