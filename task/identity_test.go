package task

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/cred"
)

// fourIDs holds the real, effective, saved and file-system user id.
type fourIDs [4]uint32

func TestUserIDChangesFollowCredentials7(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		root, user := fourIDs{0, 0, 0, 0}, fourIDs{10, 20, 30, 20}
		for name, c := range map[string]struct {
			from fourIDs
			call func(t *Task) error
			want fourIDs
			err  error
		}{
			"setuid by root":          {root, func(t *Task) error { return t.SetUID(5) }, fourIDs{5, 5, 5, 5}, nil},
			"setuid to saved":         {user, func(t *Task) error { return t.SetUID(30) }, fourIDs{10, 30, 30, 30}, nil},
			"setuid to other":         {user, func(t *Task) error { return t.SetUID(5) }, user, unix.EPERM},
			"setuid to -1":            {root, func(t *Task) error { return t.SetUID(Keep) }, root, unix.EINVAL},
			"setreuid swaps":          {user, func(t *Task) error { return t.SetRealUIDs(20, 10) }, fourIDs{20, 10, 10, 10}, nil},
			"setreuid keeps":          {user, func(t *Task) error { return t.SetRealUIDs(Keep, Keep) }, user, nil},
			"setreuid real to saved":  {user, func(t *Task) error { return t.SetRealUIDs(30, Keep) }, user, unix.EPERM},
			"setresuid permutes":      {user, func(t *Task) error { return t.SetAllUIDs(30, 10, 20) }, fourIDs{30, 10, 20, 10}, nil},
			"setresuid to other":      {user, func(t *Task) error { return t.SetAllUIDs(5, Keep, Keep) }, user, unix.EPERM},
			"setfsuid to real":        {user, func(t *Task) error { t.SetFSUID(10); return nil }, fourIDs{10, 20, 30, 10}, nil},
			"setfsuid to other fails": {user, func(t *Task) error { t.SetFSUID(5); return nil }, user, nil},
		} {
			next := cred.User(0, 0)
			if c.from == root {
				next = cred.Root()
			}
			next.UID, next.EUID, next.SUID, next.FSUID = c.from[0], c.from[1], c.from[2], c.from[3]
			t.setCredentials(next)
			err := c.call(t)
			got := t.Credentials()
			if (fourIDs{got.UID, got.EUID, got.SUID, got.FSUID}) != c.want || err != c.err {
				w.T.Errorf("%s: %v with %v, want %v with %v", name, fourIDs{got.UID, got.EUID, got.SUID, got.FSUID}, err, c.want, c.err)
			}
		}
		t.setCredentials(cred.Root())
	})
}

func TestUserIDChangesAdjustCapabilities(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		t.SetAllUIDs(Keep, 10, Keep)
		if c := t.Credentials(); c.Effective != 0 || c.Permitted != cred.AllCapabilities {
			w.T.Errorf("after the effective id changed from 0: effective %#x, permitted %#x", c.Effective, c.Permitted)
		}
		t.SetAllUIDs(Keep, 0, Keep)
		if c := t.Credentials(); c.Effective != cred.AllCapabilities {
			w.T.Errorf("after the effective id changed to 0: effective %#x", c.Effective)
		}
		if err := t.SetCapabilities(1<<cred.Kill, 1<<cred.Kill, 0); err != nil {
			w.T.Errorf("capset: %v", err)
		}
		if err := t.SetCapabilities(1<<cred.Chown, 1<<cred.Chown, 0); err != unix.EPERM {
			w.T.Errorf("capset of a capability that is not permitted: %v, want EPERM", err)
		}
		t.setCredentials(cred.Root())
		t.SetUID(10)
		if c := t.Credentials(); c.Permitted != 0 {
			w.T.Errorf("after all ids changed from 0: permitted %#x, want 0", c.Permitted)
		}
	})
}

func TestChangeLimitErrors(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		g := t.Group()
		for name, c := range map[string]struct {
			resource int
			next     Limit
			drop     bool
			want     error
		}{
			"lower":                    {unix.RLIMIT_CORE, Limit{0, 10}, true, nil},
			"soft above hard":          {unix.RLIMIT_CORE, Limit{5, 4}, false, unix.EINVAL},
			"raise without privilege":  {unix.RLIMIT_NPROC, Limit{1, 5000}, true, unix.EPERM},
			"raise with privilege":     {unix.RLIMIT_NPROC, Limit{1, 5000}, false, nil},
			"NOFILE above the maximum": {unix.RLIMIT_NOFILE, Limit{1, 1 << 21}, false, unix.EPERM},
		} {
			g.Limits.SetAll(DefaultLimits(8192))
			if c.drop {
				t.setCredentials(cred.User(10, 10))
			}
			if _, err := t.ChangeLimit(g, c.resource, &c.next); err != c.want {
				w.T.Errorf("%s: %v, want %v", name, err, c.want)
			}
			t.setCredentials(cred.Root())
		}
		if _, err := t.ChangeLimit(w.k.GroupByID(1), unix.RLIMIT_CORE, nil); err != nil {
			w.T.Errorf("root reads the limits of init: %v", err)
		}
	})
}
