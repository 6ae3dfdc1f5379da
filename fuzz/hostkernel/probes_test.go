package hostkernel

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/fuzz/program"
	"slowpath/mm"
	"slowpath/task"
	"slowpath/uprobe"
)

// probing adds probes to the program's file and removes them, with filters and reference
// counters, until stopped.
func probing(seed uint64) func(k *Kernel, stopped func() bool) {
	return func(k *Kernel, stopped func() bool) {
		r := rand.New(rand.NewPCG(seed, 2))
		file, err := k.at(program.Executable).Open(unix.O_RDONLY, 0)
		if err != nil {
			return // the program has renamed or removed it already
		}
		defer file.DecRef()
		var wanted *mm.AddressSpace
		for !stopped() {
			var locations []uprobe.Location
			var consumers []*uprobe.Consumer
			for range 1 + r.IntN(8) {
				l := uprobe.Location{File: file, Offset: 1024 + uint64(r.IntN(3000))}
				if r.IntN(4) == 0 {
					l.ReferenceCounter = mm.PageSize + 2*(l.Offset%2000)
				}
				c := &uprobe.Consumer{Hit: func(*task.Task, *amd64.Frame) {}}
				if r.IntN(3) == 0 {
					c.WantsSpace = func(as *mm.AddressSpace) bool { return as == wanted }
				}
				locations, consumers = append(locations, l), append(consumers, c)
			}
			probes, err := k.Probes.AddAll(locations, consumers)
			if err != nil {
				continue // two locations may disagree about the counter, or there is no memory
			}
			probes[0].Refilter()
			uprobe.RemoveAll(probes)
		}
	}
}

// TestProbesDuringRandomPrograms adds and removes probes on the executable of random
// programs, which fork, map and unmap at the same time. Under the race detector it finds
// data races; otherwise lost frames and files.
func TestProbesDuringRandomPrograms(t *testing.T) {
	runBeside(t, func(c *Config, seed uint64) { c.Beside = probing(seed) }, nil)
}
