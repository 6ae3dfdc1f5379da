package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"slowpath/qemu/gdbstub"
)

// preservedRegisters returns the registers that the kernel must preserve during a
// system call, by the program's names for them. R11 has the flags there. The stub
// numbers x87 registers physically, and the only one in use is the last.
func preservedRegisters() map[string]gdbstub.Register {
	registers := map[string]gdbstub.Register{
		"flags": gdbstub.R11, "gs base": gdbstub.GSBase, "st0": gdbstub.ST0 + 7, "mxcsr": gdbstub.MXCSR,
	}
	for n, name := range []string{"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"} {
		if name != "rax" && name != "rcx" && name != "r11" {
			registers[name] = gdbstub.Register(n)
		}
	}
	for n := range 16 {
		registers[fmt.Sprintf("ymm%d", n)] = gdbstub.XMM0 + gdbstub.Register(n)
	}
	return registers
}

// TestProgramDetectsChangedRegister changes the program's registers, one at a time,
// at the first instruction after a SYSCALL. The program must report each change:
// other tests rely on its checks.
func TestProgramDetectsChangedRegister(t *testing.T) {
	all := trampolines(t)
	landing := situations[0].find(t, all)
	const call = "no such call"
	registers := preservedRegisters()
	got := stopping(t, 1, func(s *stopped) error {
		for name, register := range registers {
			if err := s.reachCall(landing.address, noSuchCall); err != nil {
				return err
			}
			if err := s.flipBit(register); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	}, program("paranoid"), "2")
	for name := range registers {
		if !strings.Contains(got.out, fmt.Sprintf("%s changed %s", call, name)) {
			t.Errorf("the program does not detect that %s was changed", name)
		}
	}
	if got.code != 1 || !strings.HasSuffix(got.out, "something changed\n") {
		t.Errorf("exit code %d, output\n%s", got.code, shorten(got.out))
	}
}

// noSuchCall is the number of a system call that does not exist. The program makes
// that call.
const noSuchCall = 100000

// reachCall runs the machine until a program makes the call with that number.
func (s *stopped) reachCall(landing, number uint64) error {
	for {
		if _, err := s.reach(landing); err != nil {
			return err
		}
		rax, err := s.Read(gdbstub.RAX)
		rip, err2 := s.Read(gdbstub.RCX)
		if err := errors.Join(err, err2); err != nil || rax == number && rip < 1<<47 {
			return err
		}
		if _, err := s.step(0, landing); err != nil {
			return err
		}
	}
}

// flipBit flips the lowest bit of a register, which is not reserved in any.
func (s *stopped) flipBit(register gdbstub.Register) error {
	b, err := s.ReadRegister(register)
	if err != nil {
		return err
	}
	b[0] ^= 1
	return s.WriteRegister(register, b)
}
