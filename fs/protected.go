package fs

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
)

// The settings /proc/sys/fs/protected_* (proc(5)) enable the rules below. The rules
// prevent that a program uses a name that another user has created in a shared
// directory. Errors: EACCES, EPERM for mayLink.

// Mode bits of a directory in which others may create names.
const (
	worldWritable = 0o002
	groupWritable = 0o020
)

// mayFollow checks a symbolic link in the directory at parent (protected_symlinks;
// Linux: may_follow_link).
func (w *walker) mayFollow(parent Path, link Inode) error {
	if w.mounts.Settings.ProtectedSymlinks.Get() == 0 {
		return nil
	}
	directory, a := parent.dentry.inode.Attributes(), link.Attributes()
	const shared = unix.S_ISVTX | worldWritable
	if directory.Mode&shared != shared || a.UID == w.cred.FSUID || a.UID == directory.UID {
		return nil
	}
	return unix.EACCES
}

// mayLink checks the source of link(2): without CAP_FOWNER it must belong to the
// caller, or be a regular file that the caller may read and write and that gives no
// privileges (protected_hardlinks; Linux: may_linkat).
func (m *Mounts) mayLink(inode Inode, c *cred.Credentials) error {
	a := inode.Attributes()
	if m.Settings.ProtectedHardlinks.Get() == 0 || owns(&a, c) || safeSource(&a, c) {
		return nil
	}
	return unix.EPERM
}

func safeSource(a *Attributes, c *cred.Credentials) bool {
	const setGID = unix.S_ISGID | unix.S_IXGRP
	return a.IsRegular() && a.Mode&unix.S_ISUID == 0 && a.Mode&setGID != setGID && permit(a, c, MayRead|MayWrite) == nil
}

// mayReuse checks an existing file that open(2) with O_CREAT has found in the directory
// at parent (protected_fifos, protected_regular; Linux: may_create_in_sticky).
func (m *Mounts) mayReuse(parent Path, inode Inode, c *cred.Credentials) error {
	a := inode.Attributes()
	level := int64(0)
	switch a.Type() {
	case unix.S_IFIFO:
		level = m.Settings.ProtectedFIFOs.Get()
	case unix.S_IFREG:
		level = m.Settings.ProtectedRegular.Get()
	}
	directory := parent.dentry.inode.Attributes()
	const inGroups = 2 // the level that includes directories of a group
	switch {
	case level == 0, directory.Mode&unix.S_ISVTX == 0, a.UID == directory.UID, a.UID == c.FSUID:
		return nil
	case directory.Mode&worldWritable != 0, directory.Mode&groupWritable != 0 && level >= inGroups:
		return unix.EACCES
	}
	return nil
}
