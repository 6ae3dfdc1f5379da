package integration

import (
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// TestReferenceStartsWithDefaultSignals ignores SIGHUP in this process, as nohup
// does for make test, and checks that a reference program does not inherit that.
func TestReferenceStartsWithDefaultSignals(t *testing.T) {
	signal.Ignore(syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	got := onHost(t, "", "/bin/grep", "-E", "^(SigIgn|SigBlk):", "/proc/self/status")
	const none = "0000000000000000"
	if want := "SigBlk: " + none + " SigIgn: " + none; strings.Join(strings.Fields(got.out), " ") != want {
		t.Errorf("the reference starts with %q, want %q", got.out, want)
	}
	got = onHost(t, "", "/bin/busybox", "sh", "-c", "kill -HUP $$; echo survived")
	if want := (result{128 + int(syscall.SIGHUP), "", ""}); got != want {
		t.Errorf("SIGHUP to a reference program gives %+v, want %+v", got, want)
	}
}
