package task

import (
	"slowpath/abi"
	"slowpath/arch/amd64"
)

// Ports is what ioperm(2) and iopl(2) have set for a thread. Children inherit it, and execve(2)
// preserves it.
type Ports struct {
	// Bitmap has the ports of ioperm(2), nil for none.
	Bitmap *amd64.Ports
	// Level is that of iopl(2): 3 allows all ports.
	Level uint8
}

// allLevel is the level of iopl(2) that allows all ports.
const allLevel = 3

// Ports returns what the task may access. Only the task's own goroutine calls it.
func (t *Task) Ports() Ports { return t.ports }

// SetPorts sets what the task may access from its next return to user mode on. Only the task's
// own goroutine calls it.
func (t *Task) SetPorts(p Ports) {
	t.ports = p
	if p.Level == allLevel {
		t.Frame.SetPorts(amd64.AllPorts())
		return
	}
	t.Frame.SetPorts(p.Bitmap)
}

// portsSubsystem gives a child the ports of its parent. The frame has them already.
var portsSubsystem = Subsystem{
	Name: "I/O ports",
	Fork: func(parent, child *Task, _ *CloneArgs) error { child.ports = parent.ports; return nil },
}

// protectionFault sends the signal of #GP. As on Linux, CLI and STI do nothing after iopl(2)
// has allowed all ports (fixup_iopl_exception).
func (t *Task) protectionFault(f *amd64.Frame, vector int) {
	const cli, sti = 0xfa, 0xfb
	if t.ports.Level == allLevel {
		if code, err := abi.CopyIn[byte](t, f.RIP); err == nil && (code == cli || code == sti) {
			f.RIP++
			return
		}
	}
	t.trap(f, vector)
}
