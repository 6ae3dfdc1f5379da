package cred

// MayInspect reports whether a task with credentials c may read the state of
// one with the credentials target, as far as credentials decide (ptrace(2),
// PTRACE_MODE_READ_FSCREDS): all ids are the same and the target has no further
// capabilities, or c has CAP_SYS_PTRACE.
func (c *Credentials) MayInspect(target *Credentials) bool {
	if c.Has(SysPTrace) {
		return true
	}
	return c.FSUID == target.EUID && c.FSUID == target.SUID && c.FSUID == target.UID &&
		c.FSGID == target.EGID && c.FSGID == target.SGID && c.FSGID == target.GID &&
		target.Permitted&^c.Permitted == 0
}
