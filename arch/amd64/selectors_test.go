package amd64

import "testing"

func TestOnlySelectorsOfUserSegmentsAreLoaded(t *testing.T) {
	buildTables()
	c := new(controls)
	for selector := range uint32(1 << 16) {
		s := uint16(selector)
		if got := loadable(s, c, nil); got != 0 && got != s {
			t.Fatalf("selector %#x becomes %#x", s, got)
		}
		if s > 3 && loadable(s, c, nil) == s && (s&7 != 3 || gdt[1][s/8]>>45&3 != 3) {
			t.Errorf("selector %#x is loaded: it has no descriptor of user mode", s)
		}
	}
	for _, s := range []uint16{0, 3, User32CS, UserSS, UserCS, cpuNumber | userRPL} {
		if loadable(s, c, nil) != s {
			t.Errorf("selector %#x is not loaded", s)
		}
	}
}
