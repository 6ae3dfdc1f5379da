package compat

// Stat is struct compat_stat (arch/x86/include/asm/compat.h), of stat, lstat and fstat.
type Stat struct {
	Dev              uint32
	Ino              uint32
	Mode, Nlink      uint16
	UID, GID         uint16
	Rdev             uint32
	Size, Blksize    uint32
	Blocks           uint32
	Atime, AtimeNsec uint32
	Mtime, MtimeNsec uint32
	Ctime, CtimeNsec uint32
	Unused4, Unused5 uint32
}

// Stat64 is struct stat64 (arch/x86/include/asm/sys_ia32.h), of stat64, lstat64, fstat64
// and fstatat64.
type Stat64 struct {
	Dev              Uint64
	Pad0             uint32
	Ino32            uint32
	Mode, Nlink      uint32
	UID, GID         uint32
	Rdev             Uint64
	Pad3             uint32
	Size             Uint64
	Blksize          uint32
	Blocks           Uint64
	Atime, AtimeNsec uint32
	Mtime, MtimeNsec uint32
	Ctime, CtimeNsec uint32
	Ino              Uint64
}

// OldStat is struct __old_kernel_stat (asm/stat.h), of the calls oldstat, oldlstat and
// oldfstat.
type OldStat struct {
	Dev, Ino, Mode, Nlink, UID, GID, Rdev uint16
	Pad                                   uint16
	Size, Atime, Mtime, Ctime             uint32
}

// Statfs is struct compat_statfs (linux/compat.h).
type Statfs struct {
	Type, Bsize, Blocks, Bfree, Bavail, Files, Ffree uint32
	Fsid                                             [2]int32
	Namelen, Frsize, Flags                           uint32
	Spare                                            [4]uint32
}

// Statfs64 is struct compat_statfs64 (linux/compat.h).
type Statfs64 struct {
	Type, Bsize                         uint32
	Blocks, Bfree, Bavail, Files, Ffree Uint64
	Fsid                                [2]int32
	Namelen, Frsize, Flags              uint32
	Spare                               [4]uint32
}

// Dirent is the beginning of struct compat_linux_dirent, up to the name, and of struct
// compat_old_linux_dirent of readdir(2).
type Dirent struct {
	Ino, Off uint32
	Reclen   uint16
	Pad      uint16
}

// Flock is struct compat_flock (linux/compat.h).
type Flock struct {
	Type, Whence int16
	Start, Len   int32
	PID          int32
}

// Flock64 is struct compat_flock64 (linux/compat.h).
type Flock64 struct {
	Type, Whence int16
	Start, Len   Uint64
	PID          int32
}

// Iovec is struct compat_iovec (linux/compat.h).
type Iovec struct{ Base, Len uint32 }

// PselectMask is struct compat_sigset_argpack (fs/select.c): the last argument of pselect6.
type PselectMask struct{ Set, Size uint32 }

// SelectArguments is struct compat_sel_arg_struct (fs/select.c): the arguments of the call
// 82, select.
type SelectArguments struct{ N, In, Out, Ex, Timeout uint32 }

// MmapArguments is struct mmap_arg_struct32 (arch/x86/kernel/sys_ia32.c): the arguments of
// the call 90, mmap.
type MmapArguments struct{ Addr, Len, Prot, Flags, FD, Offset uint32 }
