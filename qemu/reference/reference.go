// Package reference runs programs on the host's Linux, for comparison with what
// they do on Slowpath. Such a program must not depend on how the test was
// started: nohup(1), for example, ignores SIGHUP, and a program inherits that.
// So a small C program, the launcher, first resets signal dispositions, the
// signal mask, the umask, resource limits, the personality and open files to what
// a program on Slowpath starts with. A Go program cannot do this for itself,
// because the Go runtime owns the signal dispositions.
package reference

import (
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed launcher/launch.c
var source string

// Launcher starts programs on the host's Linux.
type Launcher struct {
	path string
}

// Build compiles the launcher with gcc into a directory, which must exist as long
// as the launcher is used. It fails if gcc is missing or fails.
func Build(directory string) (*Launcher, error) {
	path := filepath.Join(directory, "launch")
	cmd := exec.Command("gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-x", "c", "-o", path, "-")
	cmd.Stdin = strings.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot build the launcher of reference programs; install gcc with: apt-get install gcc libc6-dev (%w)\n%s", err, out)
	}
	return &Launcher{path}, nil
}

// Command returns a command that runs a program with the given environment, and
// nothing else inherited from this process except the standard streams, the
// working directory and the process's ids. The program is looked up in the PATH of
// env. If it cannot be executed, the command's exit code is 127. The context kills
// the command as in [exec.CommandContext].
func (l *Launcher) Command(ctx context.Context, env []string, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, l.path, append([]string{program}, args...)...)
	cmd.Env = env
	return cmd
}
