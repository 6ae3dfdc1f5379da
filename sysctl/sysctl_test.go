package sysctl

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func rowOf(t *testing.T, s *Settings, name string) Row {
	t.Helper()
	for _, r := range s.Rows() {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("there is no row %s", name)
	return Row{}
}

// TestStoreParsesLikeLinux has the results of writes to the same files of Linux 6.1.
func TestStoreParsesLikeLinux(t *testing.T) {
	for _, c := range []struct {
		name, text string
		offset     int64
		used       int
		err        error
		shown      string
	}{
		{"fs/mount-max", "77\n", 0, 3, nil, "77"},
		{"fs/mount-max", "  0x10 ", 0, 7, nil, "16"},
		{"fs/mount-max", "010", 0, 3, nil, "8"},
		{"fs/mount-max", "5 junk", 0, 2, nil, "5"},
		{"fs/mount-max", "5junk", 0, 0, unix.EINVAL, "100000"},
		{"fs/mount-max", "", 0, 0, nil, "100000"},
		{"fs/mount-max", "\n", 0, 0, unix.EINVAL, "100000"},
		{"fs/mount-max", "0", 0, 0, unix.EINVAL, "100000"},
		{"fs/mount-max", "-1", 0, 0, unix.EINVAL, "100000"},
		{"fs/mount-max", "99999999999", 0, 0, unix.EINVAL, "100000"},
		{"fs/mount-max", "7", 1, 1, nil, "100000"},
		{"vm/overcommit_memory", "3", 0, 0, unix.EINVAL, "0"},
		{"fs/pipe-max-size", "5000", 0, 4, nil, "8192"},
		{"fs/pipe-max-size", "1", 0, 1, nil, "4096"},
		{"fs/file-max", "-5", 0, 2, nil, "8192"},
		{"kernel/core_pattern", "/tmp/core.%p\nrest", 0, 17, nil, "/tmp/core.%p"},
		{"kernel/core_pattern", ".%p", 4, 3, nil, "core.%p"},
		{"kernel/core_pattern", "x", 9, 1, nil, "core"},
		{"kernel/core_pattern", strings.Repeat("x", 200), 0, 200, nil, strings.Repeat("x", 127)},
		{"kernel/sched_rr_timeslice_ms", "0", 0, 1, nil, "100"},
		{"kernel/sched_rt_runtime_us", "1000001", 0, 0, unix.EINVAL, "950000"},
		{"kernel/sched_rt_runtime_us", "-1", 0, 2, nil, "-1"},
	} {
		s := Defaults()
		r := rowOf(t, s, c.name)
		used, err := r.Value.Store(c.text, c.offset)
		if used != c.used || err != c.err || r.Value.Format() != c.shown {
			t.Errorf("%q at %d to %s: %d, %v, value %q, want %d, %v, %q",
				c.text, c.offset, c.name, used, err, r.Value.Format(), c.used, c.err, c.shown)
		}
	}
}

func TestIntegersStoreAsManyAsTheTextHas(t *testing.T) {
	var a, b Int
	v := Integers{number(&a, 0, 9), number(&b, 0, 9)}
	if n, err := v.Store("3 4 5", 0); n != 4 || err != nil || v.Format() != "3\t4" {
		t.Errorf("two of three numbers: %d, %v, %q", n, err, v.Format())
	}
	if n, err := v.Store("7\n", 0); n != 2 || err != nil || v.Format() != "7\t4" {
		t.Errorf("one number: %d, %v, %q", n, err, v.Format())
	}
}

func TestTaintedOnlyGainsBits(t *testing.T) {
	s := Defaults()
	r := rowOf(t, s, "kernel/tainted")
	r.Value.Store("4096", 0)
	r.Value.Store("1", 0)
	if r.Value.Format() != "4097" || r.Capability != capSysAdmin {
		t.Errorf("tainted is %s and a write needs capability %d", r.Value.Format(), r.Capability)
	}
}

func TestOvercommitRatioAndKBytesReplaceEachOther(t *testing.T) {
	s := Defaults()
	rowOf(t, s, "vm/overcommit_kbytes").Value.Store("1000", 0)
	if s.OvercommitRatio.Get() != 0 || s.OvercommitKBytes.Get() != 1000 {
		t.Errorf("after a write of kbytes: ratio %d, kbytes %d", s.OvercommitRatio.Get(), s.OvercommitKBytes.Get())
	}
	rowOf(t, s, "vm/overcommit_ratio").Value.Store("80", 0)
	if s.OvercommitRatio.Get() != 80 || s.OvercommitKBytes.Get() != 0 {
		t.Errorf("after a write of ratio: ratio %d, kbytes %d", s.OvercommitRatio.Get(), s.OvercommitKBytes.Get())
	}
}

func TestEveryRowHasAUniqueNameAndAMode(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Defaults().Rows() {
		if seen[r.Name] || r.Mode == 0 || r.Value == nil {
			t.Errorf("%s: listed twice, or without mode or value", r.Name)
		}
		seen[r.Name] = true
	}
}
