// Package qemu runs the kernel in QEMU: it builds QEMU's command line, starts
// it, carries the program's standard streams over the host link, reads the
// kernel's log, and sees to it that no QEMU is ever left behind.
//
// Nothing is written to disk. The initramfs is a memory file and every channel
// is one end of a socket pair, so there is nothing to remove afterwards, not
// even when the command itself is killed.
package qemu

import (
	"fmt"
	"strconv"
	"strings"
)

// Config describes one run of QEMU. The zero value of every field but Kernel
// has a sensible meaning.
type Config struct {
	Kernel    string   // path of kernel.elf on the host
	Initramfs []byte   // newc archive; none if empty
	Append    string   // kernel command line
	Machine   string   // pc, q35 or microvm; DefaultMachine if empty
	CPU       string   // QEMU's CPU model; DefaultCPU if empty
	Accel     Accel    // tcg or kvm; tcg if empty
	CPUs      int      // number of processors; 1 if zero
	MemoryMiB int      // memory; DefaultMemoryMiB if zero
	Icount    string   // QEMU's -icount argument; none if empty
	GDB       string   // address for QEMU's gdb stub, such as tcp::1234
	Extra     []string // further arguments, put last
}

// Defaults of [Config]. Of the three machines microvm is the quickest to start.
const (
	DefaultMachine   = "microvm"
	DefaultCPU       = "max"
	DefaultMemoryMiB = 512
)

// Deterministic is the -icount setting under which two runs are identical: one
// tick of the time-stamp counter is one instruction, and idle time is skipped.
const Deterministic = "shift=0,sleep=off"

// Binary is the name of QEMU's program.
const Binary = "qemu-system-x86_64"

// machines lists the machines that the kernel supports, and what each needs
// in QEMU's -M option beside its name.
var machines = map[string]string{
	"pc":      "pc,usb=off,vmport=off",
	"q35":     "q35,usb=off,vmport=off",
	"microvm": "microvm,rtc=on,pit=on,pic=on",
}

// channel is one of the byte streams between QEMU and the host command.
type channel int

// The channels. QEMU finds each at the file descriptor firstChannelFD plus its
// number, and the initramfs, when there is one, after the last.
const (
	logChannel     channel = iota // first serial port: the kernel's log
	linkChannel                   // second serial port: the host link
	monitorChannel                // QMP
	channelCount

	firstChannelFD = 3
	initramfsFD    = firstChannelFD + int(channelCount)
)

// Check reports what is wrong with the configuration in one sentence.
func (c *Config) Check() error {
	if _, ok := machines[c.machine()]; !ok {
		return fmt.Errorf("the machine %q is unknown; use pc, q35 or microvm", c.Machine)
	}
	if c.CPUs < 0 || c.CPUs > 64 {
		return fmt.Errorf("%d processors are not possible; use 1 to 64", c.CPUs)
	}
	for name, value := range map[string]string{"cpu": c.CPU, "icount": c.Icount, "gdb": c.GDB} {
		if strings.ContainsAny(value, " \t\n") {
			return fmt.Errorf("the %s setting %q must not contain spaces", name, value)
		}
	}
	return nil
}

func (c *Config) machine() string {
	if c.Machine == "" {
		return DefaultMachine
	}
	return c.Machine
}

// Args returns QEMU's arguments, without the program's name.
func (c *Config) Args() []string {
	args := []string{
		"-M", machines[c.machine()],
		"-accel", string(orDefault(c.Accel, TCG)),
		"-cpu", orDefault(c.CPU, DefaultCPU),
		"-smp", strconv.Itoa(max(c.CPUs, 1)),
		"-m", strconv.Itoa(orDefault(c.MemoryMiB, DefaultMemoryMiB)),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-device", "isa-debug-exit,iobase=0xf4,iosize=1",
	}
	args = append(args, c.channelArgs()...)
	args = append(args, "-kernel", c.Kernel)
	if c.Append != "" {
		args = append(args, "-append", c.Append)
	}
	if len(c.Initramfs) > 0 {
		args = append(args, "-initrd", fmt.Sprintf("/proc/self/fd/%d", initramfsFD))
	}
	if c.Icount != "" {
		// A wall clock that starts at the same date and runs with the
		// instruction count, and a random generator that gives the same
		// numbers, or two runs would differ in them.
		args = append(args, "-icount", c.Icount, "-rtc", "base=2026-01-01T00:00:00,clock=vm", "-seed", "1")
	}
	if c.GDB != "" {
		args = append(args, "-gdb", c.GDB, "-S")
	}
	return append(args, c.Extra...)
}

// channelArgs connects the two serial ports and the monitor. The second port
// is spelled out because microvm creates only one by itself.
func (c *Config) channelArgs() []string {
	socket := func(name string, ch channel) string {
		return fmt.Sprintf("socket,id=%s,fd=%d", name, firstChannelFD+int(ch))
	}
	return []string{
		"-chardev", socket("log", logChannel),
		"-serial", "chardev:log",
		"-chardev", socket("link", linkChannel),
		"-device", "isa-serial,index=1,iobase=0x2f8,irq=3,chardev=link",
		"-chardev", socket("monitor", monitorChannel),
		"-mon", "chardev=monitor,mode=control",
	}
}

// Command returns the whole command line as a shell would take it, for people
// to read. The descriptors in it are the ones that [Start] passes.
func (c *Config) Command() string {
	words := []string{Binary}
	for _, arg := range c.Args() {
		words = append(words, shellQuote(arg))
	}
	return strings.Join(words, " ")
}

// shellQuote quotes a word for a POSIX shell when it needs it.
func shellQuote(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// orDefault returns value, or fallback where value is zero.
func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}
