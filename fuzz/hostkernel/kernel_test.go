package hostkernel

import (
	"errors"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"slowpath/fuzz/program"
)

// The flags of the long forms.
var (
	duration    = flag.Duration("fuzz.duration", 3*time.Second, "how long each test of random programs runs")
	shrink      = flag.Bool("fuzz.shrink", false, "print the smallest program of the seed that still fails")
	repetitions = flag.Int("fuzz.repetitions", 10, "how often TestThreadsUseOneObject runs each program")
	group       = flag.Int("fuzz.group", 0, "run only programs of the calls of this group, from 1; 0 is every program")
	seed        = flag.Uint64("fuzz.seed", 0, "the first seed of TestRandomPrograms; 0 is a new one each time")
)

// randomInput returns the input of a seed: up to 8 tasks that share what their clone
// flags say.
func randomInput(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	input := []byte{byte(r.Uint32())}
	return append(input, program.Random(r, program.Shape{Routines: 1 + r.IntN(6), Instructions: 5 + r.IntN(200), Group: *group})...)
}

// runBeside runs random programs until the duration is over, each on a kernel of its own.
// configure changes the configuration of the program of a seed. watch, if not nil, is called
// with each kernel before its program runs, and what it returns after that.
func runBeside(t *testing.T, configure func(c *Config, seed uint64), watch func(k *Kernel) (check func() error)) {
	t.Helper()
	first := uint64(time.Now().UnixNano()) % 1e9
	for s, start := first, time.Now(); time.Since(start) < *duration; s++ {
		input := randomInput(s)
		c := configOf(input[0])
		configure(&c, s)
		k, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		check := func() error { return nil }
		if watch != nil {
			check = watch(k)
		}
		if err := errors.Join(k.Run(program.Decode(input[1:])), check()); err != nil || t.Failed() {
			t.Fatalf("the program of seed %d: %v", s, err)
		}
	}
}

// TestRandomPrograms runs random programs. Under the race detector it finds data
// races; otherwise panics, leaks and hangs.
func TestRandomPrograms(t *testing.T) {
	first := *seed
	if first == 0 {
		first = uint64(time.Now().UnixNano()) % 1e9
	}
	calls, runs := int64(0), 0
	for start := time.Now(); time.Since(start) < *duration; runs++ {
		s := first + uint64(runs)
		n, err := RunInput(randomInput(s), nil)
		if calls += n; err != nil {
			t.Fatalf("the program of seed %d: %v", s, err)
		}
		if t.Failed() { // by the race detector
			t.Fatalf("the program of seed %d has a data race", s)
		}
	}
	t.Logf("%d programs made %d system calls", runs, calls)
}

// TestShrink prints the smallest part of the program of a seed that still fails.
func TestShrink(t *testing.T) {
	if !*shrink {
		t.Skip("run with -fuzz.shrink and -fuzz.seed to shrink a program that fails")
	}
	input := randomInput(*seed)
	p, err := Minimize(configOf(input[0]), program.Decode(input[1:]), 5)
	t.Logf("%v\n%v", err, p)
}
