package cred

import "testing"

func TestInGroupIncludesSupplementaryGroups(t *testing.T) {
	c := User(1000, 100)
	c.Groups = []uint32{5, 20, 44}
	for gid, want := range map[uint32]bool{100: true, 20: true, 5: true, 44: true, 0: false, 21: false} {
		if got := c.InGroup(gid); got != want {
			t.Errorf("InGroup(%d) = %v, want %v", gid, got, want)
		}
	}
}

func TestCloneIsIndependent(t *testing.T) {
	a := Root()
	a.Groups = []uint32{1, 2}
	b := a.Clone()
	b.Groups[0] = 9
	b.Effective = 0
	if a.Groups[0] != 1 || !a.Has(SysAdmin) {
		t.Fatal("a change of the clone changed the original")
	}
}

func TestWithRealIDsDropsCapabilities(t *testing.T) {
	c := Root()
	c.UID, c.GID = 1000, 1000 // a set-user-ID-root program of user 1000
	r := c.WithRealIDs()
	if r.FSUID != 1000 || r.Has(DACOverride) {
		t.Fatalf("FSUID is %d and CAP_DAC_OVERRIDE is %v, want 1000 and false", r.FSUID, r.Has(DACOverride))
	}
}

func TestCapabilityNumbersAreThoseOfLinux(t *testing.T) {
	// The numbers are from linux/capability.h.
	for k, want := range map[Capability]uint8{Chown: 0, Kill: 5, NetAdmin: 12, SysAdmin: 21, SysResource: 24, MkNod: 27, SysLog: 34, CheckpointRestore: 40} {
		if uint8(k) != want {
			t.Errorf("capability %d, want %d", k, want)
		}
	}
	if AllCapabilities != 0x1ffffffffff {
		t.Errorf("AllCapabilities = %#x", uint64(AllCapabilities))
	}
	if AllCapabilities.Has(63) || AllCapabilities.Without(Kill).Has(Kill) || !Capabilities(0).With(Kill).Has(Kill) {
		t.Error("Has, With or Without returned a wrong result")
	}
}
