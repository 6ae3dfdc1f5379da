package ptrace

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/mm"
	"slowpath/signal"
	"slowpath/task"
)

// registerState is what this package keeps about the registers of a task: the single
// step and the hardware breakpoints. The tracer changes it while the task is stopped;
// otherwise it belongs to the task's own goroutine.
type registerState struct {
	// stepping is the reason for SINGLESTEP (Linux: TIF_SINGLESTEP).
	stepping atomic.Bool
	// pushed is the address behind the PUSHF instruction that is stepped, or 0.
	pushed uint64
	// checking says that checkRegisters is queued.
	checking atomic.Bool

	breakpoints breakpoints
}

// registersOf returns the registerState of a task. Any goroutine may call it.
func registersOf(t *task.Task) *registerState { return task.SlotOf[registerState](t) }

// registerSubsystem ends single steps and hardware breakpoints where Linux does: a child
// inherits neither, execve(2) removes the breakpoints.
var registerSubsystem = task.Subsystem{
	Name:           "ptrace registers",
	Exec:           func(t *task.Task, _ *task.Execution) { registersOf(t).breakpoints = breakpoints{} },
	BeforeHandler:  beforeHandler,
	HandlerEntered: func(t *task.Task) { notify(t, uint32(unix.SIGTRAP), 0) },
	Levels: func(t *task.Task) entry.Flag {
		if registersOf(t).stepping.Load() {
			return entry.SingleStep
		}
		return 0
	},
}

// stepKind is where the single step of a resumed tracee ends.
type stepKind uint8

const (
	// stepInstruction: after one instruction (PTRACE_SINGLESTEP).
	stepInstruction stepKind = iota
	// stepBlock: after a branch was taken (PTRACE_SINGLEBLOCK). On a CPU that does not
	// implement IA32_DEBUGCTL.BTF, such as an emulated one, after one instruction.
	stepBlock
)

// enableStep makes a stopped tracee trap after its next step (Linux: enable_step in
// arch/x86/kernel/step.c).
func enableStep(t *task.Task, kind stepKind) {
	f := t.Frame
	forced := forceStep(t)
	if block := forced && kind == stepBlock; f.BlockStep() != block {
		f.SetBlockStep(block)
	}
}

// forceStep sets TF and SINGLESTEP, and reports whether TF is set for the tracer only.
func forceStep(t *task.Task) (forced bool) {
	s, f := registersOf(t), t.Frame
	if s.stepping.Load() {
		f.RFLAGS |= amd64.FlagTF // a sigreturn in between may have cleared it
	} else {
		s.stepping.Store(true)
		t.UpdateLevels()
	}
	t.WatchHandler()
	instruction := nextInstruction(t)
	s.pushed = 0
	if instruction.kind == pushesFlags {
		s.pushed = f.RIP + instruction.length
	}
	set := f.RFLAGS&amd64.FlagTF != 0
	switch {
	case instruction.kind == loadsFlags:
		// The instruction itself decides about TF, which is the program's from then on.
		f.RFLAGS |= amd64.FlagTF
		f.KeepStep()
		return false
	case set:
		return f.StepForced()
	}
	f.ForceStep()
	return true
}

// disableStep undoes enableStep. The tracee is stopped, or t is the caller's own task.
func disableStep(t *task.Task) {
	s, f := registersOf(t), t.Frame
	if f.BlockStep() {
		f.SetBlockStep(false)
	}
	if s.stepping.Load() {
		s.stepping.Store(false)
		t.UpdateLevels()
	}
	s.pushed = 0
	f.EndForcedStep()
}

// beforeHandler implements BeforeHandler of the subsystem.
func beforeHandler(t *task.Task) (stepping bool) {
	if !registersOf(t).stepping.Load() {
		return false
	}
	disableStep(t)
	return true
}

// stepExit implements Exit of SINGLESTEP: the SYSCALL instruction was stepped, and did
// not trap (Linux: report_single_step).
func stepExit(t *task.Task, _ *entry.Call) {
	if entry.Flag(of(t).levels.Load())&entry.SyscallEmu == 0 {
		t.DebugSignal(signal.TRAP_BRKPT)
	}
}

// ExceptionHandlers returns the handlers of the owner entry.ByTracer.
func ExceptionHandlers() []entry.ExceptionHandler[*task.Task] {
	return []entry.ExceptionHandler[*task.Task]{{
		Owner: entry.ByTracer, Vectors: []int{amd64.Debug}, Handle: debugException,
	}}
}

// debugException records the cause of a #DB for the tracer. The signal is that of a #DB
// of the program, so it leaves the exception to the next owner.
func debugException(t *task.Task, f *amd64.Frame, _ int) bool {
	s, cause := registersOf(t), f.DebugCause()
	if s.breakpoints.hit(cause) {
		f.RFLAGS |= amd64.FlagRF // the instruction must not hit the breakpoint again
	}
	if s.pushed == f.RIP && cause&amd64.DebugStep != 0 && f.StepForced() {
		hidePushedTF(t, f.RSP)
	}
	s.pushed = 0
	return false
}

// hidePushedTF clears TF in the flags that PUSHF has pushed. The program cannot notice
// that it is stepped.
func hidePushedTF(t *task.Task, flags uint64) {
	var second [1]byte // bits 8 to 15
	if t.CopyIn(flags+1, second[:]) == nil {
		second[0] &^= amd64.FlagTF >> 8
		t.CopyOut(flags+1, second[:])
	}
}

// instructionKind is what an instruction does to TF.
type instructionKind uint8

const (
	otherInstruction instructionKind = iota
	loadsFlags                       // POPF or IRET
	pushesFlags                      // PUSHF
)

// instruction is the part of the decoding of an instruction that single steps need.
type instruction struct {
	kind   instructionKind
	length uint64 // in bytes, of an instruction without operands
}

// maxInstruction is the maximum length of an instruction, in bytes.
const maxInstruction = 15

// nextInstruction decodes the instruction at RIP of a stopped task, which keeps its
// memory until it is resumed.
func nextInstruction(t *task.Task) instruction {
	if t.MM == nil {
		return instruction{}
	}
	var code [maxInstruction]byte
	n, _ := t.MM.ReadRemote(code[:], t.Frame.RIP, mm.Forced)
	return decode(code[:n], t.Frame.Code32())
}

// prefixes has a true for each prefix that an instruction may begin with, besides REX.
var prefixes = [256]bool{
	0x26: true, 0x2e: true, 0x36: true, 0x3e: true, 0x64: true, 0x65: true, 0x66: true, 0x67: true,
	0xf0: true, 0xf2: true, 0xf3: true,
}

// decode decodes the instruction at the beginning of code, as far as it is readable
// (Linux: is_setting_trap_flag). compat says that it is 32-bit code, where 0x40 to 0x4f
// are no prefixes.
func decode(code []byte, compat bool) instruction {
	for i, b := range code {
		switch {
		case prefixes[b] || b&0xf0 == 0x40 && !compat:
			continue
		case b == 0x9d || b == 0xcf:
			return instruction{loadsFlags, uint64(i + 1)}
		case b == 0x9c:
			return instruction{pushesFlags, uint64(i + 1)}
		}
		break
	}
	return instruction{}
}
