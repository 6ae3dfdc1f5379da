package amd64

// controls are the settings of a CPU that matter to user mode alone and that
// most programs leave at their defaults. They are switched lazily: a frame
// holds what its program wants, controlsLoaded what each CPU has. Where the two
// differ, TakeCPU raises USER_RETURN_NOTIFY, and the duty's handler,
// LoadControls, loads the difference as the last step before user mode.
//
// To add a control, add a field here and a row to controlTable, and say in
// forked and executed who keeps it. Its setter calls Release first, so that the
// next TakeCPU compares.
//
// The zero value is what a CPU has after reset, and what a new program wants.
type controls struct {
	denyTSC   bool // CR4.TSD: RDTSC and RDTSCP fault
	blockStep bool // IA32_DEBUGCTL.BTF: TF traps at branches only
	debug     DebugRegisters
	selectors selectors
}

// control is one row of controlTable. Its functions are nosplit: they run with
// interrupts off, between the last test and user mode.
type control struct {
	name string
	// differs compares the control's field in two values.
	differs func(want, have *controls) bool
	// load writes what f wants into the CPU.
	load func(f *Frame)
}

var controlTable = [...]control{
	{"TSC denial", tscDiffers, loadTSCDenial},
	{"block step", blockStepDiffers, loadBlockStep},
	{"debug registers", debugDiffers, loadDebug},
	{"selectors", selectorsDiffer, loadSelectors},
}

// controlsLoaded is what each CPU has. Only the CPU itself uses its entry, with
// interrupts off.
var controlsLoaded [MaxCPUs]controls

// raiseControls raises the last step's duty if CPU c does not have what f
// wants. It does not compare the values with ==: for that the compiler generates
// a function that is not nosplit, in which the goroutine could be preempted, and
// continue on another CPU with interrupts off.
//
//go:nosplit
func raiseControls(c *perCPU, f *Frame) {
	for i := range controlTable {
		if controlTable[i].differs(&f.controls, &controlsLoaded[c.id]) {
			f.ThreadFlags.Or(lastMask)
			return
		}
	}
}

// LoadControls makes this CPU have the controls that f wants. It is the handler
// of USER_RETURN_NOTIFY: interrupts are off, and stay off until user mode.
//
//go:nosplit
func LoadControls(f *Frame) {
	loadDifference(&controlTable, f, &controlsLoaded[thisCPU().id])
}

// loadDifference loads the controls in which f and have differ.
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

// forked returns what the child of fork(2) or clone(2) keeps. It has no
// hardware breakpoints (Linux: copy_thread) and is not stepped
// (user_disable_single_step).
func (c controls) forked() controls {
	return controls{denyTSC: c.denyTSC, selectors: c.selectors}
}

// executed returns what a program keeps over execve(2). Breakpoints go (Linux:
// flush_thread), selectors are zero (start_thread); TIF_NOTSC and
// TIF_BLOCKSTEP stay.
func (c controls) executed() controls {
	return controls{denyTSC: c.denyTSC, blockStep: c.blockStep}
}

// DenyTSC sets whether RDTSC and RDTSCP fault in f's user mode (prctl(2),
// PR_SET_TSC), from the next return to user mode on. The caller is f's own
// goroutine, with interrupts on.
func (f *Frame) DenyTSC(deny bool) {
	Release(f)
	f.controls.denyTSC = deny
}

// TSCDenied returns what DenyTSC has set. The caller is f's own goroutine.
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
// 18.4.4). It holds for one step: the CPU clears BTF with each #DB. The caller
// is f's own goroutine, or f's task is stopped; interrupts are on.
func (f *Frame) SetBlockStep(on bool) {
	Release(f)
	f.controls.blockStep = on
}

// BlockStep returns what SetBlockStep has set, if no #DB came since. The caller
// is f's own goroutine, or f's task is stopped.
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

// blockStepEnded notes that a #DB of f's program cleared BTF.
//
//go:nosplit
func blockStepEnded(f *Frame, have *controls) {
	f.controls.blockStep, have.blockStep = false, false
}

//go:nosplit
func debugDiffers(want, have *controls) bool { return want.debug != have.debug }

//go:nosplit
func loadDebug(f *Frame) {
	d := &f.controls.debug
	writeDebugRegisters(d.Address[0], d.Address[1], d.Address[2], d.Address[3], d.Control|dr7Fixed)
}

//go:nosplit
func selectorsDiffer(want, have *controls) bool { return want.selectors != have.selectors }

//go:nosplit
func loadSelectors(f *Frame) {
	f.controls.selectors.load()
	writeGSBase(f.GSBase) // GS base changed with GS
}
