package uprobe

import (
	"bytes"
	"math/bits"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/mm"
	"slowpath/task"
	"slowpath/wait"
)

// The area has one page of slots. The first slot has the trampoline of return probes.
const (
	slotSize = 64
	slots    = mm.PageSize / slotSize
)

// area is the page [uprobes] of an address space (Linux: struct xol_area). A thread has a
// slot while it executes an instruction in it. If all slots are taken, it waits: a step
// always ends, because it is one instruction, and a fault frees the slot. The page is freed
// with the address space.
type area struct {
	special *mm.Special
	freed   wait.Queue // woken when a slot becomes free

	mapping sync.Mutex    // held while the page is mapped
	base    atomic.Uint64 // address of the page, or 0 if it is not mapped
	used    atomic.Uint64 // slots that are taken, one bit each
}

// areaFor returns the mapped area of the task's address space. It makes one if there is
// none. Without memory it lets the OOM killer free some. It returns nil if the task must
// exit: it was killed, or it has mapped all of its addresses.
func areaFor(t *task.Task) *area {
	for !t.Killed() {
		a, err := findArea(t.MM)
		switch {
		case err == nil && a.base.Load() != 0:
			return a
		case err == nil && a.mapAt(t.MM, mm.UserEnd-mm.PageSize) == nil:
			return a
		case err == nil || !t.Kernel().OOMKillAndWait(t.Group()):
			t.ForceFatal(unix.SIGSEGV)
			return nil
		}
	}
	return nil
}

// findArea returns the area of the address space, which may not be mapped. ENOMEM.
func findArea(as *mm.AddressSpace) (*area, error) {
	if a := as.Attached(); a != nil {
		return a.(*area), nil
	}
	special, err := as.Memory().NewSpecial(1)
	if err != nil {
		return nil, err
	}
	page := special.Bytes(0)
	for i := range page {
		page[i] = mm.Breakpoint
	}
	own := &area{special: special}
	own.used.Store(1)
	a := as.Attach(own).(*area)
	if a != own {
		special.Free()
	}
	return a, nil
}

// SpaceDestroyed implements mm.Attached.
func (a *area) SpaceDestroyed() { a.special.Free() }

// mapAt maps the page, unless it is mapped: at the address hint if that is free. ENOMEM.
func (a *area) mapAt(as *mm.AddressSpace, hint uint64) error {
	a.mapping.Lock()
	defer a.mapping.Unlock()
	if a.base.Load() != 0 {
		return nil
	}
	base, err := as.MapSpecial(hint, mm.SpecialPart{
		Special: a.special, Prot: mm.ProtExec, Name: "[uprobes]", Hidden: true,
	})
	a.base.Store(base)
	return err
}

// trampoline returns the address of the trampoline, which is in the first slot, or 0 if the
// page is not mapped.
func (a *area) trampoline() uint64 { return a.base.Load() }

// unmapped notes that the program has unmapped the page of the slot.
func (a *area) unmapped(slot uint64) { a.base.CompareAndSwap(slot&^(mm.PageSize-1), 0) }

// take takes a slot and returns its index: hint, if that is free. It waits for a free slot,
// and returns -1 if the task is killed meanwhile.
func (a *area) take(t *task.Task, hint int) int {
	if bit := uint64(1) << (hint & 63); a.used.Or(bit)&bit == 0 {
		return hint
	}
	index := a.tryTake()
	if index < 0 {
		t.BlockKillable(&a.freed, wait.Writable, 0, func() bool {
			index = a.tryTake()
			return index >= 0
		})
	}
	return index
}

// tryTake takes any free slot, or returns -1.
func (a *area) tryTake() int {
	for {
		index := bits.TrailingZeros64(^a.used.Load())
		if index == slots {
			return -1
		}
		if bit := uint64(1) << index; a.used.Or(bit)&bit == 0 {
			return index
		}
	}
}

// free frees a slot.
func (a *area) free(index int) {
	if a.used.And(^(uint64(1) << (index & 63))) == ^uint64(0) {
		a.freed.Wake(wait.Writable)
	}
}

// write writes the code into a slot that the caller has taken, and returns its address. A
// slot that has the code already is not written, because an emulated CPU translates the page
// again after each write. The return to user mode serializes the CPU.
func (a *area) write(index int, code []byte) uint64 {
	slot := a.special.Bytes(0)[index*slotSize:][:len(code)]
	if !bytes.Equal(slot, code) {
		copy(slot, code)
	}
	return a.base.Load() + uint64(index*slotSize)
}
