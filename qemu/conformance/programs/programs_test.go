package programs

import (
	"slices"
	"strings"
	"testing"
)

func TestScenariosAreParsed(t *testing.T) {
	all, err := Scenarios()
	if err != nil || len(all) < 50 {
		t.Fatalf("got %d scenarios, %v", len(all), err)
	}
	quick := 0
	for _, s := range all {
		if _, err := ByName(s.Root); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if s.Quick {
			quick++
		}
	}
	if quick == 0 || quick == len(all) {
		t.Errorf("%d of %d scenarios are quick", quick, len(all))
	}
	for _, bad := range []string{"", "strace true", "# quick now\n", "# 10\n", "# 0 text\n", "# -1 text\n"} {
		if s, err := parseScenario("strace.x.sh", bad); err == nil {
			t.Errorf("the malformed script %q is read as %+v", bad, s)
		}
	}
}

func TestVolatilePartsAreNormalised(t *testing.T) {
	for _, c := range [][2]string{
		{"mmap(NULL, 8192) = 0x7f1234567000\r\n", "mmap(NULL, 8192) = ADDR\n"},
		{"[Inferior 1 (process 123) exited]\n\n", "[Inferior 1 (process PID) exited]\n"},
		{"7\n[New process 123]\n[Inferior 1 (process 123) exited]\n", "7\n[Inferior 1 (process PID) exited]\n"},
		{"==12== lost\n", "==PID== lost\n"},
		{"[pid    12] read(0, 0x10, 3)", "[pid PID] read(0, 0x10, 3)\n"},
		{"12:30:01.123456 open", "12:30:TIME open\n"},
	} {
		if got := Normalise(c[0]); got != c[1] {
			t.Errorf("%q becomes %q, want %q", c[0], got, c[1])
		}
	}
}

func TestDifferencesAreShownBySide(t *testing.T) {
	if got := Compare("a\n0x7f1234567000\nc\n", "a\n0x7f7654321000\nc\n"); got != "" {
		t.Errorf("equal outputs differ:\n%s", got)
	}
	got := strings.Fields(Compare("a\nb\nc\nd\n", "a\nx\nc\nd\ne\n"))
	if want := []string{"-b", "+x", "+e"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzCompare checks that only equal normalised outputs have no difference.
func FuzzCompare(f *testing.F) {
	f.Add("a\nb\n", "a\nc\n")
	f.Fuzz(func(t *testing.T, linux, slowpath string) {
		if equal := Normalise(linux) == Normalise(slowpath); equal != (Compare(linux, slowpath) == "") {
			t.Errorf("%q and %q: equal is %v", linux, slowpath, equal)
		}
	})
}
