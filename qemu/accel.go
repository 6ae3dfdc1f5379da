package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// Accel is the way in which QEMU executes the guest.
type Accel string

// The accelerators. Auto must be resolved by [Accel.Resolve]; a [Config] has one
// of the others.
const (
	Auto Accel = "auto"
	KVM  Accel = "kvm"
	TCG  Accel = "tcg"
)

// ParseAccel returns the accelerator with a name that a user typed. The error is
// a sentence for the user that lists the names.
func ParseAccel(name string) (Accel, error) {
	switch a := Accel(name); a {
	case Auto, KVM, TCG:
		return a, nil
	}
	return "", fmt.Errorf("the accelerator %q is unknown; use auto, kvm or tcg", name)
}

// Resolve turns Auto into KVM if KVM works here, else into TCG. It fails if a is
// KVM and KVM does not work.
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

// Constants of the probe. The firmware writes probeValue to the debug exit
// device, and QEMU then ends with the exit status probeValue<<1 | 1.
const (
	probeValue  = 0x10
	probeStatus = probeValue<<1 | 1
	probeLimit  = 2 * time.Second
	romSize     = 64 << 10
	resetVector = romSize - 16
)

// probeCode is 16-bit code for the reset vector. It uses SSE in ring 0, as the
// kernel does, and then ends the machine. On some hosts KVM emulates code in ring
// 0 and does not know SSE.
var probeCode = []byte{
	0x66, 0xb8, 0x00, 0x02, 0x00, 0x00, // MOVL $OSFXSR, EAX
	0x0f, 0x22, 0xe0, // MOVL EAX, CR4
	0x0f, 0x57, 0xc0, // XORPS X0, X0
	0xb0, probeValue, // MOVB $probeValue, AL
	0xe6, 0xf4, // OUTB AL, $0xf4
}

// ProbeKVM runs a few instructions under KVM and returns an error if that fails.
// It does not trust the existence of /dev/kvm, because in containers and nested
// virtual machines the device often exists but does not work. It takes at most
// two seconds.
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
	if ctx.Err() != nil {
		return fmt.Errorf("a test guest of five instructions did not end within %v", probeLimit)
	}
	return fmt.Errorf("a test guest of five instructions failed: %v", err)
}
