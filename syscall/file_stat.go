package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/task"
)

// statOf converts attributes to a struct stat.
func statOf(a *fs.Attributes) abi.Stat {
	return abi.Stat{
		Dev: a.Device, Ino: a.Inode, Nlink: uint64(a.Links), Mode: a.Mode, UID: a.UID, GID: a.GID, Rdev: a.Rdev,
		Size: a.Size, Blksize: int64(a.BlockSize), Blocks: a.Blocks,
		Atim: unix.NsecToTimespec(a.Access), Mtim: unix.NsecToTimespec(a.Modify), Ctim: unix.NsecToTimespec(a.Change),
	}
}

// attributesCopy writes the attributes of a file in the structure of a call.
type attributesCopy func(t *task.Task, address uint64, a *fs.Attributes) error

func statName(t *task.Task, directory, address, buffer, flags uint64, copyOut attributesCopy) (uint64, error) {
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH|unix.AT_NO_AUTOMOUNT) != 0 {
		return 0, unix.EINVAL
	}
	return withName(t, directory, address, func(at fs.At) error {
		at.Follow = flags&unix.AT_SYMLINK_NOFOLLOW == 0
		at.Empty = flags&unix.AT_EMPTY_PATH != 0
		a, err := at.Attributes()
		if err != nil {
			return err
		}
		return copyOut(t, buffer, &a)
	})
}

func sysStat(t *task.Task, a *amd64.Args) (uint64, error) {
	return statName(t, atCWD, a[0], a[1], 0, copyOutStat)
}

func sysLstat(t *task.Task, a *amd64.Args) (uint64, error) {
	return statName(t, atCWD, a[0], a[1], unix.AT_SYMLINK_NOFOLLOW, copyOutStat)
}

func sysNewfstatat(t *task.Task, a *amd64.Args) (uint64, error) {
	flags := a[3] & 0xffffffff
	if flags == unix.AT_EMPTY_PATH && fd(a[0]) >= 0 { // fstat(3) of C libraries makes this call
		first, err := abi.CopyIn[byte](t, a[1])
		if err != nil {
			return 0, err
		}
		if first == 0 {
			return statDescriptor(t, a[0], a[2], copyOutStat)
		}
	}
	return statName(t, a[0], a[1], a[2], flags, copyOutStat)
}

func sysFstat(t *task.Task, a *amd64.Args) (uint64, error) {
	return statDescriptor(t, a[0], a[1], copyOutStat)
}

func statDescriptor(t *task.Task, register, buffer uint64, copyOut attributesCopy) (uint64, error) {
	file, err := t.FDs.GetPath(fd(register))
	if err != nil {
		return 0, err
	}
	defer file.DecRef()
	a := file.Attributes()
	return 0, copyOut(t, buffer, &a)
}

// statxSupported is the mask of the fields that statx(2) fills in.
const statxSupported = unix.STATX_BASIC_STATS | unix.STATX_BTIME | unix.STATX_MNT_ID

func statxTime(ns int64) abi.StatxTimestamp {
	v := unix.NsecToTimespec(ns)
	return abi.StatxTimestamp{Sec: v.Sec, Nsec: uint32(v.Nsec)}
}

// statxOf returns the struct statx of the inode at p.
func statxOf(p fs.Path) abi.Statx {
	a := p.Inode().Attributes()
	s := abi.Statx{
		Mask: statxSupported, Blksize: a.BlockSize, Nlink: a.Links, UID: a.UID, GID: a.GID, Mode: uint16(a.Mode),
		Ino: a.Inode, Size: uint64(a.Size), Blocks: uint64(a.Blocks),
		Atime: statxTime(a.Access), Btime: statxTime(a.Birth), Ctime: statxTime(a.Change), Mtime: statxTime(a.Modify),
		RdevMajor: unix.Major(a.Rdev), RdevMinor: unix.Minor(a.Rdev),
		DevMajor: unix.Major(a.Device), DevMinor: unix.Minor(a.Device),
		MountID:        uint64(p.Mount().ID()),
		AttributesMask: unix.STATX_ATTR_MOUNT_ROOT,
	}
	if p.IsMountRoot() {
		s.Attributes = unix.STATX_ATTR_MOUNT_ROOT
	}
	return s
}

