package fs

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
)

// Permission is a set of accesses to an inode, with the bits of access(2).
type Permission uint32

// The bits of access(2).
const (
	MayExecute Permission = unix.X_OK // or search a directory
	MayWrite   Permission = unix.W_OK
	MayRead    Permission = unix.R_OK
)

// AccessRule is implemented by an inode whose permissions do not follow from its
// mode alone (Linux: inode_operations.permission).
type AccessRule interface {
	// PermitAccess returns nil if caller has the permissions want. byMode is the
	// result of the mode bits and the capabilities: nil or EACCES. It is called
	// with the namespace locked and must not sleep.
	PermitAccess(caller Caller, want Permission, byMode error) error
}

// permitInode checks the permissions want on an inode for caller, with the
// credentials c: those of caller, or for access(2) those with its real ids. Error:
// EACCES.
func permitInode(i Inode, a *Attributes, caller Caller, c *cred.Credentials, want Permission) error {
	err := permit(a, c, want)
	if rule, ok := i.(AccessRule); ok {
		return rule.PermitAccess(caller, want, err)
	}
	return err
}

// permit checks the permissions want by mode bits and capabilities
// (path_resolution(7)). Error: EACCES.
func permit(a *Attributes, c *cred.Credentials, want Permission) error {
	granted := a.Mode
	switch {
	case a.UID == c.FSUID:
		granted >>= 6
	case c.InGroup(a.GID):
		granted >>= 3
	}
	if uint32(want)&^granted == 0 {
		return nil
	}
	if overrides(a, c, want) {
		return nil
	}
	return unix.EACCES
}

// overrides reports whether a capability grants what the mode bits do not
// (capabilities(7), CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH).
func overrides(a *Attributes, c *cred.Credentials, want Permission) bool {
	readOnly := want&MayWrite == 0
	if a.IsDirectory() {
		return c.Has(cred.DACOverride) || readOnly && c.Has(cred.DACReadSearch)
	}
	if want&MayExecute != 0 && a.Mode&0o111 == 0 {
		return false
	}
	return c.Has(cred.DACOverride) || want == MayRead && c.Has(cred.DACReadSearch)
}

// owns reports whether the caller owns the inode or has CAP_FOWNER.
func owns(a *Attributes, c *cred.Credentials) bool {
	return a.UID == c.FSUID || c.Has(cred.FOwner)
}

// mayAdd checks that a name may be added to the directory at p. Errors: EROFS,
// ENOENT if the directory was removed, EACCES.
func mayAdd(p Path, c *cred.Credentials) error {
	if p.mount.readOnly() {
		return unix.EROFS
	}
	if p.dentry.deleted {
		return unix.ENOENT
	}
	a := p.dentry.inode.Attributes()
	return permit(&a, c, MayWrite|MayExecute)
}

// mayRemove checks that the name of victim may be removed from the directory at
// p. In a sticky directory only the owner of the file or of the directory may
// do so. Errors: EROFS, EACCES, EPERM.
func mayRemove(p Path, victim Inode, c *cred.Credentials) error {
	if p.mount.readOnly() {
		return unix.EROFS
	}
	directory := p.dentry.inode.Attributes()
	if err := permit(&directory, c, MayWrite|MayExecute); err != nil {
		return err
	}
	if directory.Mode&unix.S_ISVTX == 0 || directory.UID == c.FSUID {
		return nil
	}
	if a := victim.Attributes(); !owns(&a, c) {
		return unix.EPERM
	}
	return nil
}
