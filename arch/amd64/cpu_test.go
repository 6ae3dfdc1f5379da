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
		{modelFeatures{sysenter: true}, []uint32{msrSysenterCS}},
		{modelFeatures{sysenter: true, tscAux: true}, []uint32{msrTSCAux, msrSysenterCS}},
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

// TestSyscallOf32BitCodeHasALanding: CSTAR of every CPU points to code that returns.
func TestSyscallOf32BitCodeHasALanding(t *testing.T) {
	const movEAX = 0xb8
	writeModelRegisters(0, modelFeatures{}, func(msr uint32, v uint64) {
		if msr != msrCSTAR {
			return
		}
		code := *(*[7]byte)(pointer(v))
		if want := [7]byte{movEAX, 0xda, 0xff, 0xff, 0xff, 0x0f, 0x07}; code != want {
			t.Errorf("CSTAR points to the code % x, want % x: MOVL $-ENOSYS, EAX and SYSRET", code, want)
		}
	})
}
