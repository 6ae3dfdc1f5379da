package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/task"
)

// packStat lays out struct stat of x86-64.
func packStat(a *fs.Attributes) []byte {
	p := make(packer, 0, 144)
	p.u64(a.Device)
	p.u64(a.Inode)
	p.u64(uint64(a.Links))
	p.u32(a.Mode)
	p.u32(a.UID)
	p.u32(a.GID)
	p.u32(0)
	p.u64(a.Rdev)
	p.i64(a.Size)
	p.i64(int64(a.BlockSize))
	p.i64(a.Blocks)
	p.timespec(a.Access)
	p.timespec(a.Modify)
	p.timespec(a.Change)
	p.zeros(24)
	return p
}

func statName(t *task.Task, directory, address, buffer, flags uint64) (uint64, error) {
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
		return t.CopyOut(buffer, packStat(&a))
	})
}

func sysStat(t *task.Task, a *amd64.Args) (uint64, error) {
	return statName(t, here, a[0], a[1], 0)
}

func sysLstat(t *task.Task, a *amd64.Args) (uint64, error) {
	return statName(t, here, a[0], a[1], unix.AT_SYMLINK_NOFOLLOW)
}

func sysNewfstatat(t *task.Task, a *amd64.Args) (uint64, error) {
	flags := a[3] & 0xffffffff
	if flags == unix.AT_EMPTY_PATH && fd(a[0]) >= 0 { // C libraries have no other fstat
		var name [1]byte
		if err := t.CopyIn(a[1], name[:]); err != nil {
			return 0, err
		}
		if name[0] == 0 {
			return statDescriptor(t, a[0], a[2])
		}
	}
	return statName(t, a[0], a[1], a[2], flags)
}

func sysFstat(t *task.Task, a *amd64.Args) (uint64, error) {
	return statDescriptor(t, a[0], a[1])
}

func statDescriptor(t *task.Task, register, buffer uint64) (uint64, error) {
	file, err := t.FDs.GetPath(fd(register))
	if err != nil {
		return 0, err
	}
	defer file.DecRef()
	a := file.Attributes()
	return 0, t.CopyOut(buffer, packStat(&a))
}

// statxSupported are the fields that statx(2) fills.
const statxSupported = unix.STATX_BASIC_STATS | unix.STATX_BTIME | unix.STATX_MNT_ID

func (p *packer) statxTime(ns int64) {
	seconds, rest := splitTime(ns)
	p.i64(seconds)
	p.u32(uint32(rest))
	p.u32(0)
}

// packStatx lays out struct statx.
func packStatx(a *fs.Attributes, mountID int, mountRoot bool) []byte {
	p := make(packer, 0, 256)
	var attributes uint64
	if mountRoot {
		attributes = unix.STATX_ATTR_MOUNT_ROOT
	}
	p.u32(statxSupported)
	p.u32(a.BlockSize)
	p.u64(attributes)
	p.u32(a.Links)
	p.u32(a.UID)
	p.u32(a.GID)
	p.u16(uint16(a.Mode))
	p.u16(0)
	p.u64(a.Inode)
	p.i64(a.Size)
	p.i64(a.Blocks)
	p.u64(unix.STATX_ATTR_MOUNT_ROOT)
	for _, t := range [4]int64{a.Access, a.Birth, a.Change, a.Modify} {
		p.statxTime(t)
	}
	p.u32(unix.Major(a.Rdev))
	p.u32(unix.Minor(a.Rdev))
	p.u32(unix.Major(a.Device))
	p.u32(unix.Minor(a.Device))
	p.u64(uint64(mountID))
	p.zeros(256 - len(p))
	return p
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
		attributes := p.Inode().Attributes()
		return t.CopyOut(a[4], packStatx(&attributes, p.Mount().ID(), p.IsMountRoot()))
	})
}

// packStatfs lays out struct statfs.
func packStatfs(s *fs.Statistics) []byte {
	p := make(packer, 0, 120)
	p.i64(s.Magic)
	p.i64(s.BlockSize)
	p.u64(s.Blocks)
	p.u64(s.Free)
	p.u64(s.Free)
	p.u64(s.Files)
	p.u64(s.FilesFree)
	p.u64(s.Identifier)
	p.i64(s.MaxName)
	p.i64(s.BlockSize)
	flags := uint64(0x20) // ST_VALID
	for _, f := range []struct {
		set bool
		bit uint64
	}{{s.ReadOnly, unix.ST_RDONLY}, {s.NoSUID, unix.ST_NOSUID}, {s.NoEX, unix.ST_NOEXEC}} {
		if f.set {
			flags |= f.bit
		}
	}
	p.u64(flags)
	p.zeros(32)
	return p
}

func sysStatfs(t *task.Task, a *amd64.Args) (uint64, error) {
	return withName(t, here, a[0], func(at fs.At) error {
		s, err := at.Statistics()
		if err != nil {
			return err
		}
		return t.CopyOut(a[1], packStatfs(&s))
	})
}

func sysFstatfs(t *task.Task, a *amd64.Args) (uint64, error) {
	file, err := t.FDs.GetPath(fd(a[0]))
	if err != nil {
		return 0, err
	}
	defer file.DecRef()
	s := file.Path().Statistics()
	return 0, t.CopyOut(a[1], packStatfs(&s))
}

// realCaller is a task that is judged by its real ids, as access(2) wants.
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
	return accessName(t, here, a[0], a[1], 0)
}

func sysFaccessat(t *task.Task, a *amd64.Args) (uint64, error) {
	return accessName(t, a[0], a[1], a[2], 0)
}

func sysFaccessat2(t *task.Task, a *amd64.Args) (uint64, error) {
	return accessName(t, a[0], a[1], a[2], a[3])
}
