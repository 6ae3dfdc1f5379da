package integration

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"slowpath/hostlink"
	"slowpath/qemu"
	"slowpath/qemu/gdbstub"
)

// uncorrected is the line for QEMU's monitor that injects an uncorrected error
// with an address.
func uncorrected(cpu int, address uint64) string { return machineCheckLine(cpu, address, 0) }

// machineCheckLine has more bits in the bank's status (mce CPU BANK STATUS
// MCGSTATUS ADDR MISC).
func machineCheckLine(cpu int, address, more uint64) string {
	const (
		valid, uncorrected, enabled, hasMisc, hasAddress = 1 << 63, 1 << 61, 1 << 60, 1 << 59, 1 << 58
		status                                           = uint64(valid|uncorrected|enabled|hasMisc|hasAddress) | 0x134
		inProgress                                       = 1 << 2
	)
	return fmt.Sprintf("mce %d 9 %#x %#x %#x %#x", cpu, status|more, inProgress, address, 0x8c)
}

// machineCheck injects an error into the first CPU.
func machineCheck(m *qemu.Monitor) error {
	time.Sleep(200 * time.Millisecond) // until the output is out and the programs spin
	_, err := m.Execute("human-monitor-command", map[string]string{"command-line": uncorrected(0, 0x12345000)})
	return err
}

// inKernel is how the kernel's log names a machine check in the kernel itself,
// which is the end of it: of its memory nothing can be spared.
const inKernel = "vector 0000000000000012"

// checked injects a machine check. A CPU on which a program spins is in the
// kernel now and then, for a tick: then it is tried again.
func checked(t *testing.T, config *qemu.Config) (status hostlink.Status, output string, err error) {
	for range 3 {
		status, output, err = tryInjected(t, config, machineCheck)
		if err == nil || !strings.Contains(err.Error(), inKernel) {
			break
		}
	}
	return status, output, err
}

// TestMachineCheckEndsItsVictim injects a machine check into a program: it
// gets SIGBUS, and nobody else notices.
func TestMachineCheckEndsItsVictim(t *testing.T) {
	for _, c := range []struct {
		name           string
		cpus, programs int
		mode, want     string
	}{
		{"one", 1, 1, "victims", "ready\none ended: signal 7, status 0\nended before: 1\n"},
		{"handled", 1, 1, "handlers", "ready\nsignal 7 code 4 address 12345000 bits 12\none ended: signal 0, status 3\nended before: 1\n"},
		{"of two", 2, 2, "victims", "ready\none ended: signal 7, status 0\nanother lived: signal 15\nended before: 1\n"},
		{"of four", 4, 4, "victims", "ready\none ended: signal 7, status 0\n" + strings.Repeat("another lived: signal 15\n", 3) + "ended before: 1\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, output, err := checked(t, machine(t, c.cpus, "inject", c.mode, fmt.Sprint(c.programs)))
			if err != nil {
				t.Fatalf("%v; the program said %q", err, output)
			}
			if want := (hostlink.Status{Outcome: hostlink.Exited, Value: 8}); status != want || output != c.want {
				t.Errorf("got %+v, %q; want %q", status, output, c.want)
			}
		})
	}
}

// TestEachVictimHasItsOwnAddress injects a machine check into each of two
// programs at once: each must learn of its own memory, and not of the other's.
func TestEachVictimHasItsOwnAddress(t *testing.T) {
	got := stopping(t, 2, func(s *stopped) error {
		if err := s.untilSpinning(t, 2); err != nil {
			return err
		}
		for cpu := range 2 {
			if err := s.inject(uncorrected(cpu, 0x1000*uint64(cpu+1))); err != nil {
				return err
			}
		}
		return nil
	}, program("inject"), "all", "2")
	lines := strings.SplitAfter(got.out, "\n")
	slices.Sort(lines)
	want := "ready\nsignal 7 code 4 address 1000 bits 12\nsignal 7 code 4 address 2000 bits 12\nstatus 300\nstatus 300\n"
	if got.code != 8 || strings.Join(lines, "") != want {
		t.Errorf("exit code %d, output\n%s\nerrors\n%s", got.code, got.out, got.errors)
	}
}

