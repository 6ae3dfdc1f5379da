package integration

import (
	"fmt"
	"slices"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"slowpath/qemu/gdbstub"
)

// TestNMIDuringNMIHandlerIsDelayed injects an NMI before each instruction of the NMI
// handler, for a first NMI in each situation. The CPU must take the second NMI
// after the handler's IRETQ and not before.
func TestNMIDuringNMIHandlerIsDelayed(t *testing.T) {
	count := 0
	got := stopping(t, 1, func(s *stopped) error {
		for _, i := range inSituations(t) {
			pairs, err := s.nestAll(i.address)
			if err != nil {
				return fmt.Errorf("at %s: %w", i.place, err)
			}
			count += pairs
		}
		return nil
	}, program("paranoid"), "2")
	user, kernel := nothingChanged(t, got)
	if user != 0 || kernel != 2*count || count < 10*len(situations) {
		t.Errorf("after %d pairs of NMIs, the kernel counted %d in user mode and %d in the kernel", count, user, kernel)
	}
	t.Logf("%d pairs of NMIs", count)
}

// nestAll injects pairs of NMIs at an address of the kernel. In each pair the second
// NMI comes one instruction later in the handler, until the handler's end. It
// returns the number of pairs.
func (s *stopped) nestAll(address uint64) (pairs int, err error) {
	for inside := true; inside; pairs++ {
		cpu, err := s.reach(address)
		if err != nil {
			return 0, err
		}
		if inside, err = s.nest(cpu, address, pairs); err != nil {
			return 0, err
		}
	}
	return pairs, nil
}

// nest injects an NMI at an address of the kernel, and a second one before the k-th
// instruction of the handler, counted from 0, or after its IRETQ if the handler is
// shorter. It reports whether the second came inside the handler.
func (s *stopped) nest(cpu int, address uint64, k int) (inside bool, err error) {
	at, err := s.enterNMI(cpu, address)
	for range k {
		if err != nil {
			return false, err
		}
		if at, err = s.step(cpu, at); at == address {
			break
		}
	}
	if err != nil {
		return false, err
	}
	inside = at != address
	if err := s.nmi(); err != nil {
		return false, err
	}
	for at != address { // until the handler's IRETQ is executed
		before := at
		if at, err = s.step(cpu, at); err != nil {
			return false, err
		}
		if at == stub(vectorNMI) {
			return false, fmt.Errorf("the NMI before instruction %d of the handler is taken inside the handler, at %#x", k, before)
		}
	}
	if at, err = s.step(cpu, at); err == nil && at != stub(vectorNMI) {
		err = fmt.Errorf("the NMI before instruction %d of the handler is lost: the CPU continued at %#x", k, at)
	}
	return inside, err
}

// enterNMI injects an NMI and steps the CPU, which is at the address, into the
// handler.
func (s *stopped) enterNMI(cpu int, address uint64) (uint64, error) {
	if err := s.nmi(); err != nil {
		return 0, err
	}
	to, err := s.step(cpu, address)
	if err == nil && to != stub(vectorNMI) {
		err = fmt.Errorf("no NMI is taken at %#x: the CPU continued at %#x", address, to)
	}
	return to, err
}

// userPlaces are the instructions of the program at which all its registers have
// test values; the stack pointer is not a valid address.
var userPlaces = []string{"call_end", "touch_end", "spin_end", "trap_end", "undefined_end"}

// TestNMIFromUserModeBlocksFurtherNMIs injects an NMI in user mode, and a second one
// while the kernel serves the first in Go. The CPU must take the second after the
// IRETQ that ends the first, and not before.
func TestNMIFromUserModeBlocksFurtherNMIs(t *testing.T) {
	var ends []uint64
	for _, i := range trampolines(t) {
		if i.mnemo == x86asm.IRETQ {
			ends = append(ends, i.address)
		}
	}
	count := 0
	got := stopping(t, 1, func(s *stopped) error {
		for round := range choose(2, 100) {
			for n, name := range userPlaces {
				cpu, err := s.reach(symbol(t, program("paranoid"), name))
				if err != nil {
					return err
				}
				if err := s.nestUser(cpu, 1+(round*len(userPlaces)+n)*17%150, ends); err != nil {
					return fmt.Errorf("at %s: %w", name, err)
				}
				count++
			}
		}
		return nil
	}, program("paranoid"), "2")
	user, kernel := nothingChanged(t, got)
	if user != count || kernel != count {
		t.Errorf("after %d pairs of NMIs, the kernel counted %d in user mode and %d in the kernel, want as many each", count, user, kernel)
	}
}

// nestUser injects an NMI in user mode at the CPU's current instruction, and a
// second one k instructions later. ends are the addresses of the kernel's IRETQs.
func (s *stopped) nestUser(cpu, k int, ends []uint64) error {
	at, err := s.Read(gdbstub.RIP)
	if err != nil {
		return err
	}
	if at, err = s.enterNMI(cpu, at); err != nil {
		return err
	}
	const most = 5000
	returned := false // the last instruction was an IRETQ
	for n := range most {
		if n == k {
			if err := s.nmi(); err != nil {
				return err
			}
		}
		before := at
		if at, err = s.step(cpu, before); err != nil {
			return err
		}
		if at != stub(vectorNMI) {
			returned = slices.Contains(ends, before)
			continue
		}
		if n < k || !returned {
			return fmt.Errorf("the NMI injected after %d instructions was taken after %d, at %#x", k, n, before)
		}
		return nil
	}
	return fmt.Errorf("the NMI injected after %d instructions was not taken within %d", k, most)
}
