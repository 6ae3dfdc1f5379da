package amd64

import "unsafe"

// controls holds the CPU settings that affect only user mode and that most
// programs leave at their defaults. They are switched lazily. Frame.controls holds
// the settings of a program, controlsLoaded those that each CPU has loaded. If the
// two differ, TakeCPU raises USER_RETURN_NOTIFY. The handler of that duty,
// LoadControls, loads the settings that differ, as the last step before user mode.
//
// To add a control, add a field here and a row to controlTable. If a child
// inherits it, copy it in forked; if execve preserves it, copy it in executed. Its
// setter must call Release first: then the next TakeCPU compares the settings.
//
// The zero value is the state of a CPU after reset and of a new program.
type controls struct {
	denyTSC   bool // CR4.TSD: RDTSC and RDTSCP fault
	blockStep bool // IA32_DEBUGCTL.BTF: TF traps at branches only
	debug     DebugRegisters
	tls       tlsDescriptors
	ldt       ldtReference
	ports     uint64 // the number of the bitmap: see Ports
	selectors selectors
}

// control is one row of controlTable. Its functions are nosplit, because they run
// with interrupts off.
type control struct {
	name string
	// differs reports whether the control's field differs between want and have.
	differs func(want, have *controls) bool
	// load writes the control's field of f to the CPU.
	load func(f *Frame)
}

var controlTable = [...]control{
	{"TSC denial", tscDiffers, loadTSCDenial},
	{"block step", blockStepDiffers, loadBlockStep},
	{"debug registers", debugDiffers, loadDebug},
	{"TLS", tlsDiffers, loadTLS},
	{"LDT", ldtDiffers, loadLocalTable},
	{"ports", portsDiffer, loadPorts},
	{"selectors", selectorsDiffer, loadSelectors}, // after the tables
}

// controlsLoaded holds the settings that each CPU has loaded. A CPU accesses only
// its own entry, with interrupts off.
var controlsLoaded [MaxCPUs]controls

// raiseControls raises the duty of LoadControls if the settings of CPU c are not
// those of f. It must not compare the two values with ==: the compiler implements
// that with a generated function that is not nosplit. The goroutine could be
// preempted there and continue on another CPU with interrupts off.
//
//go:nosplit
func raiseControls(c *perCPU, f *Frame) {
	if sameControls(&f.controls, &controlsLoaded[c.id]) {
		return
	}
	for i := range controlTable {
		if controlTable[i].differs(&f.controls, &controlsLoaded[c.id]) {
			f.ThreadFlags.Or(lastMask)
			return
		}
	}
}

// controlWords is the size of controls in words. It is a multiple of a word, because it
// has fields of that size.
const controlWords = unsafe.Sizeof(controls{}) / 8

// sameControls reports whether no control differs, in fewer instructions than the rows
// take. It compares padding too, so it may report false for equal controls.
//
//go:nosplit
func sameControls(want, have *controls) bool {
	w, h := (*[controlWords]uint64)(unsafe.Pointer(want)), (*[controlWords]uint64)(unsafe.Pointer(have))
	// A loop takes twice the instructions.
	different := (w[0] ^ h[0]) | (w[1] ^ h[1]) |
		(w[2] ^ h[2]) | (w[3] ^ h[3]) |
		(w[4] ^ h[4]) | (w[5] ^ h[5]) |
		(w[6] ^ h[6]) | (w[7] ^ h[7]) |
		(w[8] ^ h[8]) | (w[9] ^ h[9]) |
		(w[10] ^ h[10]) | (w[11] ^ h[11]) |
		(w[12] ^ h[12]) | (w[13] ^ h[13])
	return different == 0
}

// sameControls compares 14 words.
var _ = [1]struct{}{}[controlWords-14]

// LoadControls loads f's controls into this CPU. It is the handler of
// USER_RETURN_NOTIFY. Interrupts are off and stay off until user mode.
//
//go:nosplit
func LoadControls(f *Frame) {
	loadDifference(&controlTable, f, &controlsLoaded[thisCPU().id])
}

