// Report checks the return to user mode in a small scope. It prints the number of
// runs that violate each property as JSON. The mutant test builds it from sources
// with one mistake each.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"slowpath/entry/check"
)

func main() {
	r := check.Check(check.Small())
	violated := map[string]int{}
	for _, p := range check.Properties() {
		if n := r.Violated[p]; n != 0 {
			violated[p.String()] = n
			fmt.Fprintf(os.Stderr, "%v: %v: %s\n", p, r.First[p].Plan, r.First[p].Trace)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(violated); err != nil {
		fmt.Fprintf(os.Stderr, "The report cannot be written: %v\n", err)
		os.Exit(1)
	}
}
