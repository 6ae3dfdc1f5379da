// Package cred has the credentials of a task: its user and group ids, its
// supplementary groups and its capability sets, as in credentials(7) and
// capabilities(7).
//
// A published Credentials value never changes. A change makes a Clone, changes it,
// and swaps the pointer. A system call therefore can read one consistent set.
package cred

import "slices"

// Credentials are the identity of a task. Treat a published value as constant.
type Credentials struct {
	// The real, effective, saved and file-system ids of credentials(7). File
	// permissions are decided by the last pair, which follows the effective
	// ids unless setfsuid(2) or setfsgid(2) says otherwise.
	UID, EUID, SUID, FSUID uint32
	GID, EGID, SGID, FSGID uint32

	// Groups are the supplementary groups, sorted.
	Groups []uint32

	// The five sets of capabilities(7).
	Effective   Capabilities
	Permitted   Capabilities
	Inheritable Capabilities
	Bounding    Capabilities
	Ambient     Capabilities

	// SecureBits are the SECBIT_ flags of PR_SET_SECUREBITS.
	SecureBits uint32
}

// MaxGroups is NGROUPS_MAX, the most supplementary groups setgroups(2) takes.
const MaxGroups = 65536

// Root returns new credentials of user 0 with every capability.
func Root() *Credentials {
	return &Credentials{Effective: AllCapabilities, Permitted: AllCapabilities, Bounding: AllCapabilities}
}

// User returns new credentials of an ordinary user without capabilities.
func User(uid, gid uint32) *Credentials {
	return &Credentials{
		UID: uid, EUID: uid, SUID: uid, FSUID: uid,
		GID: gid, EGID: gid, SGID: gid, FSGID: gid,
		Bounding: AllCapabilities,
	}
}

// Clone returns a copy that the caller may change before it publishes it.
func (c *Credentials) Clone() *Credentials {
	n := *c
	n.Groups = slices.Clone(c.Groups)
	return &n
}

// Has reports whether capability k is effective.
func (c *Credentials) Has(k Capability) bool { return c.Effective.Has(k) }

// InGroup reports whether gid is the file-system group or a supplementary one.
func (c *Credentials) InGroup(gid uint32) bool {
	if c.FSGID == gid {
		return true
	}
	_, found := slices.BinarySearch(c.Groups, gid)
	return found
}

// MayInspect reports whether a task with the credentials c may read the state
// of one with the credentials target, as far as credentials decide: the same
// user and group in every respect and no more capabilities, or CAP_SYS_PTRACE
// (ptrace(2), PTRACE_MODE_READ_FSCREDS).
func (c *Credentials) MayInspect(target *Credentials) bool {
	if c.Has(SysPTrace) {
		return true
	}
	sameUser := c.FSUID == target.EUID && c.FSUID == target.SUID && c.FSUID == target.UID
	sameGroup := c.FSGID == target.EGID && c.FSGID == target.SGID && c.FSGID == target.GID
	return sameUser && sameGroup && target.Permitted&^c.Permitted == 0
}

// WithRealIDs returns a copy whose file-system ids are the real ids, and whose
// capabilities are those of a program of that user (access(2)).
func (c *Credentials) WithRealIDs() *Credentials {
	n := c.Clone()
	n.FSUID, n.FSGID = c.UID, c.GID
	n.Effective = 0
	if c.UID == 0 {
		n.Effective = c.Permitted
	}
	return n
}
