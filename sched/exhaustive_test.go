//go:build !race

package sched

import (
	"encoding/json"
	"os"
	"testing"
)

// scenarios are the machines that are explored.
func scenarios() []*scenario {
	fifo := func(priority int32) Attributes { return Attributes{Policy: FIFO, Priority: priority} }
	return []*scenario{
		{name: "two tasks, one CPU", cpus: 1, attributes: []Attributes{{}, {}}, depth: 13},
		{name: "two tasks, two CPUs", cpus: 2, attributes: []Attributes{{}, {}}, affinities: []uint64{0, 1, 2}, depth: 8},
		{name: "two tasks, two CPUs, settled", cpus: 2, settled: true, attributes: []Attributes{{}, {}}, affinities: []uint64{0, 1, 2}, depth: 8},
		{name: "three tasks, two CPUs", cpus: 2, settled: true, attributes: []Attributes{{}, {}, {}}, affinities: []uint64{0, 1}, depth: 6},
		{name: "SCHED_FIFO, one CPU", cpus: 1, attributes: []Attributes{fifo(1), fifo(1), fifo(2)}, depth: 12},
		{name: "SCHED_FIFO, two CPUs", cpus: 2, settled: true, attributes: []Attributes{fifo(1), fifo(1), {}}, affinities: []uint64{0, 1}, depth: 6},
		{name: "classes, one CPU", cpus: 1, attributes: []Attributes{fifo(1), {}, {Policy: Batch}}, depth: 11},
		{name: "SCHED_DEADLINE, one CPU", cpus: 1, deadline: true, attributes: []Attributes{{}, fifo(1), {}}, depth: 12},
		{name: "SCHED_DEADLINE, two CPUs", cpus: 2, deadline: true, settled: true, attributes: []Attributes{{}, fifo(1), {}}, affinities: []uint64{0, 1}, depth: 6},
	}
}

// The test of mutants sets these variables: TestRunQueuesKeepTheirInvariants then writes the
// violated properties to a file in place of failing, and ends when it has found the expected one.
const (
	reportVariable   = "SCHED_MODEL_REPORT"
	expectedVariable = "SCHED_MODEL_EXPECTED"
)

func TestRunQueuesKeepTheirInvariants(t *testing.T) {
	all := map[string]string{}
	for _, c := range scenarios() {
		r := c.explore(os.Getenv(expectedVariable))
		t.Logf("%s: %d states", c.name, r.states)
		for name, path := range r.violated {
			all[name] = path
		}
		if all[os.Getenv(expectedVariable)] != "" {
			break
		}
	}
	if name := os.Getenv(reportVariable); name != "" {
		encoded, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, encoded, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, path := range all {
		t.Error(path)
	}
}
