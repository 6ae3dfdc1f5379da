package task

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/signal"
)

// TestSIGCHLDNamesTheSignalOfAStopThatWasReported: a tracer on another CPU may see the stop in
// wait4(2) before the tracee has sent SIGCHLD.
func TestSIGCHLDNamesTheSignalOfAStopThatWasReported(t *testing.T) {
	stopped := &Task{group: new(ThreadGroup)}
	stopped.trapped = true
	stopped.tracing.stop = TraceStop{Why: signal.CLD_TRAPPED, Code: uint32(unix.SIGSTOP), Kind: uint32(unix.SIGSTOP)}
	if code := stopped.takeTraceStop(true); code != uint32(unix.SIGSTOP) {
		t.Fatalf("wait4 reports %d", code)
	}
	if why, status := stopped.stopReason(); why != signal.CLD_TRAPPED || status != int32(unix.SIGSTOP) {
		t.Errorf("SIGCHLD has the code %d and the status %d", why, status)
	}
}
