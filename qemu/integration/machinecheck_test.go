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

// uncorrected returns the monitor command that injects an uncorrected error at a
// physical address.
func uncorrected(cpu int, address uint64) string { return machineCheckCommand(cpu, address, 0) }

// machineCheckCommand returns the same with additional bits in the bank's status.
// The command is mce CPU BANK STATUS MCGSTATUS ADDR MISC.
func machineCheckCommand(cpu int, address, more uint64) string {
	const (
		valid, uncorrected, enabled, hasMisc, hasAddress = 1 << 63, 1 << 61, 1 << 60, 1 << 59, 1 << 58
		status                                           = uint64(valid|uncorrected|enabled|hasMisc|hasAddress) | 0x134
		inProgress                                       = 1 << 2
	)
	return fmt.Sprintf("mce %d 9 %#x %#x %#x %#x", cpu, status|more, inProgress, address, 0x8c)
}

// machineCheck injects an error into the first CPU.
func machineCheck(m *qemu.Monitor) error {
	time.Sleep(200 * time.Millisecond) // until the output is written and the programs spin
	_, err := m.Execute("human-monitor-command", map[string]string{"command-line": uncorrected(0, 0x12345000)})
	return err
}

// inKernel is in the kernel's log after a machine check in the kernel itself, which
// is fatal.
const inKernel = "vector 0000000000000012"

// injectMachineCheck runs a program and injects a machine check into the first CPU.
// It tries again if the CPU was in the kernel, for example for a tick.
func injectMachineCheck(t *testing.T, config *qemu.Config) (status hostlink.Status, output string, err error) {
	for range 3 {
		status, output, err = tryInjected(t, config, machineCheck)
		if err == nil || !strings.Contains(err.Error(), inKernel) {
			break
		}
	}
	return status, output, err
}

// TestMachineCheckSendsSIGBUS injects a machine check into a program: it gets
// SIGBUS, and other programs are not affected.
func TestMachineCheckSendsSIGBUS(t *testing.T) {
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
			status, output, err := injectMachineCheck(t, machine(t, c.cpus, "inject", c.mode, fmt.Sprint(c.programs)))
			if err != nil {
				t.Fatalf("%v; the program printed %q", err, output)
			}
			if want := (hostlink.Status{Outcome: hostlink.Exited, Value: 8}); status != want || output != c.want {
				t.Errorf("got %+v, %q; want %q", status, output, c.want)
			}
		})
	}
}

// TestMachineChecksReportOwnAddress injects a machine check into each of two programs
// at once: the SIGBUS of each must have the address of its own error.
func TestMachineChecksReportOwnAddress(t *testing.T) {
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

// untilSpinning runs the machine until each CPU is in the program's loop.
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
		if err := s.runBriefly(); err != nil {
			return err
		}
	}
}

// runBriefly runs the machine for a millisecond.
func (s *stopped) runBriefly() error {
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

// TestMachineCheckWithCorruptContextIsFatal checks that a machine check with PCC
// (processor context corrupt) ends the machine, as on Linux, even in user mode.
func TestMachineCheckWithCorruptContextIsFatal(t *testing.T) {
	const contextCorrupt = 1 << 57
	got := stopping(t, 1, func(s *stopped) error {
		if err := s.untilSpinning(t, 1); err != nil {
			return err
		}
		if err := s.inject(machineCheckCommand(0, 0x1000, contextCorrupt)); err != nil {
			return err
		}
		return s.end()
	}, program("inject"), "all", "1")
	if got.code != 125 || !strings.Contains(got.errors, "corrupted the processor's state") {
		t.Errorf("exit code %d, errors\n%s", got.code, got.errors)
	}
}

// The kernel's messages before a fatal end, by cause (goos/trap.go).
const (
	machineCheckMessage = "A machine check interrupted the kernel"
	doubleFaultMessage  = "The CPU could not deliver an exception"
	nestedTrapMessage   = "The kernel took an exception inside package goos"
)

// checkFatalEnd checks that the kernel reported the vector and the address of the
// exception and the last visits, and that the command failed.
func checkFatalEnd(t *testing.T, got result, vector, address uint64, message string) {
	t.Helper()
	rip := fmt.Sprintf(" rip %016x ", address)
	if got.code != 125 || !strings.Contains(got.errors, fmt.Sprintf("vector %016x ", vector)) ||
		!strings.Contains(got.errors, rip) || !strings.Contains(got.errors, message) ||
		!strings.Contains(got.errors, "last visits of CPU 0") || !strings.Contains(got.errors, "  by ") {
		t.Errorf("exit code %d, want 125; the log must have the vector %#x, %q, %q and the last visits, but it is\n%s", got.code, vector, rip, message, shorten(got.errors))
	}
}

// TestMachineCheckInKernelIsFatal injects a machine check before an instruction of
// the trampolines. The kernel must report it and end the machine, as Linux does.
// The short form tries one instruction for each situation, the long form all.
func TestMachineCheckInKernelIsFatal(t *testing.T) {
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
		checkFatalEnd(t, got, vectorMachineCheck, i.address, machineCheckMessage)
	}
	if boots < len(situations) {
		t.Errorf("only %d machine checks were injected, want %d", boots, len(situations))
	}
	t.Logf("%d machine checks", boots)
}

