package ptrace

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
)

// breakpoints are the debug registers of a task as its tracer sees them
// (ptrace(2), u_debugreg of struct user). The zero value has none.
//
// As in Linux a breakpoint exists once its address was written or it was enabled. The
// registers of the CPU have the enabled ones only.
type breakpoints struct {
	slots [4]breakpoint
	// control is DR7 as it was written.
	control uint64
	// status is DR6 with all bits active high (Linux: thread.virtual_dr6).
	status uint64
}

// breakpoint is one hardware breakpoint.
type breakpoint struct {
	exists  bool
	enabled bool
	address uint64
	kind    uint64 // four bits of DR7: condition, then length
}

// Fields of DR7 (SDM vol. 3B, 18.2.4).
const (
	controlEnable = 3  // of breakpoint 0; two bits each
	controlKind   = 16 // the first bit of the kind of breakpoint 0; four bits each

	kindCondition = 3
	onExecution   = 0
	onWrite       = 1
	onPort        = 2
)

// statusFlip are the bits of DR6 that are 1 when nothing has happened (Linux:
// DR6_RESERVED).
const statusFlip = 0xffff0ff0

// get returns debug register n, 0 to 7. DR4 and DR5 do not exist: 0.
func (b *breakpoints) get(n uint64) uint64 {
	switch {
	case n < 4:
		return b.slots[n].address
	case n == 6:
		return b.status ^ statusFlip
	case n == 7:
		return b.control
	}
	return 0
}

// set writes debug register n, and changes nothing if the result is an error: EIO for
// DR4 and DR5, EINVAL for a breakpoint that the kernel does not accept.
func (b *breakpoints) set(n, value uint64) error {
	switch {
	case n < 4:
		return b.setAddress(n, value)
	case n == 6:
		b.status = value ^ statusFlip
		return nil
	case n == 7:
		return b.setControl(value)
	}
	return unix.EIO
}

// setAddress writes DR0 to DR3. A breakpoint that did not exist becomes a disabled one
// on writes of one byte (Linux: ptrace_set_breakpoint_addr).
func (b *breakpoints) setAddress(n, address uint64) error {
	next := b.slots[n]
	if !next.exists {
		next = breakpoint{exists: true, kind: onWrite}
	}
	next.address = address
	if !next.valid() {
		return unix.EINVAL
	}
	b.slots[n] = next
	return nil
}

// setControl writes DR7. If it does not accept one of the breakpoints, all stay as they
// were (Linux: ptrace_write_dr7).
func (b *breakpoints) setControl(value uint64) error {
	next := b.slots
	for n := range next {
		p := &next[n]
		enabled := value>>(2*n)&controlEnable != 0
		if !p.exists && !enabled {
			continue
		}
		p.exists, p.enabled, p.kind = true, enabled, value>>(controlKind+4*n)&0xf
		if !p.valid() {
			return unix.EINVAL
		}
	}
	b.slots, b.control = next, value
	return nil
}

// valid reports whether the kernel accepts the breakpoint, also while it is disabled:
// it is on user memory, aligned to its length, not on I/O ports, and one byte long if
// its condition is execution (Linux: arch_bp_generic_fields, hw_breakpoint_arch_parse).
func (p *breakpoint) valid() bool {
	length := [...]uint64{1, 2, 8, 4}[p.kind>>2]
	switch p.kind & kindCondition {
	case onPort:
		return false
	case onExecution:
		if length != 1 {
			return false
		}
	}
	return p.address < amd64.UserLimit && p.address%length == 0
}

// registers returns what the CPU must have in its debug registers.
func (b *breakpoints) registers() (d amd64.DebugRegisters) {
	for n, p := range b.slots {
		if p.enabled {
			d.Address[n] = p.address
			d.Control |= controlEnable&1<<(2*n) | p.kind<<(controlKind+4*n)
		}
	}
	return d
}

// hit records the cause of a #DB, as bits of DR6 that are all active high. It reports
// whether a breakpoint on execution was hit.
func (b *breakpoints) hit(cause uint64) (execution bool) {
	b.status = cause & amd64.DebugStep
	for n, p := range b.slots {
		if p.enabled && cause>>n&1 != 0 {
			b.status |= 1 << n
			execution = execution || p.kind&kindCondition == onExecution
		}
	}
	return execution
}