func sysStatx(t *task.Task, a *amd64.Args) (uint64, error) {
	flags := uint32(a[2])
	const known = unix.AT_SYMLINK_NOFOLLOW | unix.AT_EMPTY_PATH | unix.AT_NO_AUTOMOUNT | (unix.AT_STATX_FORCE_SYNC | unix.AT_STATX_DONT_SYNC)
	if flags&^known != 0 || flags&(unix.AT_STATX_FORCE_SYNC|unix.AT_STATX_DONT_SYNC) == (unix.AT_STATX_FORCE_SYNC|unix.AT_STATX_DONT_SYNC) || uint32(a[3])&unix.STATX__RESERVED != 0 {
		return 0, unix.EINVAL
	}
	return withName(t, a[0], a[1], func(at fs.At) error {
		at.Follow = flags&unix.AT_SYMLINK_NOFOLLOW == 0
		at.Empty = flags&unix.AT_EMPTY_PATH != 0
		p, err := at.Lookup()
		if err != nil {
			return err
		}
		return abi.CopyOut(t, a[4], statxOf(p))
	})
}

// statfsOf returns the struct statfs of a file system.
func statfsOf(s *fs.Statistics) unix.Statfs_t {
	const valid = 0x20 // ST_VALID
	v := unix.Statfs_t{
		Type: s.Magic, Bsize: s.BlockSize, Blocks: s.Blocks, Bfree: s.Free, Bavail: s.Free,
		Files: s.Files, Ffree: s.FilesFree, Namelen: s.MaxName, Frsize: s.BlockSize, Flags: valid,
		Fsid: unix.Fsid{Val: [2]int32{int32(s.Identifier), int32(s.Identifier >> 32)}},
	}
	for _, f := range []struct {
		set bool
		bit int64
	}{{s.ReadOnly, unix.ST_RDONLY}, {s.NoSUID, unix.ST_NOSUID}, {s.NoEX, unix.ST_NOEXEC}} {
		if f.set {
			v.Flags |= f.bit
		}
	}
	return v
}

// statisticsCopy writes the statistics of a file system in the structure of a call.
type statisticsCopy func(t *task.Task, address uint64, s *fs.Statistics) error

func statfsName(t *task.Task, address, buffer uint64, copyOut statisticsCopy) (uint64, error) {
	return withName(t, atCWD, address, func(at fs.At) error {
		s, err := at.Statistics()
		if err != nil {
			return err
		}
		return copyOut(t, buffer, &s)
	})
}

func statfsDescriptor(t *task.Task, register, buffer uint64, copyOut statisticsCopy) (uint64, error) {
	file, err := t.FDs.GetPath(fd(register))
	if err != nil {
		return 0, err
	}
	defer file.DecRef()
	s := file.Path().Statistics()
	return 0, copyOut(t, buffer, &s)
}

func sysStatfs(t *task.Task, a *amd64.Args) (uint64, error) {
	return statfsName(t, a[0], a[1], copyOutStatfs)
}

func sysFstatfs(t *task.Task, a *amd64.Args) (uint64, error) {
	return statfsDescriptor(t, a[0], a[1], copyOutStatfs)
}

// realCaller is a task whose permissions are checked with its real ids, as
// access(2) requires.
type realCaller struct{ *task.Task }

// Credentials implements fs.Caller.
func (c realCaller) Credentials() *cred.Credentials { return c.Task.Credentials().WithRealIDs() }

func accessName(t *task.Task, directory, address, mode, flags uint64) (uint64, error) {
	if uint32(mode)&^7 != 0 || uint32(flags)&^(unix.AT_EACCESS|unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, unix.EINVAL
	}
	return withName(t, directory, address, func(at fs.At) error {
		if flags&unix.AT_EACCESS == 0 {
			at.Caller = realCaller{t}
		}
		at.Follow = flags&unix.AT_SYMLINK_NOFOLLOW == 0
		at.Empty = flags&unix.AT_EMPTY_PATH != 0
		return at.Access(fs.Permission(mode))
	})
}

func sysAccess(t *task.Task, a *amd64.Args) (uint64, error) {
	return accessName(t, atCWD, a[0], a[1], 0)
}

func sysFaccessat(t *task.Task, a *amd64.Args) (uint64, error) {
	return accessName(t, a[0], a[1], a[2], 0)
}

func sysFaccessat2(t *task.Task, a *amd64.Args) (uint64, error) {
	return accessName(t, a[0], a[1], a[2], a[3])
}
