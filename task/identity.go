package task

import (
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/cred"
)

// SECBIT_ flags that matter to changes of ids (capabilities(7)).
const secureNoSetUIDFixup = 1 << 2

// SetUID is setuid(2): EINVAL for Keep, EPERM.
func (t *Task) SetUID(uid uint32) error {
	return t.changeUIDs(func(old ids, privileged bool) (ids, error) { return old.set(uid, privileged) })
}

// SetRealUIDs is setreuid(2): EPERM.
func (t *Task) SetRealUIDs(real, effective uint32) error {
	return t.changeUIDs(func(old ids, privileged bool) (ids, error) { return old.setReal(real, effective, privileged) })
}

// SetAllUIDs is setresuid(2): EPERM.
func (t *Task) SetAllUIDs(real, effective, saved uint32) error {
	return t.changeUIDs(func(old ids, privileged bool) (ids, error) {
		return old.setAll(ids{real, effective, saved}, privileged)
	})
}

// changeUIDs publishes the user ids that rule returns, and the capabilities that
// follow from them.
func (t *Task) changeUIDs(rule func(old ids, privileged bool) (ids, error)) error {
	old := t.Credentials()
	user, err := rule(ids{old.UID, old.EUID, old.SUID}, old.Has(cred.SetUID))
	if err != nil {
		return err
	}
	next := old.Clone()
	next.UID, next.EUID, next.SUID = user.real, user.effective, user.saved
	next.FSUID = next.EUID
	fixCapabilities(old, next)
	t.setCredentials(next)
	return nil
}

// fixCapabilities changes capabilities after a change of user ids
// (capabilities(7), "Effect of user ID changes on capabilities").
func fixCapabilities(old, next *cred.Credentials) {
	if old.SecureBits&secureNoSetUIDFixup != 0 {
		return
	}
	wasRoot := old.UID == 0 || old.EUID == 0 || old.SUID == 0
	isRoot := next.UID == 0 || next.EUID == 0 || next.SUID == 0
	if wasRoot && !isRoot {
		if old.SecureBits&secureKeepCaps == 0 {
			next.Permitted, next.Effective = 0, 0
		}
		next.Ambient = 0
	}
	if old.EUID == 0 && next.EUID != 0 {
		next.Effective = 0
	}
	if old.EUID != 0 && next.EUID == 0 {
		next.Effective = next.Permitted
	}
}

// SetFSUID is setfsuid(2): it returns the old id, also if the id does not change.
func (t *Task) SetFSUID(uid uint32) uint32 {
	old := t.Credentials()
	allowed := uid == old.UID || uid == old.EUID || uid == old.SUID || uid == old.FSUID || old.Has(cred.SetUID)
	if uid == Keep || !allowed || uid == old.FSUID {
		return old.FSUID
	}
	next := old.Clone()
	next.FSUID = uid
	if old.SecureBits&secureNoSetUIDFixup == 0 {
		if old.FSUID == 0 {
			next.Effective &^= cred.FileCapabilities
		} else if uid == 0 {
			next.Effective |= next.Permitted & cred.FileCapabilities
		}
	}
	t.setCredentials(next)
	return old.FSUID
}

// SetGID is setgid(2): EINVAL for Keep, EPERM.
func (t *Task) SetGID(gid uint32) error {
	return t.changeGIDs(func(old ids, privileged bool) (ids, error) { return old.set(gid, privileged) })
}

// SetRealGIDs is setregid(2): EPERM.
func (t *Task) SetRealGIDs(real, effective uint32) error {
	return t.changeGIDs(func(old ids, privileged bool) (ids, error) { return old.setReal(real, effective, privileged) })
}

// SetAllGIDs is setresgid(2): EPERM.
func (t *Task) SetAllGIDs(real, effective, saved uint32) error {
	return t.changeGIDs(func(old ids, privileged bool) (ids, error) {
		return old.setAll(ids{real, effective, saved}, privileged)
	})
}

// changeGIDs publishes the group ids that rule returns. No capability depends on
// them.
func (t *Task) changeGIDs(rule func(old ids, privileged bool) (ids, error)) error {
	old := t.Credentials()
	group, err := rule(ids{old.GID, old.EGID, old.SGID}, old.Has(cred.SetGID))
	if err != nil {
		return err
	}
	next := old.Clone()
	next.GID, next.EGID, next.SGID = group.real, group.effective, group.saved
	next.FSGID = next.EGID
	t.setCredentials(next)
	return nil
}

// SetFSGID is setfsgid(2): it returns the old id, also if the id does not change.
func (t *Task) SetFSGID(gid uint32) uint32 {
	old := t.Credentials()
	allowed := gid == old.GID || gid == old.EGID || gid == old.SGID || gid == old.FSGID || old.Has(cred.SetGID)
	if gid == Keep || !allowed || gid == old.FSGID {
		return old.FSGID
	}
	next := old.Clone()
	next.FSGID = gid
	t.setCredentials(next)
	return old.FSGID
}

// SetGroups is setgroups(2): EPERM.
func (t *Task) SetGroups(groups []uint32) error {
	old := t.Credentials()
	if !old.Has(cred.SetGID) {
		return unix.EPERM
	}
	next := old.Clone()
	next.Groups = slices.Sorted(slices.Values(groups))
	t.setCredentials(next)
	return nil
}

// SetCapabilities is capset(2) for the caller itself: EPERM.
func (t *Task) SetCapabilities(effective, permitted, inheritable cred.Capabilities) error {
	old := t.Credentials()
	bound := old.Inheritable | old.Permitted
	if old.Has(cred.SetPCap) {
		bound = ^cred.Capabilities(0)
	}
	switch {
	case inheritable&^bound != 0,
		inheritable&^(old.Inheritable|old.Bounding) != 0,
		permitted&^old.Permitted != 0,
		effective&^permitted != 0:
		return unix.EPERM
	}
	next := old.Clone()
	next.Effective = effective & cred.AllCapabilities
	next.Permitted = permitted & cred.AllCapabilities
	next.Inheritable = inheritable & cred.AllCapabilities
	next.Ambient &= permitted & inheritable
	t.setCredentials(next)
	return nil
}

// ChangeCredentials calls change with a copy of the credentials and publishes the
// copy, unless change fails. Only the task's own goroutine calls it.
func (t *Task) ChangeCredentials(change func(next *cred.Credentials) error) error {
	next := t.Credentials().Clone()
	if err := change(next); err != nil {
		return err
	}
	t.setCredentials(next)
	return nil
}
