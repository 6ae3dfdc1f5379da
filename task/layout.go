package task

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/mm"
	"slowpath/task/elf"
)

// Layout has the user addresses of the parts of a program, as /proc/pid shows them. End
// addresses are exclusive. The heap is in mm.AddressSpace.
type Layout struct {
	// The argument and environment strings.
	ArgStart, ArgEnd, EnvStart, EnvEnd uint64
	// StartStack is the initial stack pointer.
	StartStack uint64
	// The executable segments, and the last segment.
	StartCode, EndCode, StartData, EndData uint64
}

// layoutOf returns the addresses of the segments of an image (Linux: load_elf_binary).
func layoutOf(image *elf.Image, bias uint64) (l Layout) {
	l.StartCode = ^uint64(0)
	for i := range image.Segments {
		s := &image.Segments[i]
		start, end := s.Address+bias, s.Address+bias+s.FileSize
		if s.Execute {
			l.StartCode, l.EndCode = min(l.StartCode, start), max(l.EndCode, end)
		}
		l.StartData, l.EndData = max(l.StartData, start), max(l.EndData, end)
	}
	if l.EndCode == 0 {
		l.StartCode = 0
	}
	return l
}

// programCell holds the program of the tasks that share an address space. PR_SET_MM
// replaces it by a changed copy.
type programCell struct {
	mu      sync.Mutex // held while the program is replaced
	current atomic.Pointer[Program]
}

func newProgramCell(p *Program) *programCell {
	c := new(programCell)
	c.current.Store(p)
	return c
}

// load returns the program, nil for the cell of the kernel's own task, which is nil.
func (c *programCell) load() *Program {
	if c == nil {
		return nil
	}
	return c.current.Load()
}

// ChangeLayout is PR_SET_MM: it calls change with a copy of the program of the address
// space, and of the heap, and makes them valid if change returns no error and they are
// (Linux: validate_prctl_map_addr). EINVAL if they are not. change must not access user
// memory. Only the task's own goroutine calls it.
func (t *Task) ChangeLayout(change func(p *Program, heap *mm.Heap) error) error {
	c := t.program.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	next, heap := *c.load(), t.MM.Heap()
	if err := change(&next, &heap); err != nil {
		return err
	}
	if !t.validLayout(&next.Layout, &heap) {
		return unix.EINVAL
	}
	t.MM.SetHeap(heap)
	c.current.Store(&next)
	return nil
}

// validLayout reports whether all addresses are user addresses, the parts are in order,
// and the data does not exceed RLIMIT_DATA.
func (t *Task) validLayout(l *Layout, heap *mm.Heap) bool {
	for _, address := range [...]uint64{
		l.StartCode, l.EndCode, l.StartData, l.EndData, heap.Start, heap.End,
		l.StartStack, l.ArgStart, l.ArgEnd, l.EnvStart, l.EnvEnd,
	} {
		if address >= mm.UserEnd || address < uint64(t.kernel.config.Settings.MmapMinAddr.Get()) {
			return false
		}
	}
	if l.StartCode >= l.EndCode || l.StartData > l.EndData || heap.Start > heap.End || l.ArgStart > l.ArgEnd || l.EnvStart > l.EnvEnd {
		return false
	}
	data := heap.End - heap.Start + l.EndData - l.StartData
	return data <= t.group.Limits.Soft(unix.RLIMIT_DATA)
}
