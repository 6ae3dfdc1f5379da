package cred

import "testing"

func TestMayInspectFollowsPtraceAccessModes(t *testing.T) {
	with := func(c *Credentials, change func(c *Credentials)) *Credentials {
		n := c.Clone()
		change(n)
		return n
	}
	user := User(1000, 1000)
	for _, c := range []struct {
		name           string
		caller, target *Credentials
		as             InspectAs
		dumpable       bool
		want           bool
	}{
		{"the same user", user, user, WithFileIDs, true, true},
		{"the same user, not dumpable", user, user, WithFileIDs, false, false},
		{"root, not dumpable", Root(), user, WithFileIDs, false, true},
		{"another user", User(1001, 1000), user, WithFileIDs, true, false},
		{"another group", User(1000, 1001), user, WithFileIDs, true, false},
		{"a target with another saved id", user, with(user, func(c *Credentials) { c.SUID = 0 }), WithFileIDs, true, false},
		{"a target with another real group", user, with(user, func(c *Credentials) { c.GID = 0 }), WithFileIDs, true, false},
		{"a target with a capability", user, with(user, func(c *Credentials) { c.Permitted = 1 }), WithFileIDs, true, false},
		{"the file-system ids differ", with(user, func(c *Credentials) { c.FSUID = 5 }), user, WithFileIDs, true, false},
		{"the file-system ids differ, real ids count", with(user, func(c *Credentials) { c.FSUID = 5 }), user, WithRealIDs, true, true},
		{"the real ids differ", with(user, func(c *Credentials) { c.UID = 5 }), user, WithRealIDs, true, false},
		{"the real ids differ, file-system ids count", with(user, func(c *Credentials) { c.UID = 5 }), user, WithFileIDs, true, true},
		{"the capability is permitted, not effective", with(user, func(c *Credentials) { c.Permitted = 1 }),
			with(user, func(c *Credentials) { c.Permitted = 1 }), WithFileIDs, true, false},
		{"the capability is permitted, real ids count", with(user, func(c *Credentials) { c.Permitted = 1 }),
			with(user, func(c *Credentials) { c.Permitted = 1 }), WithRealIDs, true, true},
		{"CAP_SYS_PTRACE", with(user, func(c *Credentials) { c.Effective = c.Effective.With(SysPTrace) }), Root(), WithFileIDs, false, true},
	} {
		if got := c.caller.MayInspect(c.target, c.as, c.dumpable); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
