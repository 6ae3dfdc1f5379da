package mm_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/mm"
	"slowpath/mm/frame"
)

// brokenObject panics when a page is needed.
type brokenObject struct{ mappings mm.Mappings }

func (*brokenObject) Page(uint64, bool) (frame.Number, error) { panic("bug in an object") }

func (*brokenObject) CachedPages(_ uint64, dst []frame.Number) {
	for i := range dst {
		dst[i] = frame.None
	}
}

func (o *brokenObject) Mappings() *mm.Mappings { return &o.mappings }

// TestPanicInFaultReleasesTheAddressSpace: other users of the address space must not wait
// for a lock, nor use what the change has left.
func TestPanicInFaultReleasesTheAddressSpace(t *testing.T) {
	f := newFixture(t)
	other := f.mmapAnonymous(0x200000, 1, rw)
	at := f.mmap(mm.MapRequest{Length: page, Prot: mm.ProtRead, Flags: unix.MAP_SHARED, Object: new(brokenObject)})
	value := func() (v any) {
		defer func() { v = recover() }()
		f.as.Fault(at, mm.AccessRead)
		return nil
	}()
	if value != "bug in an object" {
		t.Fatalf("the fault panics with %v", value)
	}
	if got := f.as.Fault(other, mm.AccessWrite); got != mm.FaultBus {
		t.Errorf("a later fault gives %v, want %v", got, mm.FaultBus)
	}
}
