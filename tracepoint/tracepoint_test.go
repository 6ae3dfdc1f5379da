package tracepoint

import (
	"slices"
	"testing"
)

func TestPointCallsWhatIsRegistered(t *testing.T) {
	var p Point[int]
	var got []int
	if p.Call(1); p.Active() {
		t.Error("a point without functions is active")
	}
	first := p.Register(func(n int) { got = append(got, n) })
	second := p.Register(func(n int) { got = append(got, 10*n) })
	p.Call(2)
	first()
	p.Call(3)
	second()
	p.Call(4)
	if want := []int{2, 20, 30}; !slices.Equal(got, want) || p.Active() {
		t.Errorf("the functions were called with %v, want %v; active %v", got, want, p.Active())
	}
}
