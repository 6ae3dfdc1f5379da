package amd64

import "testing"

// TestTakeReschedReportsEachTickOnce checks that TakeResched clears the request that
// it reports.
func TestTakeReschedReportsEachTickOnce(t *testing.T) {
	f := &Frame{resched: true}
	if !f.TakeResched() {
		t.Error("TakeResched did not report the tick")
	}
	if f.TakeResched() {
		t.Error("TakeResched reported the same tick twice")
	}
}
