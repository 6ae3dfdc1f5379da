package uprobe

import (
	"encoding/binary"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/mm"
	"slowpath/signal"
	"slowpath/task"
	"slowpath/uprobe/insn"
)

// ExceptionHandlers returns the handlers of the owner entry.ByUprobe: breakpoints, and
// every exception that an instruction can raise while the CPU executes it in a slot.
func (p *Probes) ExceptionHandlers() []entry.ExceptionHandler[*task.Task] {
	handlers := []entry.ExceptionHandler[*task.Task]{
		{Owner: entry.ByUprobe, Vectors: []int{amd64.Breakpoint}, Handle: p.breakpointHandler()},
		{Owner: entry.ByUprobe, Vectors: []int{amd64.Debug}, Handle: p.debug},
	}
	var faults []int
	for vector := range amd64.FirstInterrupt {
		switch vector {
		case amd64.Debug, amd64.NMI, amd64.Breakpoint, amd64.DoubleFault, amd64.MachineCheck:
		default:
			faults = append(faults, vector)
		}
	}
	return append(handlers, entry.ExceptionHandler[*task.Task]{Owner: entry.ByUprobe, Vectors: faults, Handle: p.fault})
}

// Handlers returns the handlers of the duty UPROBE.
func (p *Probes) Handlers() entry.Handlers[*task.Task] {
	return entry.Handlers[*task.Task]{Flag: entry.Uprobe, BeforeUserFrame: p.dutyHandler()}
}

// breakpointHandler returns the handler of #BP. (A function literal saves the wrapper of a
// method value on the path of every hit.) A breakpoint that was hit before is found in the
// address space's table.
//
//go:noinline
func (p *Probes) breakpointHandler() func(t *task.Task, f *amd64.Frame, vector int) bool {
	return func(t *task.Task, f *amd64.Frame, _ int) bool {
		th, _ := t.Uprobe.(*thread)
		at := f.RIP - 1
		patch := t.MM.CachedPatch(at)
		if patch == nil || th == nil || th.state != idle || f.Code32() {
			return p.breakpoint(t, f)
		}
		th.found(f, patch, at)
		return true
	}
}

// found prepares the duty UPROBE for a hit.
func (th *thread) found(f *amd64.Frame, patch *mm.Patch, at uint64) {
	th.state, th.at = hit, at
	if s := patch.Owner.(*site); th.site != s { // no write barrier for the same site
		th.site = s
	}
	f.RIP = at
	entry.Raise(&f.ThreadFlags, entry.Uprobe)
}

// breakpoint handles #BP: a hit, the end of a slot, or a breakpoint that was removed in the
// meantime. A breakpoint of the program or of its debugger belongs to the next owner.
func (p *Probes) breakpoint(t *task.Task, f *amd64.Frame) bool {
	if !t.MM.HasBreakpoints() {
		return false
	}
	th, at := p.threadOf(t), f.RIP-1
	if th.state == stepping && at == th.step.end() {
		th.finishStep(t, f)
		return true
	}
	patch, present := t.MM.BreakpointAt(at)
	if patch != nil {
		if f.Code32() { // 32-bit code, whose instructions are not decoded
			t.MM.TakeBackBreakpoint(at)
			f.RIP = at
			return true
		}
		th.found(f, patch, at)
		return true
	}
	if isTrampoline(t.MM, at) {
		th.raiseReturned(f, at)
		return true
	}
	if present {
		return false
	}
	f.RIP = at // the breakpoint is gone: the original instruction is executed
	return true
}

// dutyHandler returns the handler of the duty UPROBE. A hit runs the consumers of a
// breakpoint, and executes the original instruction.
//
//go:noinline
func (p *Probes) dutyHandler() func(t *task.Task, f *amd64.Frame) {
	return func(t *task.Task, f *amd64.Frame) {
		th, _ := t.Uprobe.(*thread)
		if th == nil || th.state != hit {
			p.serve(t, f, th)
			return
		}
		th.state = idle
		s := th.site
		th.hitting.Store(s.id)
		r := s.roles.Load()
		if e := r.first; e != nil && e.next == nil && e.wants == nil { // most often
			e.hit(t, f)
		} else {
			e.run(t, f)
		}
		if s.kind == nothing && f.RFLAGS&amd64.FlagTF == 0 && r.hijacks == nil && r.exits == nil {
			f.RIP = th.at + s.length
			p.threads.endHit(th)
			return
		}
		if r.hijacks != nil {
			th.hijack(t, f)
		}
		kind := s.kind
		switch {
		case kind == nothing && f.RFLAGS&amd64.FlagTF == 0:
			f.RIP = th.at + s.length
		case kind <= emulated:
			kind = s.emulate(t, f, th.at)
		}
		if r.exits != nil && f.RIP != th.at {
			s.leave(t, f, r.exits, th.at)
		}
		p.threads.endHit(th)
		if kind > emulated {
			th.execute(t, f, kind)
		}
	}
}

