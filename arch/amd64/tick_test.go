package amd64

import "testing"

// TestTakeReschedReportsEachTickOnce: the reason is gone once it was taken.
func TestTakeReschedReportsEachTickOnce(t *testing.T) {
	f := &Frame{resched: true}
	if !f.TakeResched() {
		t.Error("the tick's reason is lost")
	}
	if f.TakeResched() {
		t.Error("one tick is reported twice")
	}
}
