package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// Accel is how QEMU executes the guest.
type Accel string

// The accelerators. Auto is for [ParseAccel] and [Accel.Resolve]; a [Config]
// holds one of the others.
const (
	Auto Accel = "auto"
	KVM  Accel = "kvm"
	TCG  Accel = "tcg"
)

// ParseAccel checks a name that a user typed. The error is a sentence for them
// that lists the names.
func ParseAccel(name string) (Accel, error) {
	switch a := Accel(name); a {
	case Auto, KVM, TCG:
		return a, nil
	}
	return "", fmt.Errorf("the accelerator %q is unknown; use auto, kvm or tcg", name)
}

// Resolve turns Auto into KVM where that works and TCG elsewhere. It fails
// when KVM is asked for by name and does not work.
func (a Accel) Resolve(ctx context.Context) (Accel, error) {
	if a == TCG || a == "" {
		return TCG, nil
	}
	err := ProbeKVM(ctx)
	if err == nil {
		return KVM, nil
	}
	if a == Auto {
		return TCG, nil
	}
	return "", fmt.Errorf("KVM does not work here (%w); use --accel tcg, or give this user access to a working /dev/kvm", err)
}

// Of the probe: the firmware writes probeValue to the debug exit device, and
// QEMU ends with the status that the device makes of it.
const (
	probeValue  = 0x10
	probeStatus = probeValue<<1 | 1
	probeLimit  = 2 * time.Second
	romSize     = 64 << 10
	resetVector = romSize - 16
)

// probeCode is 16-bit code for the reset vector: it uses SSE in ring 0, as all
// of the kernel does, and then ends the machine. There are hosts whose KVM
// emulates what runs in ring 0 and does not know that much.
var probeCode = []byte{
	0x66, 0xb8, 0x00, 0x02, 0x00, 0x00, // MOVL $OSFXSR, EAX
	0x0f, 0x22, 0xe0, // MOVL EAX, CR4
	0x0f, 0x57, 0xc0, // XORPS X0, X0
	0xb0, probeValue, // MOVB $probeValue, AL
	0xe6, 0xf4, // OUTB AL, $0xf4
}

// ProbeKVM runs a few instructions under KVM. Looking at /dev/kvm is not
// enough: in containers and nested machines it is often there and of no use.
func ProbeKVM(ctx context.Context) error {
	device, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	device.Close()
	rom := make([]byte, romSize)
	copy(rom[resetVector:], probeCode)
	file, err := memoryFile("probe", rom)
	if err != nil {
		return err
	}
	defer file.Close()
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, Binary, "-accel", "kvm", "-M", "pc", "-nodefaults", "-display", "none", "-no-reboot",
		"-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-bios", fmt.Sprintf("/proc/self/fd/%d", firstChannelFD))
	cmd.ExtraFiles = []*os.File{file}
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == probeStatus {
		return nil
	}
	return fmt.Errorf("a guest of five instructions did not run to its end: %v", err)
}
