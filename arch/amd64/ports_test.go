package amd64

import (
	"math/rand/v2"
	"testing"
	"unsafe"
)

// TestPortsFollowChanges makes random changes and compares the set with a list.
func TestPortsFollowChanges(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	var p *Ports
	var want [PortCount]bool
	for range 200 {
		first := uint64(r.IntN(PortCount))
		count := min(uint64(r.IntN(300)), PortCount-first)
		access := PortAccess(r.IntN(2) == 0)
		old := p
		p = p.With(first, count, access)
		for port := first; port < first+count; port++ {
			want[port] = access == Allowed
		}
		if p != nil && old != nil && p.number == old.number {
			t.Fatal("a changed set has the number of the old one")
		}
	}
	for port, allowed := range want {
		if p.Allows(uint16(port)) != allowed {
			t.Fatalf("port %#x is allowed: %v, want %v", port, !allowed, allowed)
		}
	}
	if p = p.With(0, PortCount, Denied); p != nil || p.Allows(0x80) {
		t.Error("a set without ports is not nil")
	}
	if !AllPorts().Allows(0) || !AllPorts().Allows(0xffff) {
		t.Error("AllPorts lacks a port")
	}
}

func TestTaskStateHasTheLayoutOfTheCPU(t *testing.T) {
	var s taskState
	if at := unsafe.Offsetof(s.ports); at != tssRegisters || unsafe.Offsetof(s.end) != tssRegisters+PortCount/8 || noBitmap <= unsafe.Sizeof(s) {
		t.Errorf("the bitmap is at %d, its end at %d, the size is %d", at, unsafe.Offsetof(s.end), unsafe.Sizeof(s))
	}
}

func TestPortsAreInheritedAndPreserved(t *testing.T) {
	parent, child := NewFrame(0), NewFrame(0)
	parent.SetPorts(AllPorts())
	child.Copy(parent)
	child.ResetRegisters()
	if child.Ports() != AllPorts() || portsDiffer(&child.controls, &parent.controls) {
		t.Error("the ports are lost in fork or execve")
	}
	if child.SetPorts(nil); !portsDiffer(&child.controls, &parent.controls) || child.Ports() != nil {
		t.Error("the ports are kept after SetPorts(nil)")
	}
}