// untilSpinning lets the machine run until each CPU runs a victim.
func (s *stopped) untilSpinning(t *testing.T, cpus int) error {
	spin := symbol(t, program("inject"), "spin")
	const size = 8
	for {
		spinning := 0
		for cpu := range cpus {
			if err := s.Select(cpu); err != nil {
				return err
			}
			rip, err := s.Read(gdbstub.RIP)
			if err != nil {
				return err
			}
			if rip-spin < size {
				spinning++
			}
		}
		if spinning == cpus {
			return nil
		}
		if err := s.runOn(); err != nil {
			return err
		}
	}
}

// runOn lets the machine run for a moment.
func (s *stopped) runOn() error {
	if err := s.Start(); err != nil {
		return err
	}
	time.Sleep(time.Millisecond)
	if err := s.Interrupt(); err != nil {
		return err
	}
	_, err := s.Stopped()
	return err
}

// TestCorruptContextEndsTheMachine: after a machine check that says that what
// the CPU was doing is corrupt, nothing may go on, as in Linux.
func TestCorruptContextEndsTheMachine(t *testing.T) {
	const contextCorrupt = 1 << 57
	got := stopping(t, 1, func(s *stopped) error {
		if err := s.untilSpinning(t, 1); err != nil {
			return err
		}
		if err := s.inject(machineCheckLine(0, 0x1000, contextCorrupt)); err != nil {
			return err
		}
		return s.end()
	}, program("inject"), "all", "1")
	if got.code != 125 || !strings.Contains(got.errors, "corrupted the processor's state") {
		t.Errorf("exit code %d, errors\n%s", got.code, got.errors)
	}
}

// The kernel's last words, by vector (goos/trap.go).
const (
	checkedWords = "A machine check interrupted the kernel"
	doubledWords = "The CPU could not deliver an exception"
	nestedWords  = "The kernel took an exception inside package goos"
)

// endsInOrder wants the kernel to have said where it took which exception, and
// the command to have failed for that.
func endsInOrder(t *testing.T, got result, vector, address uint64, words string) {
	t.Helper()
	where := fmt.Sprintf(" rip %016x ", address)
	if got.code != 125 || !strings.Contains(got.errors, fmt.Sprintf("vector %016x ", vector)) ||
		!strings.Contains(got.errors, where) || !strings.Contains(got.errors, words) ||
		!strings.Contains(got.errors, "last visits of CPU 0") || !strings.Contains(got.errors, "  by ") {
		t.Errorf("exit code %d, want 125; the log must have the vector %#x, %q, %q and the last visits, and is\n%s", got.code, vector, where, words, shorten(got.errors))
	}
}

// TestMachineCheckInTheKernel injects a machine check before an instruction
// between user mode and Go: as Linux does, the kernel says so and ends. In
// short it is one instruction for each situation, in long each.
func TestMachineCheckInTheKernel(t *testing.T) {
	boots := 0
	for _, i := range inSituations(t) {
		boots++
		got := stopping(t, 1, func(s *stopped) error {
			cpu, err := s.reach(i.address)
			if err == nil {
				err = s.inject(uncorrected(cpu, 0))
			}
			if err != nil {
				return err
			}
			return s.end()
		}, program("paranoid"), "2")
		endsInOrder(t, got, vectorMachineCheck, i.address, checkedWords)
	}
	if boots < len(situations) {
		t.Errorf("only %d machine checks", boots)
	}
	t.Logf("%d machine checks", boots)
}

// TestMachineCheckWithinNMI injects a machine check before instructions of the
// handler of an NMI that found the CPU in the kernel: the first, one in the
// middle and the IRETQ, or in long each.
func TestMachineCheckWithinNMI(t *testing.T) {
	landing := situations[0].find(t, trampolines(t))
	positions := []int{0, 4, 9}
	if long() {
		positions = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9} // its instructions, stub and all
	}
	for _, k := range positions {
		var at uint64
		got := stopping(t, 1, func(s *stopped) (err error) {
			if at, err = s.insideNMI(landing.address, k); err != nil {
				return err
			}
			if err := s.inject(uncorrected(0, 0)); err != nil {
				return err
			}
			return s.end()
		}, program("paranoid"), "2")
		endsInOrder(t, got, vectorMachineCheck, at, checkedWords)
	}
}

