// Package cred implements the credentials of a task: user and group ids,
// supplementary groups and capability sets (credentials(7), capabilities(7)).
//
// A published Credentials value never changes. A task changes its credentials by
// changing a Clone and swapping the pointer, so readers see a consistent value.
package cred

import "slices"

// Credentials are the identity of a task. Treat a published value as constant.
type Credentials struct {
	// The real, effective, saved and file-system ids (credentials(7)). The
	// file-system ids determine access to files. They equal the effective ids
	// unless setfsuid(2) or setfsgid(2) has changed them.
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

// MaxGroups is NGROUPS_MAX, the maximum number of supplementary groups
// (setgroups(2)).
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

// ExemptFromUserLimits reports whether the limits on what one user may hold in all
// processes do not apply: CAP_SYS_RESOURCE or CAP_SYS_ADMIN (capabilities(7)).
func (c *Credentials) ExemptFromUserLimits() bool { return c.Has(SysResource) || c.Has(SysAdmin) }

// InGroup reports whether gid is the file-system group id or a supplementary group.
func (c *Credentials) InGroup(gid uint32) bool {
	if c.FSGID == gid {
		return true
	}
	_, found := slices.BinarySearch(c.Groups, gid)
	return found
}

// InspectAs selects the identity of the caller in MayInspect.
type InspectAs bool

// The values of InspectAs.
const (
	// WithFileIDs compares the file-system ids and the effective capabilities
	// (ptrace(2), PTRACE_MODE_FSCREDS): access through a file of /proc.
	WithFileIDs InspectAs = false
	// WithRealIDs compares the real ids and the permitted capabilities
	// (PTRACE_MODE_REALCREDS): access by a system call on a process.
	WithRealIDs InspectAs = true
)

// MayInspect reports whether a task with the credentials c may read or change the
// state of a task of another process with the credentials target (ptrace(2),
// "Ptrace access mode checking"). The ids of c must equal all ids of target, and
// target must not have a permitted capability that c lacks. dumpable says whether
// the target's memory has the value SUID_DUMP_USER. CAP_SYS_PTRACE overrides each
// rule.
func (c *Credentials) MayInspect(target *Credentials, as InspectAs, dumpable bool) bool {
	if c.Has(SysPTrace) {
		return true
	}
	user, group, capabilities := c.FSUID, c.FSGID, c.Effective
	if as == WithRealIDs {
		user, group, capabilities = c.UID, c.GID, c.Permitted
	}
	sameUser := user == target.EUID && user == target.SUID && user == target.UID
	sameGroup := group == target.EGID && group == target.SGID && group == target.GID
	return sameUser && sameGroup && dumpable && target.Permitted&^capabilities == 0
}

// WithRealIDs returns a copy for access(2): the file-system ids are the real ids. The
// effective capabilities are the permitted ones if the real user is 0, else none.
func (c *Credentials) WithRealIDs() *Credentials {
	n := c.Clone()
	n.FSUID, n.FSGID = c.UID, c.GID
	n.Effective = 0
	if c.UID == 0 {
		n.Effective = c.Permitted
	}
	return n
}
