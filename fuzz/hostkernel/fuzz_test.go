package hostkernel

import (
	"math/rand/v2"
	"testing"

	"slowpath/fuzz/program"
)

// FuzzPrograms is the coverage-guided fuzzer of system calls. Run it with
//
//	go test -run='^$' -fuzz=Programs ./fuzz/hostkernel
//
// Plain go test runs the programs of testdata/fuzz, which have found bugs.
func FuzzPrograms(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for group := range program.Groups + 1 {
		f.Add(append([]byte{byte(group) | 8}, program.Random(r, program.Shape{Routines: 3, Instructions: 20, Group: group})...))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if _, err := RunInput(input, nil); err != nil {
			t.Fatalf("%v\n%v", err, program.Decode(input[1:]))
		}
	})
}
