package integration

import "testing"

const probeEscapeOutput = `load: result 101010101010101, faults 1 at 4096, bytes before 1010101, hits 2
store: result 2222222222222222, faults 1 at 4096, bytes before 1010101, hits 2
push: result 3333333333333333, faults 1 at 4096, bytes before 1010101, hits 2
at the limit: 2a00, the other process: 0
ours: a signal in the own code: 1
executed, 1 signals
`

// TestProgramsDoNotEscapeFromProbes lets emulated instructions access two pages of which the
// second one faults, and lets a program put its own code in place of a slot. That code gets
// signals, and a program that it executes is an ordinary one.
func TestProgramsDoNotEscapeFromProbes(t *testing.T) {
	check(t, onSlowpath(t, "", "--mem", "256", program("probeescape")), result{0, probeEscapeOutput, ""})
}