// run runs the consumers of a list that want the task.
func (e *hitRole) run(t *task.Task, f *amd64.Frame) {
	for ; e != nil; e = e.next {
		if e.wants == nil || e.wants(t) {
			e.hit(t, f)
		}
	}
}

// execute executes the instruction of a hit that is not emulated.
func (th *thread) execute(t *task.Task, f *amd64.Frame, kind execution) {
	switch kind {
	case steppedOutOfLine:
		th.startStep(t, f)
	case systemCall:
		t.RequestCall(th.at + th.site.length)
	}
}

// serve is the duty UPROBE for a task that has not hit a breakpoint.
func (p *Probes) serve(t *task.Task, f *amd64.Frame, th *thread) {
	if th == nil {
		return
	}
	switch th.state {
	case returning:
		th.state = idle
		p.returned(t, f, th)
	case interrupted:
		th.resume(t, f)
	default: // signals were put off, and the task must exit
		th.abandon(t, f)
	}
}

// emulate executes the instruction of the site. It returns emulated if that is done, or if
// a fault of it has caused a signal: f then stays at the instruction. Otherwise it returns
// how the instruction must be executed.
func (s *site) emulate(t *task.Task, f *amd64.Frame, at uint64) execution {
	stepped := f.RFLAGS&amd64.FlagTF != 0
	for {
		err := s.instruction.Emulate(f, at, (*memory)(t))
		if err == nil {
			break
		}
		if kind := cannotEmulate(t, err); kind != tryAgain {
			return kind
		}
	}
	if stepped {
		reportStep(t, f, at+s.length)
	}
	return emulated
}

// cannotEmulate handles an error of Emulate as the CPU would. It returns tryAgain if there
// is no reason for it any more.
func cannotEmulate(t *task.Task, err error) execution {
	switch err {
	case insn.ErrNotCanonical:
		t.EmulatedException(amd64.GeneralProtection)
		return emulated
	case insn.ErrAlignment:
		t.EmulatedException(amd64.AlignmentCheck)
		return emulated
	}
	a, isFault := err.(*fault)
	if !isFault || a.address >= amd64.UserLimit {
		return steppedOutOfLine // it faults there: no program has memory at such an address
	}
	faults := t.Faults()
	if t.EmulatedFault(a.address, a.access); t.Faults() == faults && !t.Killed() {
		return tryAgain
	}
	return emulated
}

// reportStep sends the SIGTRAP of a single step over an emulated instruction, as #DB does.
// A block step ends only at a branch that was taken.
func reportStep(t *task.Task, f *amd64.Frame, next uint64) {
	if f.BlockStep() {
		if f.RIP == next {
			return
		}
		f.SetBlockStep(false) // the CPU clears BTF with each #DB
	}
	t.DebugSignal(signal.TRAP_TRACE)
}

// memory is the user memory of a task, for the emulation of instructions.
type memory task.Task

// Load implements insn.Memory. Its error is a *fault.
func (m *memory) Load(address uint64, size int) (uint64, error) {
	var b [8]byte
	if (*task.Task)(m).CopyIn(address, b[:size]) != nil {
		// The second of two pages may be the one that cannot be read.
		n, _ := (*task.Task)(m).CopyInSome(b[:size], address)
		return 0, &fault{address + uint64(n), mm.AccessRead}
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// Store implements insn.Memory. Its error is a *fault.
func (m *memory) Store(address uint64, size int, value uint64) error {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], value)
	if address%mm.PageSize > mm.PageSize-uint64(size) {
		// A store to two pages changes nothing if the second one cannot be written.
		if next := address + uint64(size) - 1; m.space().Fault(address, mm.AccessWrite) == mm.FaultResolved &&
			m.space().Fault(next, mm.AccessWrite) != mm.FaultResolved {
			return &fault{next &^ (mm.PageSize - 1), mm.AccessWrite}
		}
	}
	if (*task.Task)(m).CopyOut(address, b[:size]) != nil {
		return &fault{address, mm.AccessWrite}
	}
	return nil
}

// space returns the address space.
func (m *memory) space() *mm.AddressSpace { return (*task.Task)(m).MM }

var _ insn.Memory = (*memory)(nil)

// fault is an access of an emulated instruction that the program's memory does not allow.
type fault struct {
	address uint64
	access  mm.Access
}

// Error implements error.
func (*fault) Error() string { return "the program's memory does not allow the access" }
