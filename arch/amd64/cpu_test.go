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

func TestOnlyWithSMAPIsAFaultOfTheKernelOnAPresentPageFatal(t *testing.T) {
	defer func(enabled bool) { smapEnabled = enabled }(smapEnabled)
	const write = FaultPresent | FaultWrite
	for _, c := range []struct {
		smap         bool
		code, access uint64
		want         bool
	}{
		{true, write, PageSize, true},
		{true, FaultPresent, PageSize, true},
		{true, write | FaultUser, PageSize, false}, // of the program: perhaps a page to copy
		{true, FaultWrite, PageSize, false},        // not present
		{true, write, 1 << 63, false},              // a page of the kernel
		{false, write, PageSize, false},            // a page to copy
	} {
		smapEnabled = c.smap
		if f := (&Frame{Error: c.code, CR2: c.access}); f.DeniedBySMAP() != c.want {
			t.Errorf("SMAP %t, error code %#x, address %#x: DeniedBySMAP is not %t", c.smap, c.code, c.access, c.want)
		}
	}
}
