package amd64

import (
	"sync/atomic"
	"unsafe"
)

// PortCount is the number of I/O ports.
const PortCount = 1 << 16

// Ports are I/O ports that a program may access (ioperm(2), iopl(2)): the bitmap of the
// task-state segment (SDM vol. 1, 19.5.2). It is immutable. It has 8 KiB on the Go heap:
// whoever makes one charges it.
type Ports struct {
	number uint64 // tells it from all others; 0 is no bitmap
	denied [PortCount / 64]uint64
}

var lastPorts atomic.Uint64

// allPorts are the ports of iopl(2).
var allPorts = Ports{number: lastPorts.Add(1)}

// AllPorts returns the set of all ports. Any context.
func AllPorts() *Ports { return &allPorts }

// With returns the set with count ports from first added, or removed. p may be nil, the empty
// set, and an empty result is nil. The ports must be below PortCount. It allocates, so only a
// goroutine may call it.
func (p *Ports) With(first, count uint64, access PortAccess) *Ports {
	next := new(Ports)
	for i := range next.denied {
		next.denied[i] = ^uint64(0)
	}
	if p != nil {
		next.denied = p.denied
	}
	for port := first; port < first+count; port++ {
		bit := uint64(1) << (port % 64)
		if access == Allowed {
			next.denied[port/64] &^= bit
		} else {
			next.denied[port/64] |= bit
		}
	}
	for _, word := range next.denied {
		if word != ^uint64(0) {
			next.number = lastPorts.Add(1)
			return next
		}
	}
	return nil
}

// PortAccess says whether a program may access a port.
type PortAccess bool

// The kinds of access.
const (
	Denied  PortAccess = false
	Allowed PortAccess = true
)

// Allows reports whether the set, which may be nil, has a port. Any context.
func (p *Ports) Allows(port uint16) bool {
	return p != nil && p.denied[port/64]>>(port%64)&1 == 0
}

// SetPorts sets the ports that f's program may access, nil for none. Children inherit them, and
// execve(2) preserves them. The caller is f's own goroutine, with interrupts on.
func (f *Frame) SetPorts(p *Ports) {
	Release(f)
	f.ports, f.controls.ports = p, 0
	if p != nil {
		f.controls.ports = p.number
	}
}

// Ports returns the ports that f's program may access, nil for none. The caller is f's own
// goroutine, or f's task is stopped.
func (f *Frame) Ports() *Ports { return f.ports }

//go:nosplit
func portsDiffer(want, have *controls) bool { return want.ports != have.ports }

// portsCopied holds which bitmap each CPU has in its task-state segment, also while no program
// with ports runs. A CPU accesses only its own entry, with interrupts off.
var portsCopied [MaxCPUs]uint64

// loadPorts gives the program its bitmap, or none. A bitmap that is still in the segment is not
// copied again.
//
//go:nosplit
func loadPorts(f *Frame) {
	cpu := thisCPU().id % MaxCPUs
	t := &tss[cpu]
	if f.ports == nil {
		t.registers[tssIOPB] = noBitmap << 16
		return
	}
	if portsCopied[cpu] != f.ports.number {
		portsCopied[cpu] = f.ports.number
		t.ports = *(*[PortCount / 32]uint32)(unsafe.Pointer(&f.ports.denied))
	}
	t.registers[tssIOPB] = tssRegisters << 16
}
