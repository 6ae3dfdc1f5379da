package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestShellWorksAfterBombsAreKilled runs programs of an unprivileged user that multiply
// processes, memory, pipes, sockets or arguments of execve without end, and kills
// them. Each time a shell must still work, and the machine must not end.
func TestShellWorksAfterBombsAreKilled(t *testing.T) {
	names := []string{"fork", "memory", "pipe", "socket", "execve"}
	var want strings.Builder
	for _, name := range names {
		want.WriteString(name + ": a shell works\n")
	}
	for _, memory := range []string{"64", "256"} {
		t.Run(memory+"MiB", func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "log")
			// A bomb makes as many processes as fit, and a busy host takes its time to kill them.
			got := onSlowpath(t, "", "--timeout", "3m", "--mem", memory, "--smp", "2", "--log", log,
				"--mount-file", program("bombs")+":/bin/bombs", "/bin/busybox", "sh", "-c", "bombs; echo end $?")
			if want := want.String() + "end 0\n"; got.code != 0 || got.out != want {
				text, _ := os.ReadFile(log)
				t.Errorf("exit code %d, output %q, want 0, %q\n%s\n%s", got.code, got.out, want, shorten(got.errors), shorten(string(text)))
			}
		})
	}
}
