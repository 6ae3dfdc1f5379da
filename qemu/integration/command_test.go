package integration

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"slowpath/qemu"
	"slowpath/qemu/initramfs"
)

func TestDemonstrationRunsOnEachMachine(t *testing.T) {
	for _, machine := range []string{"pc", "q35", "microvm"} {
		t.Run(machine, func(t *testing.T) {
			got := onSlowpath(t, "", "--machine", machine, filepath.Join(filepath.Dir(slowpath), "hello"))
			if got.code != 0 || !strings.HasPrefix(got.out, "Hello from") || !strings.Contains(got.out, "100 goroutines say 4950") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestPipelineAndExitCodePassThrough(t *testing.T) {
	got := onSlowpath(t, "", "/bin/busybox", "sh", "-c", "ls -l / | wc -l; exit 7")
	if got.code != 7 || strings.TrimSpace(got.out) == "" || got.errors != "" {
		t.Errorf("got %+v", got)
	}
}

func TestKernelSizeIsBounded(t *testing.T) {
	info, err := os.Stat(filepath.Join(binaries, "kernel.elf"))
	if err != nil {
		t.Fatal(err)
	}
	if limit := int64(8.5 * 1024 * 1024); info.Size() > limit {
		t.Errorf("kernel.elf has %d bytes, more than the limit of %d", info.Size(), limit)
	}
}

// TestHostCommandIsStatic checks that bin/slowpath needs no dynamic loader, so that it
// runs on every distribution.
func TestHostCommandIsStatic(t *testing.T) {
	file, err := elf.Open(slowpath)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("bin/slowpath has a segment of type %v", p.Type)
		}
	}
}

func TestKernelRunsIn64MiB(t *testing.T) {
	got := onSlowpath(t, "", "--mem", "64", "/bin/busybox", "sh", "-c", "seq 1000 | sort -n | tail -n 1")
	if want := (result{0, "1000\n", ""}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTimeoutEndsProgram(t *testing.T) {
	got := onSlowpath(t, "", "--timeout", "2", "/bin/busybox", "sleep", "100")
	if got.code != 124 || !strings.Contains(got.errors, "did not end within 2s") {
		t.Errorf("got %+v", got)
	}
}

func TestFlagsConfigureGuest(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("content\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := onSlowpath(t, "", "--env", "A=b c", "--workdir", "/work", "--mount-file", secret+":/data/file", "--smp", "2",
		"busybox", "sh", "-c", `echo "$A"; pwd; cat /data/file; nproc; ls /.slowpath`)
	if got.code != 1 || got.out != "b c\n/work\ncontent\n2\n" {
		t.Errorf("got %+v", got)
	}
}

func TestScriptRunsWithItsInterpreter(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/busybox sh\necho \"$0 $1 $#\" | sed 's:.*/::'\nexit 4\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	sameOn(t, []int{1}, "", script, "one", "two")
}

func TestLogIsWrittenToFile(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	got := onSlowpath(t, "", "--log", log, "/bin/busybox", "echo", "program")
	if want := (result{0, "program\n", ""}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if data, err := os.ReadFile(log); len(data) == 0 {
		t.Errorf("the log is empty, %v", err)
	}
}

// TestBrokenInitramfsIsReported boots with root file systems that the host command
// never builds. The kernel must report an error and not hang.
func TestBrokenInitramfsIsReported(t *testing.T) {
	tree := initramfs.NewTree()
	tree.AddBase()
	if err := tree.HostFile("/bin/busybox", "/bin/busybox"); err != nil {
		t.Fatal(err)
	}
	whole, err := tree.Archive()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		image  []byte
		memory int
	}{
		"none":                {nil, 128},
		"cut short":           {whole[:len(whole)/2], 128},
		"no archive":          {[]byte("This is not an archive but a sentence."), 128},
		"damaged compression": {[]byte("\x1f\x8b\x08\x00 is not followed by gzip data"), 128},
		"larger than memory":  {append(whole, make([]byte, 100<<20)...), 64},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), timeLimit)
			defer cancel()
			config := qemu.Config{Kernel: filepath.Join(filepath.Dir(slowpath), "kernel.elf"), Initramfs: c.image, MemoryMiB: c.memory, Append: "quiet"}
			status, err := qemu.Run(ctx, &config, qemu.Streams{Stdout: io.Discard, Stderr: io.Discard})
			if err == nil {
				t.Fatalf("the status is %+v", status)
			}
			if errors.Is(err, context.DeadlineExceeded) {
				t.Error("the kernel hangs instead of reporting an error")
			}
			t.Log(err)
		})
	}
}

// TestSignalToCommandEndsQEMU sends a signal to the command and checks that QEMU ends
// too.
func TestSignalToCommandEndsQEMU(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			cmd := exec.Command(slowpath, "run", "--timeout", "60", "/bin/busybox", "sh", "-c", "echo up; sleep 100")
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			out.Read(make([]byte, 3))
			children := childrenOf(t, cmd.Process.Pid)
			if len(children) != 1 {
				t.Errorf("the command has the children %v, want only QEMU", children)
			}
			cmd.Process.Signal(signal)
			cmd.Wait()
			if code := exitCode(cmd.ProcessState); code != 128+int(signal) {
				t.Errorf("the exit code is %d, want %d", code, 128+int(signal))
			}
			for _, pid := range children {
				awaitEnd(t, pid)
			}
		})
	}
}

// childrenOf returns the process ids of a process's children.
func childrenOf(t *testing.T, pid int) (children []string) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		data, _ := os.ReadFile(task)
		children = append(children, strings.Fields(string(data))...)
	}
	return children
}

// awaitEnd waits until a process has ended. It may remain a zombie if init does not
// reap it.
func awaitEnd(t *testing.T, pid string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	t.Errorf("QEMU, process %s, still runs", pid)
}

// TestIcountMakesRunsIdentical runs the same command twice with --icount.
func TestIcountMakesRunsIdentical(t *testing.T) {
	run := func() result {
		return onSlowpath(t, "some input\n", "--icount", "/bin/busybox", "sh", "-c", "cat; cat /proc/uptime; date +%s.%N; echo $$ $RANDOM")
	}
	first, second := run(), run()
	if first != second || first.code != 0 {
		t.Errorf("the runs differ: %+v and %+v", first, second)
	}
}
