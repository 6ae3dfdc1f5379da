package task

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/mm"
)

// credentialsSubsystem is the identity (credentials(7)), and who may inspect the
// memory of a new program.
var credentialsSubsystem = Subsystem{
	Name: "credentials",
	Fork: func(parent, child *Task, _ *CloneArgs) error {
		child.credentials.Store(parent.Credentials())
		child.user.Store(parent.User())
		return nil
	},
	Exec: func(t *Task, x *Execution) {
		if x.Secure {
			// The parent must not signal a program that has more privileges
			// (prctl(2), PR_SET_PDEATHSIG).
			t.parentDeath.Store(0)
		}
		old := t.Credentials()
		if x.program.unreadable || old.EUID != old.UID || old.EGID != old.GID {
			t.SetDumpable(t.kernel.suidDumpable())
		} else {
			t.SetDumpable(mm.DumpableByUser)
		}
		t.setCredentials(x.program.credentials)
	},
}

// suidDumpable returns the dumpable value of programs that have changed their
// identity (/proc/sys/fs/suid_dumpable).
func (k *Kernel) suidDumpable() mm.Dumpable { return mm.Dumpable(k.config.Settings.SuidDumpable.Get()) }

// setCredentials publishes new credentials (Linux: commit_creds). If an effective or
// file-system id changes, or the task gains a capability, its memory may hold
// secrets of the other identity: it is no longer dumpable, and PR_SET_PDEATHSIG is
// cleared (prctl(2)). This happens before the new credentials are visible, because
// MayInspect reads the credentials first. If the real user changes, the task is
// counted for the new one. Only the task's own goroutine calls it.
func (t *Task) setCredentials(next *cred.Credentials) {
	old := t.Credentials()
	if old.EUID != next.EUID || old.EGID != next.EGID || old.FSUID != next.FSUID || old.FSGID != next.FSGID ||
		next.Permitted&^old.Permitted != 0 {
		t.SetDumpable(t.kernel.suidDumpable())
		t.parentDeath.Store(0)
	}
	t.credentials.Store(next)
	if old.UID != next.UID {
		t.user.Store(t.kernel.users.addTasks(next.UID, 1))
		t.kernel.users.addTasks(old.UID, -1)
	}
}

// Bits of PR_SET_SECUREBITS and of personality(2) that matter to execve(2).
const (
	secureNoRoot   = 1 << 0 // SECBIT_NOROOT
	secureKeepCaps = 1 << 4 // SECBIT_KEEP_CAPS

	// clearedOnSetID are the bits that a set-user-ID program must not inherit:
	// READ_IMPLIES_EXEC, ADDR_NO_RANDOMIZE, ADDR_COMPAT_LAYOUT, MMAP_PAGE_ZERO
	// (Linux: PER_CLEAR_ON_SETID).
	clearedOnSetID = 0x0400000 | addrNoRandomize | 0x0200000 | 0x0100000
)

// execSafety says whether execve(2) may give the program privileges that its caller
// lacks (Linux: bprm->unsafe).
type execSafety uint8

const (
	// safeExec: the program may gain privileges.
	safeExec execSafety = iota
	// sharedExec: another process shares the root and working directory
	// (CLONE_FS). It could change them under a privileged program.
	sharedExec
	// tracedExec: the tracer could control a privileged program.
	tracedExec
	// noNewPrivileges: PR_SET_NO_NEW_PRIVS is set.
	noNewPrivileges
)

// execCredentials computes the identity of p after the execution of file (execve(2),
// capabilities(7); Linux: bprm_fill_uid, cap_bprm_creds_from_file).
func (t *Task) execCredentials(p *program, file *fs.File, safety execSafety) {
	safety = t.restrictTraced(safety)
	if t.noNewPrivs.Load() {
		safety = noNewPrivileges
	}
	old := t.Credentials()
	next := old.Clone()
	p.credentials, p.personality = next, t.personality.Load()
	if safety != noNewPrivileges && !file.Path().Statistics().NoSUID && applyFileIDs(next, file.Attributes()) {
		p.personality &^= clearedOnSetID
	}
	permitted, effective := execCapabilities(next)
	changesIDs := next.EUID != old.UID || next.EGID != old.GID
	if (changesIDs || permitted&^old.Permitted != 0) && safety != safeExec {
		if !old.Has(cred.SetUID) || safety == noNewPrivileges {
			next.EUID, next.EGID = next.UID, next.GID
		}
		permitted &= old.Permitted
	}
	next.SUID, next.FSUID = next.EUID, next.EUID
	next.SGID, next.FSGID = next.EGID, next.EGID
	if changesIDs {
		next.Ambient = 0
	}
	next.Permitted = permitted | next.Ambient
	next.Effective = next.Ambient
	if effective {
		next.Effective = next.Permitted
	}
	next.SecureBits &^= secureKeepCaps
	p.secure = changesIDs || next.UID != 0 && (effective || next.Permitted&^next.Ambient != 0)
}

// applyFileIDs sets the effective ids of a set-user-ID or set-group-ID file. It
// reports whether the file has one of the two bits in effect.
func applyFileIDs(c *cred.Credentials, a fs.Attributes) (applied bool) {
	if a.Mode&unix.S_ISUID != 0 {
		c.EUID, applied = a.UID, true
	}
	if a.Mode&(unix.S_ISGID|unix.S_IXGRP) == unix.S_ISGID|unix.S_IXGRP {
		c.EGID, applied = a.GID, true
	}
	return applied
}

// execCapabilities returns the permitted capabilities of a program whose file has
// none, before the ambient ones are added, and whether all permitted ones are
// effective: root gets all capabilities (Linux: handle_privileged_root).
func execCapabilities(c *cred.Credentials) (permitted cred.Capabilities, effective bool) {
	if c.SecureBits&secureNoRoot != 0 {
		return 0, false
	}
	if c.EUID == 0 || c.UID == 0 {
		permitted = c.Bounding | c.Inheritable
	}
	return permitted, c.EUID == 0
}

// beginExec makes the directories of the task safe for a privileged program:
// clone(2) with CLONE_FS fails until fs.Context.EndExec. If another process shares them
// already, the program gains no privileges (Linux: check_unsafe_exec).
func (t *Task) beginExec() execSafety {
	sharing := 0
	for _, other := range t.group.Threads() {
		if other.usesDirectories(t.FS) {
			sharing++
		}
	}
	if t.FS.BeginExec(sharing) {
		return safeExec
	}
	return sharedExec
}

// restrictTraced returns tracedExec in place of safeExec if the task is traced by a
// task without CAP_SYS_PTRACE (execve(2); Linux: ptracer_capable).
func (t *Task) restrictTraced(safety execSafety) execSafety {
	if safety == safeExec && t.tracerLacksPrivilege() {
		return tracedExec
	}
	return safety
}

// usesDirectories reports whether the task's root and working directory are c. Any
// goroutine may call it.
func (t *Task) usesDirectories(c *fs.Context) bool {
	t.resources.Lock()
	defer t.resources.Unlock()
	return t.FS == c
}
