package integration

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"slowpath/hostlink"
	"slowpath/qemu"
	"slowpath/qemu/initramfs"
	"slowpath/runspec"
)

// watched is a writer that keeps the text and lets a goroutine wait for it.
type watched struct {
	mu   sync.Mutex
	text bytes.Buffer
	wake chan struct{}
}

func newWatched() *watched { return &watched{wake: make(chan struct{}, 1)} }

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return w.text.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// await waits until the output contains text.
func (w *watched) await(ctx context.Context, text string) error {
	for !strings.Contains(w.String(), text) {
		select {
		case <-w.wake:
		case <-ctx.Done():
			return fmt.Errorf("there is no %q in the output %q: %w", text, w.String(), ctx.Err())
		}
	}
	return nil
}

// machine returns the configuration of a machine that runs a test program.
func machine(t *testing.T, cpus int, name string, args ...string) *qemu.Config {
	t.Helper()
	path := "/" + name
	tree := initramfs.NewTree()
	if err := tree.HostFile(path, program(name)); err != nil {
		t.Fatal(err)
	}
	tree.AddBase()
	spec := runspec.Spec{Path: path, Args: append([]string{path}, args...), Workdir: "/"}
	return &qemu.Config{
		Kernel: filepath.Join(binaries, "kernel.elf"), Initramfs: archiveOf(t, tree, spec),
		Append: "console=ttyS0 panic=-1 quiet", CPUs: cpus, MemoryMiB: 256,
	}
}

// archiveOf returns the initramfs of a tree with the run file for spec.
func archiveOf(t *testing.T, tree *initramfs.Tree, spec runspec.Spec) []byte {
	t.Helper()
	text, err := spec.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	tree.File(runspec.Path, 0o600, text)
	archive, err := tree.Archive()
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// injected runs a program. When the program is ready, it calls the function inject
// with the monitor. When that returns, the program's standard input ends.
func injected(t *testing.T, config *qemu.Config, inject func(*qemu.Monitor) error) (hostlink.Status, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeLimit)
	defer cancel()
	output := newWatched()
	stdin, end := io.Pipe()
	done := make(chan error, 1)
	status, err := qemu.Run(ctx, config, qemu.Streams{
		Stdin: stdin, Stdout: output, Stderr: output,
		Started: func(vm *qemu.VM) {
			go func() {
				defer end.Close()
				done <- injectWhenReady(ctx, vm, output, inject)
			}()
		},
	})
	if err == nil {
		err = <-done
	}
	if err != nil {
		t.Fatalf("%v; the program printed %q", err, output.String())
	}
	return status, output.String()
}

func injectWhenReady(ctx context.Context, vm *qemu.VM, output *watched, inject func(*qemu.Monitor) error) error {
	if err := output.await(ctx, "ready\n"); err != nil {
		return err
	}
	monitor, err := qemu.NewMonitor(vm.Monitor())
	if err != nil {
		return err
	}
	return inject(monitor)
}

// TestNMIsPreserveRegisters injects NMIs into every CPU while programs check their
// registers. An NMI arrives in user mode, in the trampolines, in the kernel or in
// an idle CPU.
func TestNMIsPreserveRegisters(t *testing.T) {
	for _, n := range processors {
		t.Run(fmt.Sprintf("smp%d", n), func(t *testing.T) {
			wanted := choose(10000, 300000)
			began := time.Now()
			status, output := injected(t, machine(t, n, "inject", "checks", fmt.Sprint(n)), func(m *qemu.Monitor) error {
				for range wanted {
					if _, err := m.Execute("inject-nmi", nil); err != nil {
						return err
					}
				}
				return nil
			})
			var user, kernel int
			if _, err := fmt.Sscanf(output, "ready\nnothing changed\nuser %d\nkernel %d\n", &user, &kernel); err != nil {
				t.Errorf("got %+v, %q", status, output)
			}
			if want := (hostlink.Status{Outcome: hostlink.Exited, Value: 8}); status != want {
				t.Errorf("got %+v, want %+v", status, want)
			}
			// NMIs that arrive while one is pending merge with it, which is frequent on a busy host.
			if arrived := user + kernel; arrived < wanted/100 || arrived > wanted*n || user == 0 || kernel == 0 {
				t.Errorf("of %d NMIs for each of %d CPUs, %d arrived in user mode and %d in the kernel", wanted, n, user, kernel)
			}
			t.Logf("%d NMIs in %v: %d arrived in user mode and %d in the kernel", wanted, time.Since(began).Round(time.Millisecond), user, kernel)
		})
	}
}
