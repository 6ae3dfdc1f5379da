package perf

import "testing"

// TestRequestsOf32BitCodeHaveNumbersOfTheirOwn: the numbers are those that a compiler for i386
// makes of linux/perf_event.h.
func TestRequestsOf32BitCodeHaveNumbersOfTheirOwn(t *testing.T) {
	want := map[uint32]uint32{0x40042406: 0x40082406, 0x80042407: 0x80082407, 0xc004240a: 0xc008240a, 0x4004240b: 0x4008240b}
	for narrow, wide := range want {
		if narrowRequests[narrow] != wide || requests[wide] == nil {
			t.Errorf("request %#x is %#x, want %#x, which has a handler: %v", narrow, narrowRequests[narrow], wide, requests[wide] != nil)
		}
	}
	if len(narrowRequests) != len(want) {
		t.Errorf("there are %d requests, want %d", len(narrowRequests), len(want))
	}
}
