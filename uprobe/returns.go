package uprobe

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/mm"
	"slowpath/signal"
	"slowpath/task"
)

// If the exits of a function are not known, a return probe replaces the return address by
// that of the trampoline, an INT3 in [uprobes], as Linux does.

// returnInstance is a call whose return address was replaced (Linux: struct
// return_instance).
type returnInstance struct {
	site  *site
	entry uint64 // address of the function
	slot  uint64 // address of the return address on the stack
	real  uint64 // the return address
}

// maxReturns is the maximum number of return instances of a thread (Linux:
// MAX_URETPROBE_DEPTH). A call beyond it is not reported.
const maxReturns = 64

// hijack replaces the return address of the function that the task is about to enter. The
// probes of the site have no exits. If that is not possible, the return is not reported.
func (th *thread) hijack(t *task.Task, f *amd64.Frame) {
	a := areaFor(t)
	if a == nil {
		return
	}
	slot := f.RSP
	var word [8]byte
	if t.CopyIn(slot, word[:]) != nil {
		return
	}
	instance := returnInstance{th.site, th.at, slot, binary.LittleEndian.Uint64(word[:])}
	trampoline := a.trampoline()
	if instance.real == trampoline { // a tail call of a function with a replaced address
		if instance.real = th.realReturn(slot); instance.real == 0 {
			return
		}
	} else {
		th.returns = slices.DeleteFunc(th.returns, func(r returnInstance) bool { return r.slot == slot })
	}
	if len(th.returns) == maxReturns && !th.collectReturns(t, trampoline) {
		return
	}
	binary.LittleEndian.PutUint64(word[:], trampoline)
	if t.CopyOut(slot, word[:]) == nil {
		th.returns = append(th.returns, instance)
		t.WatchHandler()
	}
}

// realReturn returns the address that was replaced in a slot, or 0.
func (th *thread) realReturn(slot uint64) uint64 {
	for i := len(th.returns) - 1; i >= 0; i-- {
		if th.returns[i].slot == slot {
			return th.returns[i].real
		}
	}
	return 0
}

// collectReturns drops the instances of calls that longjmp(3) has left: their slots do not
// have the trampoline's address any more. It reports whether there is room.
func (th *thread) collectReturns(t *task.Task, trampoline uint64) bool {
	th.returns = slices.DeleteFunc(th.returns, func(r returnInstance) bool {
		var word [8]byte
		return t.CopyIn(r.slot, word[:]) != nil || binary.LittleEndian.Uint64(word[:]) != trampoline
	})
	return len(th.returns) < maxReturns
}

// maxPopped is the most that a RET instruction pops besides the return address.
const maxPopped = 1<<16 - 1

// returning returns the slot of the call that has just returned with the given stack
// pointer, or 0. The instance is found by its slot, so that several stacks, and calls that
// longjmp(3) has left, do not matter.
func (th *thread) returning(sp uint64) uint64 {
	slot := uint64(0)
	for _, r := range th.returns {
		if popped := sp - 8 - r.slot; popped <= maxPopped && r.slot > slot {
			slot = r.slot
		}
	}
	return slot
}

// returned is the hit of the trampoline: the functions have returned. A tail call has more
// than one instance in the slot. The task gets SIGILL if the trampoline was not reached by
// a return (Linux: uprobe_handle_trampoline).
func (p *Probes) returned(t *task.Task, f *amd64.Frame, th *thread) {
	slot := th.returning(f.RSP)
	if slot == 0 {
		t.ForceSignal(signal.KernelInfo(unix.SIGILL))
		return
	}
	var ended []returnInstance
	th.returns = slices.DeleteFunc(th.returns, func(r returnInstance) bool {
		if r.slot == slot {
			ended = append(ended, r)
		}
		return r.slot == slot
	})
	f.RIP = ended[0].real
	for _, r := range slices.Backward(ended) {
		p.reportReturn(t, f, th, r)
	}
}

// reportReturn runs the consumers of a function that has returned.
func (p *Probes) reportReturn(t *task.Task, f *amd64.Frame, th *thread, r returnInstance) {
	th.hitting.Store(r.site.id)
	for _, b := range r.site.roles.Load().hijacks {
		if b.consumer.wants(t) {
			b.consumer.Return(t, f, r.entry)
		}
	}
	p.threads.endHit(th)
}

// ReturnAddress returns the real return address for one that was read from a task's stack
// at the address slot. Both are the same unless a return probe has replaced it. Only the
// task's own goroutine calls it.
func ReturnAddress(t *task.Task, slot, address uint64) uint64 {
	th, _ := t.Uprobe.(*thread)
	if th == nil || len(th.returns) == 0 || !isTrampoline(t.MM, address) {
		return address
	}
	if real := th.realReturn(slot); real != 0 {
		return real
	}
	return address
}

// isTrampoline reports whether the address is that of the trampoline.
func isTrampoline(as *mm.AddressSpace, address uint64) bool {
	a, _ := as.Attached().(*area)
	return a != nil && a.trampoline() == address
}

// forkReturns copies the return instances for a child with a copy of the memory, or for one
// of vfork(2), which runs on the parent's stack. The child's trampoline has the address of
// the parent's, because that is on its stack. ENOMEM.
func forkReturns(parent, child *task.Task, a *task.CloneArgs) error {
	th, _ := parent.Uprobe.(*thread)
	if th == nil || len(th.returns) == 0 || a.Flags&unix.CLONE_VM != 0 && a.Flags&unix.CLONE_VFORK == 0 {
		return nil
	}
	if a.Flags&unix.CLONE_VM == 0 {
		own, err := findArea(child.MM)
		if err == nil {
			err = own.mapAt(child.MM, parent.MM.Attached().(*area).trampoline())
		}
		if err != nil {
			return err
		}
	}
	child.Uprobe = &thread{returns: slices.Clone(th.returns)}
	return nil
}

// endTrampoline completes a return that a signal has interrupted at the trampoline, so that
// the signal frame has the real return address.
func (p *Probes) endTrampoline(t *task.Task) (stepping bool) {
	th, _ := t.Uprobe.(*thread)
	if th == nil || len(th.returns) == 0 {
		return false
	}
	if isTrampoline(t.MM, t.Frame.RIP) && th.returning(t.Frame.RSP) != 0 {
		p.returned(t, t.Frame, th)
	}
	t.WatchHandler()
	return false
}

// raiseReturned prepares the duty UPROBE for a hit of the trampoline.
func (th *thread) raiseReturned(f *amd64.Frame, at uint64) {
	th.state = returning
	f.RIP = at
	entry.Raise(&f.ThreadFlags, entry.Uprobe)
}
