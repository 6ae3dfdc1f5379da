// Package qemu runs the kernel in QEMU. It builds QEMU's command line, starts
// QEMU, carries the program's standard streams over the host link, reads the
// kernel's log, and ensures that QEMU ends with the session.
//
// It writes nothing to disk: the initramfs is a memory file (memfd_create(2))
// and every channel is a socket pair. So nothing is left to remove, even if the
// command is killed.
package qemu

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Config describes one run of QEMU. The zero value of every field except Kernel
// means a default.
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
	Serial    bool     // carry the link over the second serial port, not virtio
	GDB       string   // address for QEMU's gdb stub, such as tcp::1234
	Extra     []string // further arguments, at the end
}

// The defaults of [Config]. The default machine is the one that starts fastest.
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

// machine has the arguments that depend on the machine type.
type machine struct {
	option string   // the argument of -M
	serial []string // the virtio-serial device, which has the link's port
	append string   // the part of the kernel's command line that describes the device
}

// machines lists the machines that the kernel supports.
//
// The microvm has one I/O APIC instead of two, so that its virtio devices are at
// inputs 16 and above of the only I/O APIC that the kernel uses. The PCI device
// has ioeventfd=off, so that QEMU handles a queue notification within the
// guest's access, as the microvm's device does. In QEMU's event loop it would
// take longer, and under -icount its time would differ from run to run.
var machines = map[string]machine{
	"pc":  {option: "pc,usb=off,vmport=off", serial: pciSerial},
	"q35": {option: "q35,usb=off,vmport=off", serial: pciSerial},
	"microvm": {
		option: "microvm,rtc=on,pit=on,pic=on,ioapic2=off",
		serial: []string{"-global", "virtio-mmio.force-legacy=false", "-device", "virtio-serial-device,bus=virtio-mmio-bus.0,max_ports=2"},
		append: "virtio_mmio.device=512@0xfeb00000:16",
	},
}

var pciSerial = []string{"-device", "virtio-serial-pci,max_ports=2,ioeventfd=off"}

// channel is one of the byte streams between QEMU and the host command.
type channel int

// The channels. QEMU inherits channel n as file descriptor firstChannelFD + n,
// and the initramfs, if there is one, as the next descriptor.
const (
	logChannel     channel = iota // first serial port: the kernel's log
	linkChannel                   // virtio port or second serial port: the host link
	monitorChannel                // QMP
	channelCount

	firstChannelFD = 3
	initramfsFD    = firstChannelFD + int(channelCount)
)

// Check returns an error, one sentence for the user, if the configuration is not
// valid.
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
		"-M", machines[c.machine()].option,
		"-accel", string(orDefault(c.Accel, TCG)),
		"-cpu", orDefault(c.CPU, DefaultCPU),
		"-smp", strconv.Itoa(max(c.CPUs, 1)),
		"-m", strconv.Itoa(orDefault(c.MemoryMiB, DefaultMemoryMiB)),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-device", "isa-debug-exit,iobase=0xf4,iosize=1",
	}
	args = append(args, c.channelArgs()...)
	args = append(args, "-kernel", c.Kernel)
	if line := c.commandLine(); line != "" {
		args = append(args, "-append", line)
	}
	if len(c.Initramfs) > 0 {
		args = append(args, "-initrd", fmt.Sprintf("/proc/self/fd/%d", initramfsFD))
	}
	if c.Icount != "" {
		// For two runs to be identical, the wall clock must start at a fixed
		// date and follow the instruction count, and the random generator
		// needs a fixed seed.
		args = append(args, "-icount", c.Icount, "-rtc", "base=2026-01-01T00:00:00,clock=vm", "-seed", "1")
	}
	if c.GDB != "" {
		args = append(args, "-gdb", c.GDB, "-S")
	}
	return append(args, c.Extra...)
}

// commandLine returns the kernel's command line. The machine's part comes first,
// because Append may end with arguments of the program.
func (c *Config) commandLine() string {
	if c.Serial {
		return c.Append
	}
	return strings.TrimSpace(machines[c.machine()].append + " " + c.Append)
}

// channelArgs returns the arguments that connect the kernel's log, the host link
// and the monitor.
func (c *Config) channelArgs() []string {
	socket := func(name string, ch channel) string {
		return fmt.Sprintf("socket,id=%s,fd=%d", name, firstChannelFD+int(ch))
	}
	args := []string{
		"-chardev", socket("log", logChannel),
		"-serial", "chardev:log",
		"-chardev", socket("link", linkChannel),
	}
	args = append(args, c.linkArgs()...)
	return append(args, "-chardev", socket("monitor", monitorChannel), "-mon", "chardev=monitor,mode=control")
}

// linkArgs returns the device of the link. It is a named virtio port and not the
// virtio console, because QEMU drops console output while the host is slow. The
// second serial port is declared as a device because microvm creates only one
// serial port by default.
func (c *Config) linkArgs() []string {
	if c.Serial {
		return []string{"-device", "isa-serial,index=1,iobase=0x2f8,irq=3,chardev=link"}
	}
	const port = "virtserialport,nr=1,name=slowpath.link,chardev=link"
	return append(slices.Clone(machines[c.machine()].serial), "-device", port)
}

// Command returns the command line, quoted for a POSIX shell, for display. The
// file descriptors in it are those that [Start] passes.
func (c *Config) Command() string {
	words := []string{Binary}
	for _, arg := range c.Args() {
		words = append(words, shellQuote(arg))
	}
	return strings.Join(words, " ")
}

// shellQuote quotes a word for a POSIX shell if it needs quotes.
func shellQuote(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// orDefault returns value, or fallback if value is zero.
func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}
