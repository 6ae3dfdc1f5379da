package task

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/abi/compat"
	"slowpath/arch/amd64"
)

// Segment descriptors of programs: the three of set_thread_area(2), which belong to a
// thread, and the local descriptor table of modify_ldt(2), which belongs to an address
// space.

// The bits of a descriptor above its base and limit (SDM vol. 3A, figure 3-8).
const (
	segmentWritable  = 1 << 41 // of data; readable, of code
	segmentContents  = 42      // the shift of user_desc's contents: code, expand-down or conforming
	segmentNotSystem = 1<<44 | 3<<45 | 1<<40
	segmentPresent   = 1 << 47
	segmentAvailable = 1 << 52
	segmentDefault32 = 1 << 54
	segmentPages     = 1 << 55
	contentsMask     = 3
	contentsConform  = 3
	contentsExpand   = 1
)

// isEmpty reports whether a program wants no segment (Linux: LDT_empty).
func isEmpty(d *compat.UserDesc) bool {
	return d.BaseAddr == 0 && d.Limit == 0 && d.Flags&^compat.LongMode == compat.ReadExecOnly|compat.SegNotPresent
}

// isZero reports whether all members but the entry are 0, which means no segment too
// (Linux: LDT_zero).
func isZero(d *compat.UserDesc) bool { return d.BaseAddr == 0 && d.Limit == 0 && d.Flags == 0 }

// descriptorOf returns the descriptor that a struct user_desc describes (Linux: fill_ldt).
func descriptorOf(d *compat.UserDesc) amd64.Descriptor {
	base, limit := uint64(d.BaseAddr), uint64(d.Limit)
	v := limit&0xffff | base&0xffffff<<16 | limit>>16&0xf<<48 | base>>24<<56 | segmentNotSystem
	v |= uint64(d.Flags>>compat.ContentsShift&contentsMask) << segmentContents
	for _, bit := range [...]struct {
		set bool
		bit uint64
	}{
		{d.Flags&compat.ReadExecOnly == 0, segmentWritable},
		{d.Flags&compat.SegNotPresent == 0, segmentPresent},
		{d.Flags&compat.Useable != 0, segmentAvailable},
		{d.Flags&compat.Seg32Bit != 0, segmentDefault32},
		{d.Flags&compat.LimitInPages != 0, segmentPages},
	} {
		if bit.set {
			v |= bit.bit
		}
	}
	return amd64.Descriptor(v)
}

// userDescOf is the inverse of descriptorOf (Linux: fill_user_desc).
func userDescOf(entry uint32, v amd64.Descriptor) compat.UserDesc {
	d := compat.UserDesc{
		EntryNumber: entry, BaseAddr: uint32(v.Base()), Limit: uint32(v&0xffff | v>>48&0xf<<16),
		Flags: uint32(v>>segmentContents&contentsMask) << compat.ContentsShift,
	}
	for _, bit := range [...]struct {
		set  bool
		flag uint32
	}{
		{v&segmentWritable == 0, compat.ReadExecOnly},
		{v&segmentPresent == 0, compat.SegNotPresent},
		{v&segmentAvailable != 0, compat.Useable},
		{v&segmentDefault32 != 0, compat.Seg32Bit},
		{v&segmentPages != 0, compat.LimitInPages},
	} {
		if bit.set {
			d.Flags |= bit.flag
		}
	}
	return d
}

// The entries of set_thread_area(2) in the GDT.
const (
	firstThreadArea = amd64.TLSSelector >> 3
	anyThreadArea   = ^uint32(0)
)

// CheckThreadArea returns EINVAL for a segment that set_thread_area(2) refuses: one of 16
// bits, of code, or that is not present (Linux: tls_desc_okay).
func CheckThreadArea(d *compat.UserDesc) error {
	if isEmpty(d) || isZero(d) {
		return nil
	}
	contents := d.Flags >> compat.ContentsShift & contentsMask
	if d.Flags&compat.Seg32Bit == 0 || contents > contentsExpand || d.Flags&compat.SegNotPresent != 0 {
		return unix.EINVAL
	}
	return nil
}

// FreeThreadArea returns the first entry of set_thread_area(2) that the task does not use:
// ESRCH if there is none. Only the task's own goroutine calls it.
func (t *Task) FreeThreadArea() (entry uint32, err error) {
	for i := range amd64.TLSEntries {
		if t.Frame.TLS(i) == 0 {
			return firstThreadArea + uint32(i), nil
		}
	}
	return 0, unix.ESRCH
}

// SetThreadArea sets the segment of an entry of set_thread_area(2), after CheckThreadArea.
// EINVAL if there is no such entry. The caller is the task's own goroutine, or the task does
// not run.
func (t *Task) SetThreadArea(entry uint32, d *compat.UserDesc) error {
	i := entry - firstThreadArea
	if i >= amd64.TLSEntries {
		return unix.EINVAL
	}
	var v amd64.Descriptor
	if !isEmpty(d) && !isZero(d) {
		v = descriptorOf(d)
	}
	t.Frame.SetTLS(int(i), v)
	return nil
}