// TestMachineCheckInNMIHandlerIsFatal injects a machine check before instructions
// of the NMI handler, for an NMI that interrupted the kernel. The short form tries
// the first instruction, one in the middle and the IRETQ, the long form all.
func TestMachineCheckInNMIHandlerIsFatal(t *testing.T) {
	landing := situations[0].find(t, trampolines(t))
	positions := []int{0, 4, 9}
	if long() {
		positions = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9} // all, including the stub's
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
		checkFatalEnd(t, got, vectorMachineCheck, at, machineCheckMessage)
	}
}

// insideNMI runs the first CPU to an address, injects an NMI there, and executes k
// instructions of the handler. It returns the address of the next instruction.
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

// The size of a gate in the IDT, and the offset in it of the byte with the present
// bit and the type (SDM vol. 3A, 6.14.1).
const (
	gateSize = 16
	gateType = 5
)

// TestDoubleFaultIsFatal clears the page fault's gate and causes a page fault in the
// kernel or in the program. The CPU then raises a double fault; the kernel must
// report it and end the machine.
func TestDoubleFaultIsFatal(t *testing.T) {
	gate := kernelSymbol(t, "arch/amd64.idt") + gateSize*vectorPageFault + gateType
	all := trampolines(t)
	copying := situation{place: "copyUser.loaded", n: 5}.find(t, all)
	unmapped, one := binary.LittleEndian.AppendUint64(nil, 0x10000), binary.LittleEndian.AppendUint64(nil, 1)
	const noInterrupts = "\x02\x00\x00\x00"                  // EFLAGS.IF clear: no other task must fault first
	touch := symbol(t, program("paranoid"), "touch_end") - 3 // movb $1, (%rdx)
	for _, c := range []struct {
		name      string
		address   uint64
		registers map[gdbstub.Register][]byte // set before the instruction at address
		reported  uint64                      // the RIP that the kernel reports
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
			checkFatalEnd(t, got, vectorDoubleFault, c.reported, doubleFaultMessage)
		})
	}
}

// TestFaultInGoosIsFatal causes a page fault inside package goos, by a jump to an
// unmapped address.
func TestFaultInGoosIsFatal(t *testing.T) {
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
	checkFatalEnd(t, got, vectorPageFault, nowhere, nestedTrapMessage)
}

// TestRuntimeFailurePrintsLastVisits makes the Go runtime throw in a system call, as
// if it had found its own state inconsistent. After the runtime's traceback the
// kernel must print the last visits of its CPUs, and the command must fail.
func TestRuntimeFailurePrintsLastVisits(t *testing.T) {
	call, throw := kernelSymbol(t, "syscall.sysGetppid"), symbol(t, filepath.Join(binaries, "kernel.raw"), "runtime.fatalthrow")
	got := stopping(t, 1, func(s *stopped) error {
		if _, err := s.reach(call); err != nil {
			return err
		}
		if err := s.WriteRegister(gdbstub.RIP, binary.LittleEndian.AppendUint64(nil, throw)); err != nil {
			return err
		}
		return s.end()
	}, program("paranoid"), "2")
	for _, part := range []string{"goroutine ", "last visits of CPU 0", "  by "} {
		if got.code != 125 || !strings.Contains(got.errors, part) {
			t.Errorf("exit code %d, want 125; the log must have %q, but it is\n%s", got.code, part, shorten(got.errors))
		}
	}
}
