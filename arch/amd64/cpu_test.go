package amd64

import "testing"

// TestAbsentModelRegistersAreNotWritten: a write to a register that the CPU lacks
// raises #GP. QEMU's emulation allows it.
func TestAbsentModelRegistersAreNotWritten(t *testing.T) {
	always := []uint32{msrSTAR, msrLSTAR, msrCSTAR, msrSFMASK, msrGSBase}
	for _, c := range []struct {
		has  modelFeatures
		more []uint32
	}{
		{modelFeatures{}, nil},
		{modelFeatures{tscAux: true}, []uint32{msrTSCAux}},
		{modelFeatures{sysenter: true}, []uint32{msrSysenterCS, msrSysenterESP, msrSysenterEIP}},
		{modelFeatures{sysenter: true, tscAux: true}, []uint32{msrTSCAux, msrSysenterCS, msrSysenterESP, msrSysenterEIP}},
	} {
		written := map[uint32]uint64{}
		writeModelRegisters(3, c.has, func(msr uint32, v uint64) { written[msr] = v })
		want := append(append([]uint32{}, always...), c.more...)
		for _, msr := range want {
			if _, ok := written[msr]; !ok {
				t.Errorf("with %+v the register %#x is not written", c.has, msr)
			}
			delete(written, msr)
		}
		for msr := range written {
			t.Errorf("with %+v the register %#x is written", c.has, msr)
		}
	}
}

// TestEachCPUHasLandingsOfItsOwn: a landing contains the address of its CPU's block.
func TestEachCPUHasLandingsOfItsOwn(t *testing.T) {
	seen := map[uint64]bool{}
	for i := range uint64(MaxCPUs) {
		writeModelRegisters(i, modelFeatures{sysenter: true}, func(msr uint32, v uint64) {
			if msr != msrLSTAR && msr != msrCSTAR && msr != msrSysenterEIP && msr != msrSysenterESP {
				return
			}
			if v == 0 || seen[v] {
				t.Errorf("CPU %d has %#x in the register %#x, which is zero or another landing", i, v, msr)
			}
			seen[v] = true
		})
	}
}
