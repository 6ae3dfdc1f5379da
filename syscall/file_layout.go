package syscall

import (
	"math"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/fs"
	"slowpath/task"
)

// maxNonLargeFile is the greatest size of a file that a program without large files sees
// (Linux: MAX_NON_LFS).
const maxNonLargeFile = math.MaxInt32

// copyOutStat writes the attributes in the structure of the call: struct stat, struct
// stat64 of i386, or struct compat_stat of its older calls.
func copyOutStat(t *task.Task, address uint64, a *fs.Attributes) error {
	switch t.Layout {
	case abi.Layout32:
		return abi.CopyOut(t, address, stat64Of(a))
	case abi.Layout32Time32:
		s, err := compatStatOf(a)
		if err != nil {
			return err
		}
		return abi.CopyOut(t, address, s)
	}
	return abi.CopyOut(t, address, statOf(a))
}

// stat64Of converts attributes to a struct stat64 of i386 (Linux: cp_stat64).
func stat64Of(a *fs.Attributes) compat.Stat64 {
	access, modify, change := unix.NsecToTimespec(a.Access), unix.NsecToTimespec(a.Modify), unix.NsecToTimespec(a.Change)
	return compat.Stat64{
		Dev: compat.NewUint64(a.Device), Ino32: uint32(a.Inode), Mode: a.Mode, Nlink: uint32(a.Links), UID: a.UID, GID: a.GID,
		Rdev: compat.NewUint64(a.Rdev), Size: compat.NewUint64(uint64(a.Size)),
		Blksize: a.BlockSize, Blocks: compat.NewUint64(uint64(a.Blocks)),
		Atime: uint32(access.Sec), AtimeNsec: uint32(access.Nsec),
		Mtime: uint32(modify.Sec), MtimeNsec: uint32(modify.Nsec),
		Ctime: uint32(change.Sec), CtimeNsec: uint32(change.Nsec),
		Ino: compat.NewUint64(a.Inode),
	}
}

// oldDevice returns a device number in the encoding with 8 bits for major and minor number,
// and reports whether it fits (Linux: old_encode_dev).
func oldDevice(device uint64) (encoded uint32, fits bool) {
	major, minor := unix.Major(device), unix.Minor(device)
	return major<<8 | minor, major < 256 && minor < 256
}

// overflowID is the id that stands for one that does not fit into 16 bits
// (/proc/sys/kernel/overflowuid).
const overflowID = 65534

// id16 returns a user or group id in 16 bits (Linux: high2lowuid).
func id16(id uint32) uint16 {
	if id > math.MaxUint16 {
		return overflowID
	}
	return uint16(id)
}

// compatStatOf converts attributes to a struct compat_stat: EOVERFLOW if they do not fit
// (Linux: cp_compat_stat).
func compatStatOf(a *fs.Attributes) (compat.Stat, error) {
	device, deviceFits := oldDevice(a.Device)
	rdev, rdevFits := oldDevice(a.Rdev)
	if !deviceFits || !rdevFits || a.Inode > math.MaxUint32 || a.Links > math.MaxUint16 || a.Size > maxNonLargeFile {
		return compat.Stat{}, unix.EOVERFLOW
	}
	access, modify, change := unix.NsecToTimespec(a.Access), unix.NsecToTimespec(a.Modify), unix.NsecToTimespec(a.Change)
	return compat.Stat{
		Dev: device, Ino: uint32(a.Inode), Mode: uint16(a.Mode), Nlink: uint16(a.Links), UID: id16(a.UID), GID: id16(a.GID),
		Rdev: rdev, Size: uint32(a.Size), Blksize: a.BlockSize, Blocks: uint32(a.Blocks),
		Atime: uint32(access.Sec), AtimeNsec: uint32(access.Nsec),
		Mtime: uint32(modify.Sec), MtimeNsec: uint32(modify.Nsec),
		Ctime: uint32(change.Sec), CtimeNsec: uint32(change.Nsec),
	}, nil
}

// oldStatOf converts attributes to a struct __old_kernel_stat: EOVERFLOW if they do not fit
// (Linux: cp_old_stat).
func oldStatOf(a *fs.Attributes) (compat.OldStat, error) {
	s, err := compatStatOf(a)
	if err == nil && (s.Dev > math.MaxUint16 || s.Ino > math.MaxUint16) {
		err = unix.EOVERFLOW
	}
	return compat.OldStat{
		Dev: uint16(s.Dev), Ino: uint16(s.Ino), Mode: s.Mode, Nlink: s.Nlink, UID: s.UID, GID: s.GID, Rdev: uint16(s.Rdev),
		Size: s.Size, Atime: s.Atime, Mtime: s.Mtime, Ctime: s.Ctime,
	}, err
}

