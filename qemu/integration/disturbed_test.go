package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"slowpath/qemu/gdbstub"
)

// disturbances are the registers of the program that the kernel must keep over
// a call, by the names that the program gives them. The stub counts the x87
// registers from the bottom of their stack: the only one in use is the last.
func disturbances() map[string]gdbstub.Register {
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

// TestADisturbedRegisterIsSeen changes the program's registers, one at a time,
// at the first instruction after a SYSCALL: the program must name each, or the
// tests above would prove nothing.
func TestADisturbedRegisterIsSeen(t *testing.T) {
	all := trampolines(t)
	landing := situations[0].find(t, all)
	const call = "no such call"
	registers := disturbances()
	got := stopping(t, 1, func(s *stopped) error {
		for name, register := range registers {
			if err := s.reachCall(landing.address, noSuchCall); err != nil {
				return err
			}
			if err := s.disturb(register); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	}, program("paranoid"), "2")
	for name := range registers {
		if !strings.Contains(got.out, fmt.Sprintf("%s changed %s", call, name)) {
			t.Errorf("that %s was changed is not seen", name)
		}
	}
	if got.code != 1 || !strings.HasSuffix(got.out, "something changed\n") {
		t.Errorf("exit code %d, output\n%s", got.code, shorten(got.out))
	}
}

// noSuchCall is the number of the call that the program makes and no kernel has.
const noSuchCall = 100000

// reachCall lets the machine run until a program makes the call.
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

// disturb flips the lowest bit of a register, which is no reserved one of any.
func (s *stopped) disturb(register gdbstub.Register) error {
	b, err := s.ReadRegister(register)
	if err != nil {
		return err
	}
	b[0] ^= 1
	return s.WriteRegister(register, b)
}
