package ptrace

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
)

func TestDebugRegistersAreCheckedAsByLinux(t *testing.T) {
	const kernel = 0xffff800000000000
	type write struct {
		register, value uint64
		err             error
	}
	for _, c := range []struct {
		name   string
		writes []write
		want   amd64.DebugRegisters
	}{
		{"a disabled address", []write{{0, 0x401000, nil}}, amd64.DebugRegisters{}},
		{"enabled afterwards", []write{{0, 0x401000, nil}, {7, 1, nil}}, amd64.DebugRegisters{Address: [4]uint64{0x401000}, Control: 1}},
		{"enabled first, at address 0", []write{{7, 1, nil}}, amd64.DebugRegisters{Control: 1}},
		{"the global enable bit", []write{{7, 8, nil}}, amd64.DebugRegisters{Control: 4}},
		{"the kernel", []write{{0, kernel, unix.EINVAL}}, amd64.DebugRegisters{}},
		{"the end of user memory", []write{{0, amd64.UserLimit, unix.EINVAL}, {0, amd64.UserLimit - 1, nil}}, amd64.DebugRegisters{}},
		{"execution of two bytes", []write{{7, 0x40001, unix.EINVAL}}, amd64.DebugRegisters{}},
		{"a port", []write{{7, 0x20001, unix.EINVAL}}, amd64.DebugRegisters{}},
		{"a port, disabled, that never existed", []write{{7, 0x20000, nil}}, amd64.DebugRegisters{}},
		{"a port, disabled, that exists", []write{{0, 8, nil}, {7, 0x20000, unix.EINVAL}}, amd64.DebugRegisters{}},
		{"alignment", []write{{0, 4, nil}, {7, 0x90001, unix.EINVAL}, {7, 0xd0001, nil}}, amd64.DebugRegisters{Address: [4]uint64{4}, Control: 0xd0001}},
		{"an address that the length forbids", []write{{0, 4, nil}, {7, 0xd0001, nil}, {0, 6, unix.EINVAL}},
			amd64.DebugRegisters{Address: [4]uint64{4}, Control: 0xd0001}},
		{"one bad breakpoint of two", []write{{7, 1, nil}, {7, 0x200005 &^ 1, unix.EINVAL}}, amd64.DebugRegisters{Control: 1}},
		{"reserved bits", []write{{7, 0xffffffff0000fc00, nil}}, amd64.DebugRegisters{}},
		{"no such register", []write{{4, 0, unix.EIO}, {5, 0, unix.EIO}}, amd64.DebugRegisters{}},
	} {
		var b breakpoints
		for _, w := range c.writes {
			if err := b.set(w.register, w.value); err != w.err {
				t.Errorf("%s: DR%d = %#x: %v, want %v", c.name, w.register, w.value, err, w.err)
			}
		}
		if got := b.registers(); got != c.want {
			t.Errorf("%s: the CPU gets %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestDebugStatusHasBreakpointsOfTheTracerOnly(t *testing.T) {
	var b breakpoints
	b.set(7, 1|1<<4|1<<24) // 0 on execution, 2 on a write
	for _, c := range []struct {
		cause, status uint64
		execution     bool
	}{
		{amd64.DebugStep, 0xffff4ff0, false},
		{1, 0xffff0ff1, true},
		{4, 0xffff0ff4, false},
		{2, 0xffff0ff0, false}, // not enabled
		{amd64.DebugStep | 5, 0xffff4ff5, true},
		{0, 0xffff0ff0, false},
	} {
		if got := b.hit(c.cause); got != c.execution || b.get(6) != c.status {
			t.Errorf("cause %#x: DR6 %#x, execution %v, want %#x, %v", c.cause, b.get(6), got, c.status, c.execution)
		}
	}
}

// FuzzDebugRegisters writes debug registers in any order: the CPU accepts what it gets.
func FuzzDebugRegisters(f *testing.F) {
	f.Add([]byte{0, 7}, uint64(0x401000), uint64(1))
	f.Add([]byte{1, 7, 1}, uint64(0x401002), uint64(0xd00004))
	f.Fuzz(func(t *testing.T, registers []byte, a, b uint64) {
		var p breakpoints
		frame := amd64.NewFrame(0)
		values := [2]uint64{a, b}
		for i, r := range registers {
			before := p
			n, value := uint64(r%9), values[i%2]>>(r>>4)
			err := p.set(n, value)
			if err != nil && p != before {
				t.Fatalf("DR%d = %#x: %v, and the registers have changed", n, value, err)
			}
			if err == nil && p.get(n) != value {
				t.Fatalf("DR%d = %#x reads as %#x", n, value, p.get(n))
			}
			if !frame.SetDebugRegisters(p.registers()) {
				t.Fatalf("the CPU refuses %+v", p.registers())
			}
		}
	})
}
