package task

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/abi/compat"
	"slowpath/arch/amd64"
)

// dataSegment describes a writable segment of the whole address space, as C libraries set it
// for thread-local storage.
var dataSegment = compat.UserDesc{BaseAddr: 0x12345678, Limit: 0xfffff, Flags: compat.Seg32Bit | compat.LimitInPages | compat.Useable}

func TestDescriptorKeepsTheSegment(t *testing.T) {
	for flags := range uint32(1 << 7) {
		want := compat.UserDesc{EntryNumber: 12, BaseAddr: 0xfedcba98, Limit: 0xabcde, Flags: flags}
		if got := userDescOf(12, descriptorOf(&want)); got != want {
			t.Errorf("%+v becomes %+v", want, got)
		}
	}
}

func TestThreadAreaRefusesOtherSegments(t *testing.T) {
	for name, c := range map[string]struct {
		d    compat.UserDesc
		want error
	}{
		"data":                {dataSegment, nil},
		"expand-down data":    {compat.UserDesc{Flags: compat.Seg32Bit | 1<<compat.ContentsShift}, nil},
		"no segment":          {compat.UserDesc{Flags: compat.ReadExecOnly | compat.SegNotPresent}, nil},
		"all zero":            {compat.UserDesc{EntryNumber: 12}, nil},
		"16 bits":             {compat.UserDesc{Limit: 1}, unix.EINVAL},
		"code":                {compat.UserDesc{Flags: compat.Seg32Bit | 2<<compat.ContentsShift}, unix.EINVAL},
		"not present":         {compat.UserDesc{Flags: compat.Seg32Bit | compat.SegNotPresent}, unix.EINVAL},
		"16 bits not present": {compat.UserDesc{Limit: 1, Flags: compat.SegNotPresent}, unix.EINVAL},
	} {
		if err := CheckThreadArea(&c.d); err != c.want {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
	}
}

func TestThreadAreasAreAllocatedInOrder(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		for i := range uint32(amd64.TLSEntries) {
			entry, err := t.FreeThreadArea()
			if entry != 12+i || err != nil || t.SetThreadArea(entry, &dataSegment) != nil {
				w.T.Errorf("entry %d: %d, %v", i, entry, err)
			}
		}
		if _, err := t.FreeThreadArea(); err != unix.ESRCH {
			w.T.Errorf("a fourth entry: %v, want ESRCH", err)
		}
		want := dataSegment
		want.EntryNumber = 13
		if got, err := t.ThreadArea(13); got != want || err != nil {
			w.T.Errorf("entry 13 is %+v, %v", got, err)
		}
		if t.SetThreadArea(13, &compat.UserDesc{}) != nil || t.Frame.TLS(1) != 0 {
			w.T.Error("an empty segment does not free the entry")
		}
		for _, entry := range []uint32{0, 11, 15, 1 << 31} {
			if err := t.SetThreadArea(entry, &dataSegment); err != unix.EINVAL {
				w.T.Errorf("entry %d: %v, want EINVAL", entry, err)
			}
		}
		exit(t, 0)
	})
}

func TestLocalTableIsSharedByThreadsAndCopiedByFork(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		set := func(t *Task, entry uint32) {
			d := dataSegment
			d.EntryNumber = entry
			if err := t.ModifyLocalTable(&d, false); err != nil {
				w.T.Errorf("entry %d: %v", entry, err)
			}
		}
		set(t, 2)
		child := w.clone(t, CloneArgs{ExitSignal: unix.SIGCHLD}, func(child *Task) {
			set(child, 5)
			if n := len(child.LocalTable()); n != 6 {
				w.T.Errorf("the child's table has %d entries, want 6", n)
			}
			exit(child, 0)
		})
		w.wait(t, child, 0)
		if n := len(t.LocalTable()); n != 3 {
			w.T.Errorf("the parent's table has %d entries, want 3", n)
		}
		for name, c := range map[string]struct {
			d   compat.UserDesc
			old bool
		}{
			"entry beyond the table": {compat.UserDesc{EntryNumber: amd64.MaxLDT, Flags: compat.Seg32Bit}, false},
			"16 bits":                {compat.UserDesc{Limit: 1}, false},
			"conforming code":        {compat.UserDesc{Flags: compat.Seg32Bit | 3<<compat.ContentsShift}, false},
			"conforming, old call":   {compat.UserDesc{Flags: compat.Seg32Bit | compat.SegNotPresent | 3<<compat.ContentsShift}, true},
		} {
			if err := t.ModifyLocalTable(&c.d, c.old); err != unix.EINVAL {
				w.T.Errorf("%s: %v, want EINVAL", name, err)
			}
		}
		exit(t, 0)
	})
}
