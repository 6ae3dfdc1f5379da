package ptrace

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/task"
)

// registerRequests read and write all general registers, or all of the legacy
// floating-point state.
var registerRequests = map[int32]request{
	unix.PTRACE_GETREGS:    {"GETREGS", needsStopped, only(getRegisters)},
	unix.PTRACE_SETREGS:    {"SETREGS", needsStopped, only(setRegisters)},
	unix.PTRACE_GETFPREGS:  {"GETFPREGS", needsStopped, only(func(c *call) error { return fxsaveSet.load(c, c.data, fxsaveSize) })},
	unix.PTRACE_SETFPREGS:  {"SETFPREGS", needsStopped, only(func(c *call) error { return fxsaveSet.store(c, c.data, fxsaveSize) })},
	unix.PTRACE_ARCH_PRCTL: {"ARCH_PRCTL", needsStopped, only(archPrctl)},
}

// The words of struct user_regs_struct with a rule of their own. The others are
// numbered by their order.
const (
	wordFlags  = 18
	wordCS     = 17
	wordSS     = 20
	wordFSBase = 21
	wordGSBase = 22
	wordDS     = 23 // followed by ES, FS and GS
	wordGS     = 26

	registerCount = 27
)

// registerWords returns the words of r, in the order of struct user_regs_struct.
func registerWords(r *abi.UserRegs) *[registerCount]uint64 {
	return abi.View[[registerCount]uint64](abi.Bytes(r))
}

// readRegisters stores the registers of a stopped task in r. The TF of the tracer is
// hidden.
func readRegisters(t *task.Task, r *abi.UserRegs) {
	f := t.Frame
	amd64.Release(f)
	r.R15, r.R14, r.R13, r.R12, r.RBP, r.RBX = f.R15, f.R14, f.R13, f.R12, f.RBP, f.RBX
	r.R11, r.R10, r.R9, r.R8, r.RAX, r.RCX = f.R11, f.R10, f.R9, f.R8, f.RAX, f.RCX
	r.RDX, r.RSI, r.RDI, r.OrigRAX, r.RIP, r.RSP = f.RDX, f.RSI, f.RDI, f.OrigRAX, f.RIP, f.RSP
	r.EFlags, r.FSBase, r.GSBase = f.ProgramFlags(), f.FSBase, f.GSBase
	r.CS, r.SS = f.CS&0xffff, f.SS&0xffff
	r.DS, r.ES, r.FS, r.GS = f.Selectors()
}

// writeRegisters writes values to the words of struct user_regs_struct from first on, in
// order, until one is not allowed: EIO. The words before it are written (Linux: putreg,
// genregs_set). The task is stopped.
func writeRegisters(t *task.Task, first int, values ...uint64) error {
	f := t.Frame
	amd64.Release(f)
	defer checkLater(t)
	plain := plainRegisters(f)
	for i, value := range values {
		if r := plain[first+i]; r != nil {
			*r = value
		} else if err := writeSpecial(f, first+i, value); err != nil {
			return err
		}
	}
	return nil
}

// plainRegisters returns the registers that may have any value, in the order of struct
// user_regs_struct, and nil for the others.
func plainRegisters(f *amd64.Frame) [registerCount]*uint64 {
	return [registerCount]*uint64{
		&f.R15, &f.R14, &f.R13, &f.R12, &f.RBP, &f.RBX, &f.R11, &f.R10, &f.R9, &f.R8,
		&f.RAX, &f.RCX, &f.RDX, &f.RSI, &f.RDI, &f.OrigRAX, &f.RIP, nil, nil, &f.RSP,
	}
}

// writeSpecial writes a register whose values are restricted: EIO for a value that is
// not allowed.
func writeSpecial(f *amd64.Frame, word int, value uint64) error {
	switch {
	case word == wordFlags:
		f.SetProgramFlags(value)
		return nil
	case word == wordFSBase || word == wordGSBase:
		return writeBase(f, word, value)
	}
	return writeSelector(f, word, uint16(value))
}