// loadDifference loads the controls in which f and have differ, and updates have.
//
//go:nosplit
func loadDifference(table *[len(controlTable)]control, f *Frame, have *controls) {
	for i := range table {
		if row := &table[i]; row.differs(&f.controls, have) {
			row.load(f)
		}
	}
	*have = f.controls
}

// forked returns the controls of a child of fork(2) or clone(2). As on Linux, it
// inherits neither hardware breakpoints (copy_thread) nor block step
// (user_disable_single_step).
func (c controls) forked() controls {
	return controls{denyTSC: c.denyTSC, tls: c.tls, ldt: c.ldt, ports: c.ports, selectors: c.selectors}
}

// executed returns the controls after execve(2). As on Linux, it removes hardware
// breakpoints and TLS (flush_thread), leaves the LDT with the old address space, and
// clears the selectors (start_thread), but preserves TIF_NOTSC, TIF_BLOCKSTEP and TIF_IO_BITMAP.
func (c controls) executed() controls {
	return controls{denyTSC: c.denyTSC, blockStep: c.blockStep, ports: c.ports}
}

// DenyTSC sets whether RDTSC and RDTSCP fault in f's program (prctl(2),
// PR_SET_TSC). It takes effect at the next return to user mode. The caller is f's
// own goroutine, with interrupts on.
func (f *Frame) DenyTSC(deny bool) {
	Release(f)
	f.controls.denyTSC = deny
}

// TSCDenied reports whether RDTSC and RDTSCP fault in f's program. The caller is
// f's own goroutine.
func (f *Frame) TSCDenied() bool { return f.controls.denyTSC }

//go:nosplit
func tscDiffers(want, have *controls) bool { return want.denyTSC != have.denyTSC }

//go:nosplit
func loadTSCDenial(f *Frame) {
	cr4 := readCR4() &^ cr4TSD
	if f.controls.denyTSC {
		cr4 |= cr4TSD
	}
	writeCR4(cr4)
}

// SetBlockStep sets whether a single step ends at the next taken branch
// instead of the next instruction (ptrace(2), PTRACE_SINGLEBLOCK; SDM vol. 3B,
// 18.4.4). It lasts for one step, because each #DB clears BTF. The caller is
// f's own goroutine, or f's task is stopped; interrupts are on.
func (f *Frame) SetBlockStep(on bool) {
	Release(f)
	f.controls.blockStep = on
}

// BlockStep reports whether block step is set. A #DB of f's program clears it. The
// caller is f's own goroutine, or f's task is stopped.
func (f *Frame) BlockStep() bool { return f.controls.blockStep }

//go:nosplit
func blockStepDiffers(want, have *controls) bool { return want.blockStep != have.blockStep }

//go:nosplit
func loadBlockStep(f *Frame) {
	v := uint64(0)
	if f.controls.blockStep {
		v = debugctlBTF
	}
	writeMSR(msrDebugctl, v)
}

// blockStepEnded records that a #DB of f's program cleared BTF.
//
//go:nosplit
func blockStepEnded(f *Frame, have *controls) {
	f.controls.blockStep, have.blockStep = false, false
}

//go:nosplit
func debugDiffers(want, have *controls) bool {
	w, h := &want.debug, &have.debug
	return (w.Control^h.Control)|(w.Address[0]^h.Address[0])|(w.Address[1]^h.Address[1])|
		(w.Address[2]^h.Address[2])|(w.Address[3]^h.Address[3]) != 0
}

//go:nosplit
func loadDebug(f *Frame) {
	d := &f.controls.debug
	writeDebugRegisters(d.Address[0], d.Address[1], d.Address[2], d.Address[3], d.Control|dr7Fixed)
}

// selectorsDiffer reports also a difference of the tables: a register keeps the
// descriptor that it has loaded.
//
//go:nosplit
func selectorsDiffer(want, have *controls) bool {
	return want.selectors != have.selectors || tlsDiffers(want, have) || ldtDiffers(want, have)
}

//go:nosplit
func loadSelectors(f *Frame) {
	f.controls.selectors.load(&f.controls, f.ldt)
	writeGSBase(f.GSBase) // the load of GS changed GS base
}
