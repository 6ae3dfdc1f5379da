package amd64

import (
	"sync"
	"testing"
)

// TestMachineCheckRecordReachesItsVictimAlone: CPUs put records and victims take
// them concurrently.
func TestMachineCheckRecordReachesItsVictimAlone(t *testing.T) {
	const victims, checks = 8, 5000
	var l machineCheckLog
	var wg sync.WaitGroup
	for v := range uint64(victims) {
		wg.Go(func() {
			address := 0x1000 * (v + 1)
			for i := range uint64(checks) {
				l.put(address, &MachineCheckRecord{CPU: v, Address: i})
				got, dropped := l.take(address)
				if len(got) != 1 || got[0] != (MachineCheckRecord{CPU: v, Address: i}) || dropped != 0 {
					t.Errorf("victim %d took %+v, %d dropped", v, got, dropped)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestDroppedMachineChecksAreCounted: records without a free slot are reported as
// dropped, once.
func TestDroppedMachineChecksAreCounted(t *testing.T) {
	const one, other, more = 0x1000, 0x2000, 3
	var l machineCheckLog
	for i := range len(l.slots) + more {
		l.put([]uint64{one, other}[i%2], &MachineCheckRecord{})
	}
	if got, dropped := l.take(one); len(got) != len(l.slots)/2 || dropped != more {
		t.Errorf("took %d records, %d dropped", len(got), dropped)
	}
	if got, dropped := l.take(other); len(got) != len(l.slots)/2 || dropped != 0 {
		t.Errorf("took %d records, %d dropped", len(got), dropped)
	}
	if got, _ := l.take(one); len(got) != 0 {
		t.Errorf("%d records were taken twice", len(got))
	}
}
