package selftests

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"slowpath/qemu/debianroot"
)

// scriptPackages are the Debian packages that the tests of ftrace, which are shell
// scripts, need in their root directory.
var scriptPackages = []string{"dash", "coreutils", "grep", "sed", "mawk", "util-linux", "mount", "findutils", "diffutils", "procps", "bc", "busybox-static"}

// IsScript reports whether the test is a script of ftrace. ftracetest runs it in a root
// directory with the usual tools.
func (t Test) IsScript() bool { return strings.HasSuffix(t.Name, ".tc") }

// ScriptRoot returns the root directory for scripts below the directory of the programs.
func ScriptRoot(programs string) string { return filepath.Join(programs, "ftrace-root") }

// buildScripts makes the root directory for scripts, unless it is there.
func buildScripts(work string) error {
	root := ScriptRoot(programs(work))
	mark := root + ".built"
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	if err := debianroot.Fill(root, work, scriptPackages); err != nil {
		return err
	}
	tests := filepath.Join(root, "selftests", "ftrace")
	err := errors.Join(
		os.MkdirAll(filepath.Dir(tests), 0o755),
		os.CopyFS(tests, os.DirFS(filepath.Join(sourceDirectory(work), "ftrace"))))
	if err != nil {
		return err
	}
	return os.WriteFile(mark, nil, 0o644)
}

// scriptCommand returns the command that runs a script of ftrace. A script whose flags say
// so is run a second time in an instance, which is a second check.
func (t Test) scriptCommand() string {
	return "cd /selftests/ftrace; ./ftracetest -vv -l /tmp/logs " + strings.TrimPrefix(t.Name, "ftrace/") + "; code=$?; echo; echo \"" + exitMark + " $code\""
}
