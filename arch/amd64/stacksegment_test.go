package amd64

import "testing"

// TestStackSegmentIsLoadedWhereSysretKeepsItsAttributes reads the decision, because QEMU's
// emulation does not have the quirk.
func TestStackSegmentIsLoadedWhereSysretKeepsItsAttributes(t *testing.T) {
	const vendorIntel = 0x756e6547
	for _, c := range []struct {
		vendor uint32
		ss     uint16
		want   bool
	}{
		{vendorAMD, 0, true}, // after an interrupt of user mode
		{vendorHygon, 0, true},
		{vendorAMD, KernelSS, false}, // after SYSCALL
		{vendorIntel, 0, false},
		{vendorIntel, KernelSS, false},
	} {
		if got := needsStackSegment(keepsAttributes(c.vendor), c.ss); got != c.want {
			t.Errorf("vendor %#x with SS %#x: SS is loaded: %v, want %v", c.vendor, c.ss, got, c.want)
		}
	}
}

// TestExceptionsAreLeftByIretWhereSysretKeepsAttributes: the frame of an exception may have
// registers that SYSRET restores.
func TestExceptionsAreLeftByIretWhereSysretKeepsAttributes(t *testing.T) {
	defer func(keeps bool) { sysretKeepsAttributes = keeps }(sysretKeepsAttributes)
	for _, keeps := range []bool{false, true} {
		for _, nr := range []uint64{NotInSyscall, 39} {
			sysretKeepsAttributes = keeps
			f := &Frame{RIP: 0x401000, RCX: 0x401000, RFLAGS: FlagFixed | FlagIF, R11: FlagFixed | FlagIF, CS: UserCS, SS: UserSS, OrigRAX: nr, Flags: LeaveByIRET}
			f.ChooseExit()
			if got, want := f.Exit() == BySYSRET, !keeps || nr != NotInSyscall; got != want {
				t.Errorf("SYSRET keeps attributes: %v, call %d: it is chosen: %v", keeps, int64(nr), got)
			}
		}
	}
}
