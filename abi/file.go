package abi

import "golang.org/x/sys/unix"

// Stat is struct stat of x86-64 (stat(2), asm/stat.h).
type Stat struct {
	Dev, Ino, Nlink  uint64
	Mode, UID, GID   uint32
	Pad              uint32
	Rdev             uint64
	Size             int64
	Blksize, Blocks  int64
	Atim, Mtim, Ctim unix.Timespec
	Unused           [3]int64
}

// StatxTimestamp is struct statx_timestamp (linux/stat.h).
type StatxTimestamp struct {
	Sec  int64
	Nsec uint32
	Pad  int32
}

// Statx is struct statx (statx(2), linux/stat.h) up to the mount's identifier.
type Statx struct {
	Mask                       uint32
	Blksize                    uint32
	Attributes                 uint64
	Nlink, UID, GID            uint32
	Mode                       uint16
	Pad                        uint16
	Ino, Size, Blocks          uint64
	AttributesMask             uint64
	Atime, Btime, Ctime, Mtime StatxTimestamp
	RdevMajor, RdevMinor       uint32
	DevMajor, DevMinor         uint32
	MountID                    uint64
	Spare                      [13]uint64
}

// Flock is struct flock (fcntl(2), asm/fcntl.h).
type Flock struct {
	Type, Whence int16
	Pad          int32
	Start, Len   int64
	PID          int32
	Pad1         int32
}

// Iovec is struct iovec (readv(2), linux/uio.h).
type Iovec struct {
	Base, Len uint64
}

// EpollEvent is struct epoll_event (epoll_ctl(2), linux/eventpoll.h). The
// structure is packed, so the 64 bits of data are two fields here.
type EpollEvent struct {
	Events            uint32
	DataLow, DataHigh uint32
}

// Dirent64 is the beginning of struct linux_dirent64 (getdents64(2)). The name
// takes as many bytes as it needs.
type Dirent64 struct {
	Ino    uint64
	Off    int64
	Reclen uint16
	Type   uint8
	Name   [5]uint8
}

// Dirent is the beginning of struct linux_dirent (getdents(2)), which has the
// type in its last byte.
type Dirent struct {
	Ino    uint64
	Off    int64
	Reclen uint16
	Name   [6]uint8
}

// Termios is the kernel's struct termios (ioctl_tty(2), asm/termbits.h). Its
// successor with speeds, struct termios2, is unix.Termios.
type Termios struct {
	Iflag, Oflag, Cflag, Lflag uint32
	Line                       uint8
	Cc                         [19]uint8
}

// PselectMask is the pair that the sixth argument of pselect6(2) points to.
// Linux has no name for it.
type PselectMask struct {
	Set, Size uint64
}
