package fs

import (
	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/cred"
)

// ChangeMode is chmod(2) on the inode at p. Errors: EPERM if the caller is not
// the owner, EROFS, EOPNOTSUPP for a symbolic link.
func (p Path) ChangeMode(caller Caller, mode uint32) error {
	if p.mount.readOnly() {
		return unix.EROFS
	}
	a := p.Inode().Attributes()
	c := caller.Credentials()
	if !owns(&a, c) {
		return unix.EPERM
	}
	if a.Type() == unix.S_IFLNK {
		return unix.EOPNOTSUPP
	}
	mode &= 0o7777
	if !c.InGroup(a.GID) && !c.Has(cred.FSetID) {
		mode &^= unix.S_ISGID
	}
	return p.Inode().Change(Changes{Mask: ChangeMode, Mode: mode})
}

// KeepID is a user or group id that ChangeOwner leaves unchanged (chown(2)).
const KeepID = ^uint32(0)

// ChangeOwner is chown(2) on the inode at p. Errors: EPERM, EROFS.
func (p Path) ChangeOwner(caller Caller, uid, gid uint32) error {
	if p.mount.readOnly() {
		return unix.EROFS
	}
	a := p.Inode().Attributes()
	c := caller.Credentials()
	change := Changes{UID: uid, GID: gid}
	if uid != KeepID {
		change.Mask |= ChangeUID
		if !c.Has(cred.Chown) && (a.UID != c.FSUID || uid != a.UID) {
			return unix.EPERM
		}
	}
	if gid != KeepID {
		change.Mask |= ChangeGID
		if !c.Has(cred.Chown) && (a.UID != c.FSUID || gid != a.GID && !c.InGroup(gid)) {
			return unix.EPERM
		}
	}
	if !a.IsDirectory() {
		change.Mask |= ChangeMode
		change.Mode = withoutSetID(a.Mode)
	}
	return p.Inode().Change(change)
}

// withoutSetID returns the permission bits of mode after a change of owner or
// an unprivileged write: without set-user-ID, and without set-group-ID if the
// group may execute the file.
func withoutSetID(mode uint32) uint32 {
	mode &= 0o7777 &^ unix.S_ISUID
	if mode&unix.S_IXGRP != 0 {
		mode &^= unix.S_ISGID
	}
	return mode
}

// DropSetID clears the set-user-ID and set-group-ID bits after an unprivileged
// write.
func (f *File) DropSetID() {
	a := f.Attributes()
	if mode := withoutSetID(a.Mode); mode != a.Mode&0o7777 {
		f.Inode().Change(Changes{Mask: ChangeMode, Mode: mode})
	}
}

// Times are the arguments of utimensat(2). Each time is set to a value in
// nanoseconds since 1970 or to the current time, or is not changed.
type Times struct {
	Access, Modify         int64
	AccessNow, ModifyNow   bool
	AccessKeep, ModifyKeep bool
}

// ChangeTimes is utimensat(2) on the inode at p. Errors: EROFS. If the caller
// is not the owner: EPERM, or, if both times become the current time, EACCES
// without write permission.
func (p Path) ChangeTimes(caller Caller, t Times) error {
	if t.AccessKeep && t.ModifyKeep {
		return nil
	}
	if p.mount.readOnly() {
		return unix.EROFS
	}
	a := p.Inode().Attributes()
	c := caller.Credentials()
	if !owns(&a, c) {
		if !t.AccessNow || !t.ModifyNow {
			return unix.EPERM
		}
		if err := permit(&a, c, MayWrite); err != nil {
			return err
		}
	}
	return p.Inode().Change(t.changes())
}

func (t Times) changes() Changes {
	now := clock.Realtime()
	c := Changes{Access: t.Access, Modify: t.Modify}
	if !t.AccessKeep {
		c.Mask |= ChangeAccess
	}
	if !t.ModifyKeep {
		c.Mask |= ChangeModify
	}
	if t.AccessNow {
		c.Access = now
	}
	if t.ModifyNow {
		c.Modify = now
	}
	return c
}

// Truncate is truncate(2) on the inode at p. Errors: EISDIR, EINVAL, EACCES,
// EROFS, ETXTBSY.
func (p Path) Truncate(caller Caller, size int64) error {
	a := p.Inode().Attributes()
	switch {
	case size < 0:
		return unix.EINVAL
	case a.IsDirectory():
		return unix.EISDIR
	case !a.IsRegular():
		return unix.EINVAL
	}
	if err := p.Permit(caller, MayWrite); err != nil {
		return err
	}
	return p.resize(size)
}
