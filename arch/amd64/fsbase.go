package amd64

import "encoding/binary"

// A CPU without FSGSBASE (SDM vol. 1, 3.3.7.2), as Intel's before Ivy Bridge
// and AMD's before Excavator, reaches FS base and GS base only by its
// model-specific registers. The trampolines are written for the others and
// spend nothing on it: before the kernel's text is sealed, each of their
// instructions of that kind becomes a CALL, which is as long.

// hasFSGSBASE reports whether the CPUs have RDFSBASE and its kin. It is set
// once, by AdaptFSBase.
var hasFSGSBASE bool

// The instructions of the trampolines, and how a CALL begins.
var (
	rdfsbaseCX = [...]byte{0xf3, 0x48, 0x0f, 0xae, 0xc1}
	wrfsbaseCX = [...]byte{0xf3, 0x48, 0x0f, 0xae, 0xd1}
)

const callRel32 = 0xe8

// fsbaseInstructions is how many of them the trampolines have: two in each
// landing, in trap and in loadFS, one in callGoos, leave and EnterUser.
const fsbaseInstructions = 2*MaxCPUs + 2 + 2 + 3

// AdaptFSBase fits the trampolines to a CPU without FSGSBASE. It is called once
// on the first CPU, before the first entry to the kernel and while the kernel's
// text is writable. It reports false if it did not find all that it must
// change.
func AdaptFSBase() bool {
	b, _ := leaf7()
	hasFSGSBASE = b&feature7FSGSBASE != 0
	if hasFSGSBASE {
		return true
	}
	start, end := trampolines()
	return callInstead(start, end) == fsbaseInstructions
}

// trampolines returns where their code begins, and where those of its functions
// end that AdaptFSBase looks at: the linker keeps a file's functions in order.
func trampolines() (start, end uint64) {
	return landings[0], codeAddresses[runtimeClockCode]
}

// callInstead puts a CALL in the place of each instruction of the kind in the
// code between two addresses, and returns how many there were.
func callInstead(start, end uint64) (changed int) {
	for a := start; a+uint64(len(rdfsbaseCX)) <= end; a++ {
		code := (*[len(rdfsbaseCX)]byte)(pointer(a))
		target := uint64(0)
		switch *code {
		case rdfsbaseCX:
			target = codeAddresses[readFSBaseCode]
		case wrfsbaseCX:
			target = codeAddresses[writeFSBaseCode]
		default:
			continue
		}
		code[0] = callRel32
		binary.LittleEndian.PutUint32(code[1:], uint32(target-(a+uint64(len(code)))))
		changed++
	}
	return changed
}

// readGSBase returns the GS base of the program that this CPU has loaded.
// Interrupts are off.
//
//go:nosplit
func readGSBase() uint64 {
	if hasFSGSBASE {
		return rdgsbase()
	}
	return readMSR(msrGSBase)
}

// writeGSBase loads a GS base, which must be canonical. Interrupts are off.
//
//go:nosplit
func writeGSBase(base uint64) {
	if hasFSGSBASE {
		wrgsbase(base)
		return
	}
	writeMSR(msrGSBase, base)
}
