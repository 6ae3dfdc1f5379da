package hostkernel

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"slowpath/arch/amd64"
	"slowpath/trace"
)

// switchChain checks that the records of sched_switch form a chain: what a record switches
// to is what the next one switches from.
type switchChain struct {
	mu      sync.Mutex
	next    uint32
	began   bool
	records int
	broken  int
	// ids has the ids of the threads that have left a CPU.
	ids map[trace.Task]uint32
}

// The places of prev_pid and next_pid in a record of sched_switch.
const previousPID, nextPID = 24, 56

func (c *switchChain) record(left trace.Task, _ *amd64.Frame, record []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	previous := binary.LittleEndian.Uint32(record[previousPID:])
	if c.began && previous != c.next && !c.hasChangedID(left) {
		c.broken++
	}
	if c.ids == nil {
		c.ids = make(map[trace.Task]uint32)
	}
	c.ids[left] = previous
	c.next, c.began = binary.LittleEndian.Uint32(record[nextPID:]), true
	c.records++
}

// hasChangedID reports whether a thread that has continued under the id c.next leaves under another
// one: execve(2) gives a thread the id of its process.
func (c *switchChain) hasChangedID(left trace.Task) bool {
	id, seen := c.ids[left]
	return left.TID() == left.PID() && (!seen || id == c.next)
}

// tracing enables and disables events, and changes what is recorded, until stopped.
func tracing(seed uint64) func(k *Kernel, stopped func() bool) {
	return func(k *Kernel, stopped func() bool) {
		r := rand.New(rand.NewPCG(seed, 3))
		top := k.traces.Top()
		systems := []string{"", "sched", "signal", "task", "exceptions", "slowpath", "raw_syscalls", "syscalls"}
		filters := []string{"0", "common_pid > 3", "next_pid == 0 || prev_pid == 0", "sig > 5", "comm ~ \"p*\""}
		for !stopped() {
			switch r.IntN(5) {
			case 0:
				top.SetSystemFilter(systems[1+r.IntN(len(systems)-1)], filters[r.IntN(len(filters))])
			case 1:
				top.AddPIDs(trace.OnlyPIDs, []int32{int32(r.IntN(6))})
			case 2:
				top.ClearPIDs(trace.OnlyPIDs)
			default:
				top.SetEnabled(systems[r.IntN(len(systems))], "", r.IntN(3) > 0)
			}
		}
	}
}

// TestEventsDuringRandomPrograms records all events of random programs while events and
// filters change. Under the race detector it finds data races; otherwise deadlocks and
// switches that do not form a chain.
func TestEventsDuringRandomPrograms(t *testing.T) {
	records := 0
	watch := func(k *Kernel) (check func() error) {
		var chain switchChain
		sink := &trace.Sink{Record: chain.record}
		switches := k.traces.Lookup("sched", "sched_switch")
		if err := switches.Subscribe(sink); err != nil {
			t.Fatal(err)
		}
		return func() error {
			switches.Unsubscribe(sink)
			records += chain.records
			if chain.broken > 0 {
				return fmt.Errorf("%d of %d switches do not continue the chain", chain.broken, chain.records)
			}
			return nil
		}
	}
	runBeside(t, func(c *Config, seed uint64) { c.Beside = tracing(seed) }, watch)
	if records == 0 {
		t.Error("no switch was recorded")
	}
}
