package integration

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCoreFileReachesHost crashes a program that is init, and one that a shell starts.
// If gdb is installed, it must find the instruction that crashed.
func TestCoreFileReachesHost(t *testing.T) {
	for name, c := range map[string]struct {
		command []string
		code    int
	}{
		"the program": {[]string{program("faults"), "null-write"}, 139},
		"a child": {[]string{"--mount-file", program("faults") + ":/faults", "/bin/busybox", "sh", "-c",
			"/faults null-write; echo crashed; exit 3"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			core := filepath.Join(t.TempDir(), "core")
			got := onSlowpath(t, "", append([]string{"--core", core}, c.command...)...)
			if got.code != c.code {
				t.Errorf("got %+v, want exit code %d", got, c.code)
			}
			f, err := elf.Open(core)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.Type != elf.ET_CORE || len(f.Progs) < 3 {
				t.Errorf("the file has type %v and %d segments", f.Type, len(f.Progs))
			}
			if gdb, err := exec.LookPath("gdb"); err == nil {
				out, _ := exec.Command(gdb, "-batch", "-ex", "bt", program("faults"), core).CombinedOutput()
				if !strings.Contains(string(out), "SIGSEGV") || !strings.Contains(string(out), " main (") {
					t.Errorf("gdb prints %s", out)
				}
			}
		})
	}
}

func TestNoCoreFileWithoutCrash(t *testing.T) {
	core := filepath.Join(t.TempDir(), "core")
	if got := onSlowpath(t, "", "--core", core, "/bin/busybox", "true"); got != (result{}) {
		t.Errorf("got %+v", got)
	}
	if _, err := os.Stat(core); !os.IsNotExist(err) {
		t.Errorf("there is a core file: %v", err)
	}
}