// writeBase writes FS base or GS base, which must be a user address.
func writeBase(f *amd64.Frame, word int, value uint64) error {
	if value >= amd64.UserLimit {
		return unix.EIO
	}
	if word == wordFSBase {
		f.FSBase = value
	} else {
		f.GSBase = value
	}
	return nil
}

// writeSelector writes a segment register: EIO for a selector without the privilege of
// user mode, and for 0 in CS and SS (Linux: set_segment_reg).
func writeSelector(f *amd64.Frame, word int, selector uint16) error {
	const userPrivilege = 3
	if selector != 0 && selector&userPrivilege != userPrivilege {
		return unix.EIO
	}
	switch {
	case word >= wordDS:
		f.SetSelector(amd64.SegmentRegister(word-wordDS), selector)
	case selector == 0:
		return unix.EIO
	case word == wordCS:
		f.CS = uint64(selector)
	default:
		f.SS = uint64(selector)
	}
	return nil
}

// checkLater makes a stopped task check its registers before it returns to user mode, if
// RIP is no address of a program. Until then the tracer can read it as it wrote it. Other
// registers that cannot be loaded are the program's exception when it returns.
func checkLater(t *task.Task) {
	f := t.Frame
	if f.RIP < 1<<32 || f.RIP < amd64.UserLimit && !f.Code32() {
		return
	}
	if s := registersOf(t); !s.checking.Swap(true) {
		t.AddWork(checkRegisters)
	}
}

// checkRegisters is the task work of checkLater.
func checkRegisters(t *task.Task) {
	registersOf(t).checking.Store(false)
	t.CheckReturn()
}

// getRegisters stores the general registers at the address data of the tracer.
func getRegisters(c *call) error {
	var r abi.UserRegs
	readRegisters(c.tracee, &r)
	return c.tracer.CopyOut(c.data, abi.Bytes(&r))
}

// setRegisters loads the general registers from the address data of the tracer.
func setRegisters(c *call) error {
	var r abi.UserRegs
	if err := c.tracer.CopyIn(c.data, abi.Bytes(&r)); err != nil {
		return err
	}
	return writeAllRegisters(c.tracee, &r)
}

// writeAllRegisters is writeRegisters for all words of struct user_regs_struct, in a
// third of the instructions.
func writeAllRegisters(t *task.Task, r *abi.UserRegs) error {
	f := t.Frame
	amd64.Release(f)
	defer checkLater(t)
	f.R15, f.R14, f.R13, f.R12, f.RBP, f.RBX = r.R15, r.R14, r.R13, r.R12, r.RBP, r.RBX
	f.R11, f.R10, f.R9, f.R8, f.RAX, f.RCX = r.R11, r.R10, r.R9, r.R8, r.RAX, r.RCX
	f.RDX, f.RSI, f.RDI, f.OrigRAX, f.RIP = r.RDX, r.RSI, r.RDI, r.OrigRAX, r.RIP
	if err := writeSelector(f, wordCS, uint16(r.CS)); err != nil {
		return err
	}
	f.SetProgramFlags(r.EFlags)
	f.RSP = r.RSP
	if err := writeSelector(f, wordSS, uint16(r.SS)); err != nil {
		return err
	}
	if err := writeBase(f, wordFSBase, r.FSBase); err != nil {
		return err
	}
	if err := writeBase(f, wordGSBase, r.GSBase); err != nil {
		return err
	}
	return writeDataSelectors(f, r)
}

// writeDataSelectors writes DS, ES, FS and GS, until one is not allowed.
func writeDataSelectors(f *amd64.Frame, r *abi.UserRegs) error {
	if ds, es, fs, gs := f.Selectors(); r.DS == ds && r.ES == es && r.FS == fs && r.GS == gs {
		return nil
	}
	for i, selector := range [...]uint64{r.DS, r.ES, r.FS, r.GS} {
		if err := writeSelector(f, wordDS+i, uint16(selector)); err != nil {
			return err
		}
	}
	return nil
}

// archPrctl is arch_prctl(2) for a tracee: data is the option, addr its argument, which
// is an address of the tracer for the options that read (Linux: do_arch_prctl_64).
// Errors: those of SegmentBase.
func archPrctl(c *call) error { return c.tracee.SegmentBase(c.tracer, c.data, c.addr) }
