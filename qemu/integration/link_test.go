package integration

import (
	"bytes"
	"context"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"slowpath/hostlink"
	"slowpath/qemu"
	"slowpath/qemu/initramfs"
	"slowpath/runspec"
)

// randomBytes returns n pseudo-random bytes, the same in each call. Unlike a
// repeating pattern, they reveal lost or reordered data in a comparison.
func randomBytes(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

// catMachine returns the configuration of a machine that runs cat.
func catMachine(t *testing.T, name string, cpus int) *qemu.Config {
	t.Helper()
	tree := initramfs.NewTree()
	tree.AddBase()
	if err := tree.HostFile("/bin/busybox", "/bin/busybox"); err != nil {
		t.Fatal(err)
	}
	spec := runspec.Spec{Path: "/bin/busybox", Args: []string{"cat"}, Workdir: "/"}
	return &qemu.Config{
		Kernel: filepath.Join(filepath.Dir(slowpath), "kernel.elf"), Machine: name, CPUs: cpus, Initramfs: archiveOf(t, tree, spec), Append: "quiet",
	}
}

// TestLinkTransfersDataUnchanged sends data through cat over each kind of link.
func TestLinkTransfersDataUnchanged(t *testing.T) {
	for name, c := range map[string]struct {
		machine string
		cpus    int
		serial  bool
		size    int
	}{
		"MMIO":                {"microvm", 1, false, 5_000_000},
		"MMIO, two CPUs":      {"microvm", 2, false, 5_000_000},
		"PCI on pc":           {"pc", 1, false, 5_000_000},
		"PCI on q35":          {"q35", 2, false, 5_000_000},
		"serial port":         {"microvm", 1, true, 100_000},
		"serial port of a pc": {"pc", 2, true, 100_000},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), timeLimit)
			defer cancel()
			config := catMachine(t, c.machine, c.cpus)
			config.Serial = c.serial
			data := randomBytes(c.size)
			var out, stderr bytes.Buffer
			status, err := qemu.Run(ctx, config, qemu.Streams{Stdin: bytes.NewReader(data), Stdout: &out, Stderr: &stderr})
			if err != nil || status != (hostlink.Status{Outcome: hostlink.Exited}) {
				t.Fatalf("status %+v, error %v, standard error %s; want a normal exit with code 0", status, err, &stderr)
			}
			if !bytes.Equal(out.Bytes(), data) {
				t.Errorf("cat's output has %d bytes and differs from the input of %d bytes", out.Len(), len(data))
			}
		})
	}
}
