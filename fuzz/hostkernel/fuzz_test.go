package hostkernel

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
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
		calls, err := RunInput(input, nil)
		countCalls(calls)
		if err != nil {
			t.Fatalf("%v\n%v", err, program.Decode(input[1:]))
		}
	})
}

// tally is the file to which FuzzPrograms appends the numbers of system calls that it
// has made. The fuzzer's workers are processes of their own.
var tally = flag.String("fuzz.tally", "", "append the number of system calls to this file; its lines add up")

// counted is the number of calls that are not yet in the file.
var counted atomic.Int64

// countCalls adds calls to the tally, many at a time.
func countCalls(calls int64) {
	const step = 10000
	if counted.Add(calls) < step || *tally == "" {
		return
	}
	f, err := os.OpenFile(*tally, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintln(f, counted.Swap(0))
}
