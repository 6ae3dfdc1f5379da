package hostkernel

import (
	"flag"
	"math/rand/v2"
	"testing"
)

// injections is how many programs each of the tests below runs.
var injections = flag.Int("fuzz.injections", 60, "how many programs run with an injected fault of each kind")

// TestPanicsLeaveNoLockAndNoTask makes the kernel panic at a random point of a random
// program. The process is killed; nothing else may stay.
func TestPanicsLeaveNoLockAndNoTask(t *testing.T) {
	for point := range Points {
		passes := 40
		if point == InAllocation {
			passes = 2 // a batch is for many calls
		}
		t.Run(point.String(), func(t *testing.T) {
			inject(t, func(r *rand.Rand) *Injection { return &Injection{Point: point, Pass: 1 + r.IntN(passes)} })
		})
	}
}

// TestRefusedFramesLeaveNothing refuses frames at a random point of a random program.
func TestRefusedFramesLeaveNothing(t *testing.T) {
	inject(t, func(r *rand.Rand) *Injection { return &Injection{Refuse: 1 + r.IntN(2), RefuseCount: 1 + r.IntN(20)} })
}

// inject runs random programs with injections.
func inject(t *testing.T, choose func(r *rand.Rand) *Injection) {
	happened := 0
	for s := range uint64(*injections) {
		i := choose(rand.New(rand.NewPCG(s, *seed)))
		if _, err := RunInput(randomInput(*seed+s), i); err != nil {
			t.Fatalf("the program of seed %d, panic %d, refused frames from %d, %d of them: %v",
				*seed+s, i.Pass, i.Refuse, i.RefuseCount, err)
		}
		if i.Happened() {
			happened++
		}
	}
	if happened == 0 {
		t.Errorf("nothing was injected in %d programs", *injections)
	}
	t.Logf("%d of %d programs had an injected fault", happened, *injections)
}
