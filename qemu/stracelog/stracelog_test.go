package stracelog

import (
	"slices"
	"testing"
)

const log = `7     read(0,  <unfinished ...>
8     close(3)                          = 0
7     <... read resumed>"x", 1)         = 1
7     mmap(0x55550000aaaa)              = 0x55550000aaaa
8     +++ exited with 0 +++
7     wait4(-1,  <unfinished ...>
`

func TestUnfinishedCallsAreJoined(t *testing.T) {
	got, err := Threads(log)
	want := [][]string{{`read(0, "x", 1) = 1`, "mmap(ADDRESS) = ADDRESS", "wait4(-1, <unfinished ...>"}, {"close(3) = 0", "+++ exited with 0 +++"}}
	if err != nil || !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := Threads("no line"); err == nil {
		t.Error("a text that is no log is accepted")
	}
}

func TestDifferencesAreReported(t *testing.T) {
	got, _ := Threads(log)
	want, _ := Threads(log)
	if all := Compare(got, want); len(all) != 0 {
		t.Errorf("equal logs have the differences %v", all)
	}
	want[1][0] = "close(4) = 0"
	if all := Compare(got, want); len(all) != 1 {
		t.Errorf("a changed line gives %v", all)
	}
	if all := Compare(got, want[:1]); len(all) != 1 {
		t.Errorf("a missing thread gives %v", all)
	}
}
