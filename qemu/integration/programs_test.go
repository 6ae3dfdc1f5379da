package integration

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tools "slowpath/qemu/conformance/programs"
)

// TestQuickProgramsPrintWhatTheyPrintOnLinux runs the quick scenarios of debuggers and
// tracers in root directories of Debian's packages, on the host's Linux and on Slowpath.
// make conformance runs all of them.
func TestQuickProgramsPrintWhatTheyPrintOnLinux(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a root directory of its own on the host's Linux needs root")
	}
	scenarios, err := tools.Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	work, err := filepath.Abs(filepath.Join(binaries, "conformance"))
	if err != nil {
		t.Fatal(err)
	}
	roots := make(map[string]string)
	for _, s := range scenarios {
		if !s.Quick {
			continue
		}
		if roots[s.Root] == "" {
			r, err := tools.ByName(s.Root)
			if err != nil {
				t.Fatal(err)
			}
			if roots[s.Root], err = r.Build(filepath.Join(work, "programs"), work); err != nil {
				t.Fatal(err)
			}
		}
		root := roots[s.Root]
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(s.Seconds)*time.Second)
			defer cancel()
			env := []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin"}
			linux := s.Recorded
			if linux == "" {
				linux = launcher.InRoot(ctx, env, root, tools.Directory, s.Command()...)
			}
			if !strings.Contains(linux, s.Want) {
				t.Skipf("the host's Linux does not run it:\n%s", linux)
			}
			args := []string{"run", "--rootfs", root, "--workdir", tools.Directory, "--mem", "1G", "--smp", "2", "--env", env[0]}
			ours, _ := exec.CommandContext(ctx, slowpath, append(args, s.Command()...)...).CombinedOutput()
			if difference := tools.Compare(linux, string(ours)); difference != "" {
				t.Errorf("the output differs from that on Linux:\n%s", difference)
			}
		})
	}
}
