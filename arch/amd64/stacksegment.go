package amd64

// SYSRET of AMD's processors loads the selector of SS and keeps the attributes of the segment
// that SS has (APM vol. 3, SYSRET). An interrupt or exception of user mode loads SS with the
// null selector. So after SYSRET, 32-bit code of a program would have a stack segment that it
// cannot use (Linux: X86_BUG_SYSRET_SS_ATTRS, selftest sysret_ss_attrs).
//
// SS must therefore have a segment whenever SYSRET is executed. It has one after SYSCALL and
// SYSENTER. A program that was interrupted is left by IRETQ, which loads SS. That leaves
// three cases: another program that TakeCPU lets run on the CPU, a system call that the kernel
// executes after an exception (ExecuteSyscall), and a program whose frame allows SYSRET
// although it was not in a system call (ChooseExit).

// sysretKeepsAttributes reports whether SYSRET of the CPUs keeps the attributes of SS.
// InitCPU sets it.
var sysretKeepsAttributes bool

// The vendors in EBX of CPUID leaf 0: "Auth" of AuthenticAMD, and "Hygo" of HygonGenuine,
// whose CPUs are AMD's.
const (
	vendorAMD   = 0x68747541
	vendorHygon = 0x6f677948
)

// keepsAttributes reports whether SYSRET keeps the attributes of SS on CPUs of a vendor.
func keepsAttributes(vendor uint32) bool { return vendor == vendorAMD || vendor == vendorHygon }

// needsStackSegment reports whether SS must be loaded before a program can be left by SYSRET.
//
//go:nosplit
func needsStackSegment(keeps bool, ss uint16) bool { return keeps && ss != KernelSS }

// fixStackSegment loads SS if that is needed. Interrupts are off.
//
//go:nosplit
func fixStackSegment() {
	if sysretKeepsAttributes && needsStackSegment(true, readSS()) {
		loadSS(KernelSS)
	}
}

// sysretServesSS reports whether SS has a segment when a frame is left by SYSRET: it is that of
// a system call by SYSCALL.
func (f *Frame) sysretServesSS(keeps bool) bool { return !keeps || f.OrigRAX != NotInSyscall }

//go:noescape
func readSS() uint16

//go:noescape
func loadSS(selector uint16)
