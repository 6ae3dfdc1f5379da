package uprobe

import (
	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/mm"
	"slowpath/task"
	"slowpath/uprobe/insn"
)

// step is the execution of an instruction in a slot. The slot ends with INT3, which ends
// the step. TF is not used: a program or a tracer may use it, and then #DB ends the step.
type step struct {
	area    *area
	index   int    // of the slot
	slot    uint64 // its address
	length  uint64 // of the instruction
	scratch uint8  // the register that replaces RIP, or insn.NoScratch
	saved   uint64 // the program's value of it
}

// end returns the address after the instruction in the slot.
func (s *step) end() uint64 { return s.slot + s.length }

// startStep makes the CPU execute the instruction in a slot. Signals are put off until then.
// If there is no memory for a slot, the frame stays at the breakpoint.
func (th *thread) startStep(t *task.Task, f *amd64.Frame) {
	o := &th.site.outOfLine
	a := areaFor(t)
	if a == nil {
		return
	}
	index := a.take(t, th.step.index)
	if index < 0 {
		return // the task must exit
	}
	th.step = step{
		area: a, index: index, slot: a.write(index, o.Code[:]),
		length: uint64(o.Length), scratch: o.Scratch,
	}
	if o.Scratch != insn.NoScratch {
		register := f.Register(o.Scratch)
		th.step.saved = *register
		*register = o.Base(th.at)
	}
	th.state = stepping
	f.RIP = th.step.slot
	t.Hold()
}

// finishStep completes the frame after the instruction was executed.
func (th *thread) finishStep(t *task.Task, f *amd64.Frame) { th.leaveSlot(t, f, th.at+th.step.length) }

// leaveSlot sets the program's registers as they are at the address at, frees the slot and
// allows signals again.
func (th *thread) leaveSlot(t *task.Task, f *amd64.Frame, at uint64) {
	th.restore(f, at)
	th.state = idle
	t.Release()
}

// restore sets the program's registers and frees the slot.
func (th *thread) restore(f *amd64.Frame, at uint64) {
	f.RIP = at
	if th.step.scratch != insn.NoScratch {
		*f.Register(th.step.scratch) = th.step.saved
	}
	th.endStep()
}

// endStep frees the slot, if there is one.
func (th *thread) endStep() {
	if th.step.area != nil {
		th.step.area.free(th.step.index)
		th.step.area = nil
	}
}

// debug handles #DB while the CPU executes an instruction in a slot, because the program or
// its tracer has set TF or a hardware breakpoint. The next owner sees the frame that the
// original instruction leaves.
func (p *Probes) debug(t *task.Task, f *amd64.Frame, _ int) bool {
	th, _ := t.Uprobe.(*thread)
	if th == nil || th.state != stepping || th.dropEscaped(t, f) {
		return false
	}
	if f.RIP == th.step.slot { // one repetition of a string instruction
		th.leaveSlot(t, f, th.at)
	} else {
		th.finishStep(t, f)
	}
	return false
}

// fault handles an exception of the instruction in a slot. The next owner sees the frame at
// the original instruction. If it sends no signal, the duty UPROBE executes the instruction
// again, without another hit.
func (p *Probes) fault(t *task.Task, f *amd64.Frame, vector int) bool {
	th, _ := t.Uprobe.(*thread)
	if th == nil || th.state != stepping || th.dropEscaped(t, f) {
		return false
	}
	lost := vector == amd64.PageFault && f.Error&amd64.FaultFetch != 0 && th.slotLost(t, f.CR2)
	th.restore(f, th.at)
	th.state, th.faults = interrupted, t.Faults()
	entry.Raise(&f.ThreadFlags, entry.Uprobe)
	return lost
}

// slotLost reports whether the slot is not mapped any more, and then unmaps the area in its
// own books: the next step maps it again.
func (th *thread) slotLost(t *task.Task, address uint64) bool {
	s := &th.step
	if address < s.slot || address >= s.slot+slotSize || t.MM.Fault(address, mm.AccessExec) == mm.FaultResolved {
		return false
	}
	s.area.unmapped(s.slot)
	return true
}

// resume executes the instruction of an interrupted step again, unless the exception has
// caused a signal.
func (th *thread) resume(t *task.Task, f *amd64.Frame) {
	th.state = idle
	t.Release()
	if t.Faults() == th.faults && !t.Killed() {
		th.startStep(t, f)
	}
}

// dropEscaped ends a step whose code is not in its slot any more, and reports whether it has.
// The program has mapped its own code over the page of slots, and runs that. The frame is
// what this code has made of it.
func (th *thread) dropEscaped(t *task.Task, f *amd64.Frame) bool {
	if f.RIP >= th.step.slot && f.RIP <= th.step.slot+slotSize {
		return false
	}
	th.dropStep(t)
	return true
}

// dropStep ends a step without a change of the frame.
func (th *thread) dropStep(t *task.Task) {
	th.endStep()
	th.state = idle
	t.Release()
}

// abandon ends a step or a requested call of a task that must exit, and a step that has
// escaped from its slot. It does nothing for another task, for which UPROBE has no meaning
// now.
func (th *thread) abandon(t *task.Task, f *amd64.Frame) {
	switch {
	case th.state == stepping && th.dropEscaped(t, f):
	case !t.Killed():
	case t.CallRequested():
		t.CancelCall()
	case th.state != stepping:
	case f.RIP == th.step.end():
		th.finishStep(t, f)
	default:
		th.leaveSlot(t, f, th.at)
	}
}
