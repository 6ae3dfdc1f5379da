package main

import (
	"strings"
	"testing"
)

func TestExpectationsAreRead(t *testing.T) {
	tests, err := readSelftests(expectations)
	if err != nil || len(tests) < 15 {
		t.Fatalf("got %d tests, %v", len(tests), err)
	}
	for _, bad := range []string{"a\tb\tc\td\te\nx\t\t1\t1", "\nx\t\tone\t1\t", "\nx\t\t1\tone\t", "\nx\t\t2\t1\t"} {
		if got, err := readSelftests("columns" + bad); err == nil {
			t.Errorf("%q is taken for %+v", bad, got)
		}
	}
}

func TestPassedChecksAreCounted(t *testing.T) {
	if n := countPassed("^@[OK] first\r\n[RUN]\ta\n[OK]\tb\n    [OK]  c\n[FAIL]\td [OK]\n[OK]"); n != 4 {
		t.Errorf("got %d", n)
	}
}

func TestLossesAreFound(t *testing.T) {
	tests := []selftest{{name: "kept", linux: 2, slowpath: 2}, {name: "lost", linux: 5, slowpath: 4, reason: "r"}, {name: "won", linux: -1, slowpath: 1}}
	text, lost := selftestReport(tests, []int{2, 3, 2})
	if lost != 1 || !strings.Contains(text, "LOST") || !strings.Contains(text, "raise it") {
		t.Errorf("%d lost:\n%s", lost, text)
	}
	if _, lost := selftestReport(tests, []int{2, 4, 1}); lost != 0 {
		t.Errorf("%d lost where nothing is", lost)
	}
}
