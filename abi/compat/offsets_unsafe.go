package compat

import "unsafe"

// Offsets and sizes in bytes, as those of package abi.
const (
	MsghdrNameLen      = uint64(unsafe.Offsetof(Msghdr{}.NameLen))
	MsghdrControlLen   = uint64(unsafe.Offsetof(Msghdr{}.ControlLen))
	MsghdrFlags        = uint64(unsafe.Offsetof(Msghdr{}.Flags))
	MmsghdrLen         = uint64(unsafe.Offsetof(Mmsghdr{}.Len))
	MmsghdrSize        = uint64(unsafe.Sizeof(Mmsghdr{}))
	CmsghdrSize        = uint64(unsafe.Sizeof(Cmsghdr{}))
	RobustListHeadSize = uint64(unsafe.Sizeof(RobustListHead{}))
	TimevalSize        = uint64(unsafe.Sizeof(Timeval{}))
)