// ThreadArea is get_thread_area(2): EINVAL if there is no such entry. The caller is as for
// SetThreadArea.
func (t *Task) ThreadArea(entry uint32) (compat.UserDesc, error) {
	i := entry - firstThreadArea
	if i >= amd64.TLSEntries {
		return compat.UserDesc{}, unix.EINVAL
	}
	return userDescOf(entry, t.Frame.TLS(int(i))), nil
}

// ThreadAreas returns the segments of set_thread_area(2), and whether the task uses one of
// them. The caller is as for SetThreadArea.
func (t *Task) ThreadAreas() (segments [amd64.TLSEntries]compat.UserDesc, used bool) {
	for i := range segments {
		v := t.Frame.TLS(i)
		segments[i] = userDescOf(firstThreadArea+uint32(i), v)
		used = used || v != 0
	}
	return segments, used
}

// SetThreadAreas sets the first segments of set_thread_area(2), or none if one of them is
// refused: EINVAL. There are at most amd64.TLSEntries. The caller is as for SetThreadArea.
func (t *Task) SetThreadAreas(segments []compat.UserDesc) error {
	for i := range segments {
		if err := CheckThreadArea(&segments[i]); err != nil {
			return err
		}
	}
	for i := range segments {
		if err := t.SetThreadArea(firstThreadArea+uint32(i), &segments[i]); err != nil {
			return err
		}
	}
	return nil
}

// SelectorBase returns the base of the segment that a selector names: that of
// set_thread_area(2) or of the local descriptor table, and 0 for others (Linux:
// x86_fsgsbase_read_task). The caller is as for SetThreadArea.
func (t *Task) SelectorBase(selector uint16) uint64 {
	const local = 4
	entry := uint32(selector >> 3)
	if selector&local != 0 {
		if table := t.LocalTable(); entry < uint32(len(table)) {
			return table[entry].Base()
		}
		return 0
	}
	if i := entry - firstThreadArea; i < amd64.TLSEntries {
		return t.Frame.TLS(int(i)).Base()
	}
	return 0
}

// localTable holds the local descriptor table of the tasks that share an address space. Its
// memory is admitted when it grows; it has at most amd64.MaxLDT entries.
type localTable struct {
	mu    sync.Mutex // held while the table is replaced
	table atomic.Pointer[amd64.LDT]
}

// localTableSubsystem is the local descriptor table of modify_ldt(2).
var localTableSubsystem = Subsystem{
	Name: "local descriptor table",
	Fork: func(parent, child *Task, a *CloneArgs) error {
		l := parent.localTable.Load()
		if a.Flags&unix.CLONE_VM == 0 {
			l = new(localTable)
			l.table.Store(parent.localTable.Load().table.Load())
		}
		child.localTable.Store(l)
		return nil
	},
	// ModifyLocalTable finds the child from here on.
	Publish: func(_, child *Task, _ *CloneArgs) { child.Frame.SetLDT(child.localTable.Load().table.Load()) },
	Exec:    func(t *Task, _ *Execution) { t.localTable.Store(new(localTable)) },
}

// LocalTable returns the descriptors of the task's local descriptor table, which must not be
// changed. The caller is as for SetThreadArea.
func (t *Task) LocalTable() []amd64.Descriptor {
	return t.localTable.Load().table.Load().Descriptors()
}

// ModifyLocalTable is the writing part of modify_ldt(2). old selects the function 1, which
// older programs use. Only the task's own goroutine calls it.
//
// Segments of 16 bits are refused with EINVAL, as by a kernel without CONFIG_X86_16BIT: IRET
// to such a stack segment restores only the low half of ESP, and programs would see bits of
// an address of the kernel. Other errors: EINVAL, ENOMEM.
func (t *Task) ModifyLocalTable(d *compat.UserDesc, old bool) error {
	if d.EntryNumber >= amd64.MaxLDT {
		return unix.EINVAL
	}
	if d.Flags>>compat.ContentsShift&contentsMask == contentsConform && (old || d.Flags&compat.SegNotPresent == 0) {
		return unix.EINVAL
	}
	var v amd64.Descriptor
	if clears := isEmpty(d) || old && d.BaseAddr == 0 && d.Limit == 0; !clears {
		if d.Flags&compat.Seg32Bit == 0 {
			return unix.EINVAL
		}
		if v = descriptorOf(d); old {
			v &^= segmentAvailable
		}
	}
	return t.setLocalDescriptor(int(d.EntryNumber), v)
}

// setLocalDescriptor replaces the table by one with a changed entry, and makes the other
// tasks that share it load it: ENOMEM.
func (t *Task) setLocalDescriptor(entry int, v amd64.Descriptor) error {
	const entryBytes = 8
	l := t.localTable.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.table.Load().Descriptors()
	size := max(entry+1, len(old))
	if err := t.kernel.Memory().Admit(int64(size) * entryBytes); err != nil {
		return err
	}
	descriptors := make([]amd64.Descriptor, size)
	copy(descriptors, old)
	descriptors[entry] = v
	l.table.Store(amd64.NewLDT(descriptors))
	t.Frame.SetLDT(l.table.Load())
	t.kernel.eachTask(func(other *Task) {
		if other != t && other.localTable.Load() == l {
			other.AddWork(func(other *Task) { other.Frame.SetLDT(l.table.Load()) })
		}
	})
	return nil
}