// copyOutStatfs writes a struct statfs, or a struct compat_statfs of i386: EOVERFLOW if
// the values do not fit (Linux: put_compat_statfs).
func copyOutStatfs(t *task.Task, address uint64, statistics *fs.Statistics) error {
	v := statfsOf(statistics)
	if !t.Layout.Narrow() {
		return abi.CopyOut(t, address, v)
	}
	if (v.Blocks|v.Bfree|v.Bavail|uint64(v.Bsize)|uint64(v.Frsize))>>32 != 0 ||
		v.Files != math.MaxUint64 && v.Files>>32 != 0 || v.Ffree != math.MaxUint64 && v.Ffree>>32 != 0 {
		return unix.EOVERFLOW
	}
	return abi.CopyOut(t, address, compat.Statfs{
		Type: uint32(v.Type), Bsize: uint32(v.Bsize), Blocks: uint32(v.Blocks), Bfree: uint32(v.Bfree), Bavail: uint32(v.Bavail),
		Files: uint32(v.Files), Ffree: uint32(v.Ffree), Fsid: v.Fsid.Val,
		Namelen: uint32(v.Namelen), Frsize: uint32(v.Frsize), Flags: uint32(v.Flags),
	})
}

// copyOutStatfs64 writes the struct statfs64 of i386.
func copyOutStatfs64(t *task.Task, address uint64, statistics *fs.Statistics) error {
	v := statfsOf(statistics)
	return abi.CopyOut(t, address, compat.Statfs64{
		Type: uint32(v.Type), Bsize: uint32(v.Bsize), Blocks: compat.NewUint64(v.Blocks), Bfree: compat.NewUint64(v.Bfree),
		Bavail: compat.NewUint64(v.Bavail), Files: compat.NewUint64(v.Files), Ffree: compat.NewUint64(v.Ffree), Fsid: v.Fsid.Val,
		Namelen: uint32(v.Namelen), Frsize: uint32(v.Frsize), Flags: uint32(v.Flags),
	})
}

// flockWidth is the width of the offsets in the struct flock of an fcntl(2) command of a
// 32-bit program.
type flockWidth uint8

const (
	flockLong flockWidth = iota // F_SETLK and its variants: off_t
	flock64                     // F_SETLK64, F_OFD_SETLK and their variants: loff_t
)

// copyInFlock reads a struct flock.
func copyInFlock(t *task.Task, address uint64, width flockWidth) (abi.Flock, error) {
	if width == flock64 {
		return load(t, t.Layout.Narrow(), address, func(n compat.Flock64) abi.Flock {
			return abi.Flock{Type: n.Type, Whence: n.Whence, Start: int64(n.Start.Value()), Len: int64(n.Len.Value()), PID: n.PID}
		})
	}
	return load(t, t.Layout.Narrow(), address, func(n compat.Flock) abi.Flock {
		return abi.Flock{Type: n.Type, Whence: n.Whence, Start: int64(n.Start), Len: int64(n.Len), PID: n.PID}
	})
}

// copyOutFlock writes a struct flock. EOVERFLOW if the start does not fit (Linux:
// fixup_compat_flock).
func copyOutFlock(t *task.Task, address uint64, width flockWidth, v abi.Flock) error {
	if width == flock64 {
		return store(t, t.Layout.Narrow(), address, v, func(v abi.Flock) compat.Flock64 {
			return compat.Flock64{
				Type: v.Type, Whence: v.Whence, Start: compat.NewUint64(uint64(v.Start)), Len: compat.NewUint64(uint64(v.Len)), PID: v.PID,
			}
		})
	}
	if t.Layout.Narrow() && v.Start > math.MaxInt32 {
		return unix.EOVERFLOW
	}
	return store(t, t.Layout.Narrow(), address, v, func(v abi.Flock) compat.Flock {
		return compat.Flock{Type: v.Type, Whence: v.Whence, Start: int32(v.Start), Len: int32(min(v.Len, math.MaxInt32)), PID: v.PID}
	})
}

// copyInOffset reads a file offset: a loff_t, or an off_t of the older calls of i386.
func copyInOffset(t *task.Task, address uint64) (int64, error) {
	return load(t, hasTime32(t), address, func(n int32) int64 { return int64(n) })
}

// copyOutOffset writes a file offset. EOVERFLOW if it does not fit.
func copyOutOffset(t *task.Task, address uint64, offset int64) error {
	if hasTime32(t) && offset > math.MaxInt32 {
		return unix.EOVERFLOW
	}
	return store(t, hasTime32(t), address, offset, func(v int64) int32 { return int32(v) })
}

// appendCompatDirent appends a struct compat_linux_dirent, whose last byte is the type.
func appendCompatDirent(records []byte, e *fs.DirectoryEntry, size int) []byte {
	header := compat.Dirent{Ino: uint32(e.Inode), Off: uint32(e.Next), Reclen: uint16(size)}
	end := len(records) + size
	records = append(records, abi.Bytes(&header)[:compatDirentHeader]...)
	records = append(records, e.Name...)
	records = append(records, make([]byte, end-len(records))...)
	records[end-1] = uint8(e.Type >> 12)
	return records
}

// compatDirentHeader is the size of a struct compat_linux_dirent up to the name.
const compatDirentHeader = 10