// insideNMI brings the first CPU to an address, injects an NMI there, and goes
// k instructions into its handler. It returns where that is.
func (s *stopped) insideNMI(address uint64, k int) (uint64, error) {
	if _, err := s.reach(address); err != nil {
		return 0, err
	}
	at, err := s.enterNMI(0, address)
	for range k {
		if err != nil {
			return 0, err
		}
		at, err = s.step(0, at)
	}
	if err == nil && at == address {
		err = fmt.Errorf("the handler of the NMI has no instruction %d", k)
	}
	return at, err
}

// kernelSymbol returns the address of a symbol of the kernel.
func kernelSymbol(t testing.TB, name string) uint64 {
	t.Helper()
	return symbol(t, filepath.Join(binaries, "kernel.raw"), "slowpath/"+name)
}

// gatePresent is where in a gate of the interrupt table its type is, of which
// a zero means that it is not there (SDM vol. 3A, 6.14.1).
const (
	gateSize = 16
	gateType = 5
)

// TestDoubleFaultEndsInOrder takes the gate of the page fault away, so that the
// CPU finds none for the next, and makes that happen in the kernel or in the
// program: both times the machine is at its end, and must say so.
func TestDoubleFaultEndsInOrder(t *testing.T) {
	gate := kernelSymbol(t, "arch/amd64.idt") + gateSize*vectorPageFault + gateType
	all := trampolines(t)
	copying := situation{place: "copyUser.loaded", n: 5}.find(t, all)
	unmapped, one := binary.LittleEndian.AppendUint64(nil, 0x10000), binary.LittleEndian.AppendUint64(nil, 1)
	const noInterrupts = "\x02\x00\x00\x00"                  // or another task could be the first to fault
	touch := symbol(t, program("paranoid"), "touch_end") - 3 // movb $1, (%rdx)
	for _, c := range []struct {
		name      string
		address   uint64
		registers map[gdbstub.Register][]byte // what the instruction shall find
		reported  uint64                      // where the kernel can say that it was
	}{
		{"of the kernel", copying.address, map[gdbstub.Register][]byte{gdbstub.RSI: unmapped, gdbstub.RCX: one}, copying.address},
		{
			"of a program", touch, map[gdbstub.Register][]byte{gdbstub.RDX: unmapped, gdbstub.EFlags: []byte(noInterrupts)},
			kernelSymbol(t, "arch/amd64.justReturn"),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := stopping(t, 1, func(s *stopped) error {
				if _, err := s.reach(c.address); err != nil {
					return err
				}
				for register, value := range c.registers {
					if err := s.WriteRegister(register, value); err != nil {
						return err
					}
				}
				if err := s.WriteMemory(gate, []byte{0}); err != nil {
					return err
				}
				return s.end()
			}, program("paranoid"), "2")
			endsInOrder(t, got, vectorDoubleFault, c.reported, doubledWords)
		})
	}
}

// TestFaultInTheLowestLayer sends package goos to where no code is.
func TestFaultInTheLowestLayer(t *testing.T) {
	const nowhere = 0x10
	entry := kernelSymbol(t, "goos.trapEntry")
	got := stopping(t, 1, func(s *stopped) error {
		if _, err := s.reach(entry); err != nil {
			return err
		}
		if err := s.WriteRegister(gdbstub.RIP, binary.LittleEndian.AppendUint64(nil, nowhere)); err != nil {
			return err
		}
		return s.end()
	}, program("paranoid"), "2")
	endsInOrder(t, got, vectorPageFault, nowhere, nestedWords)
}

// TestRuntimeFailureShowsTheLastVisits has the Go runtime give up in the middle
// of a system call, as if it had found its own state wrong: after its traceback
// the kernel says what its CPUs did last, and that can never look like success.
func TestRuntimeFailureShowsTheLastVisits(t *testing.T) {
	call, giveUp := kernelSymbol(t, "syscall.sysGetppid"), symbol(t, filepath.Join(binaries, "kernel.raw"), "runtime.fatalthrow")
	got := stopping(t, 1, func(s *stopped) error {
		if _, err := s.reach(call); err != nil {
			return err
		}
		if err := s.WriteRegister(gdbstub.RIP, binary.LittleEndian.AppendUint64(nil, giveUp)); err != nil {
			return err
		}
		return s.end()
	}, program("paranoid"), "2")
	for _, part := range []string{"goroutine ", "last visits of CPU 0", "  by "} {
		if got.code != 125 || !strings.Contains(got.errors, part) {
			t.Errorf("exit code %d, want 125; the log must have %q, and is\n%s", got.code, part, shorten(got.errors))
		}
	}
}
