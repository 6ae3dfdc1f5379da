package amd64

import "encoding/binary"

// Alternatives are instructions that are patched for CPUs that lack them (Linux:
// arch/x86/kernel/alternative.c). The trampolines use RDFSBASE and WRFSBASE. On a
// CPU without FSGSBASE (SDM vol. 1, 3.3.7.2), such as Intel's before Ivy Bridge
// and AMD's before Excavator, each becomes a CALL, of the same length, of a
// function that accesses the model-specific register. So other CPUs pay nothing.

// hasFSGSBASE reports whether the CPUs have RDFSBASE and the other three
// instructions of FSGSBASE. ApplyAlternatives sets it.
var hasFSGSBASE bool

// The instructions to patch, and the opcode of CALL.
var (
	rdfsbaseCX = [...]byte{0xf3, 0x48, 0x0f, 0xae, 0xc1}
	wrfsbaseCX = [...]byte{0xf3, 0x48, 0x0f, 0xae, 0xd1}
)

const callRel32 = 0xe8

// fsbaseInstructions is the number of instructions to patch: two in each landing of
// SYSCALL, in trap, in EnterUser and in loadFS, one in callGoos and leave.
const fsbaseInstructions = 2*2*MaxCPUs + 2 + 2 + 2 + 2

// ApplyAlternatives patches the trampolines for a CPU without FSGSBASE. It is
// called once, on the first CPU, before the first entry to the kernel and while
// the kernel's text is writable. It returns false if it did not find every
// instruction to patch.
func ApplyAlternatives() bool {
	b, _ := leaf7()
	hasFSGSBASE = b&feature7FSGSBASE != 0
	if hasFSGSBASE {
		return true
	}
	start, end := patchedCode()
	return patchCalls(start, end) == fsbaseInstructions
}

// patchedCode returns the range of the trampolines' functions with instructions
// to patch. The linker keeps the functions of a file in order.
func patchedCode() (start, end uint64) {
	return landings[landing64][0], codeAddresses[runtimeClockCode]
}

// patchCalls replaces each RDFSBASE and WRFSBASE between two addresses by a CALL,
// and returns their number.
func patchCalls(start, end uint64) (patched int) {
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
		patched++
	}
	return patched
}

// readGSBase returns this CPU's GS base, which is the program's in the kernel too.
// Interrupts are off.
//
//go:nosplit
func readGSBase() uint64 {
	if hasFSGSBASE {
		return rdgsbase()
	}
	return readMSR(msrGSBase)
}

// writeGSBase loads GS base, which must be canonical. Interrupts are off.
//
//go:nosplit
func writeGSBase(base uint64) {
	if hasFSGSBASE {
		wrgsbase(base)
		return
	}
	writeMSR(msrGSBase, base)
}
