package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// goPackages returns the packages of Go's standard library whose tests run. On i386 they are
// also those that depend on the machine, or that use system calls which the others do not.
func goPackages(m machine) []string {
	packages := []string{"os", "os/exec", "sync"}
	if m == i386 {
		packages = append(packages, "syscall", "runtime", "os/signal", "sync/atomic", "internal/poll",
			"internal/syscall/unix", "log/syslog", "runtime/debug", "math", "hash/crc32")
	}
	return packages
}

// goGoals has the goals of packages. A seventh of the tests of syscall need namespaces. Of the few
// tests of internal/poll one needs a network, and five of the eight of log/syslog.
var goGoals = map[string]float64{"syscall": 0.8, "internal/poll": 0.9, "log/syslog": 0.3}

// setupGo builds the tests of a package of Go's standard library. The root
// directory has the package's directory at the same path as on the host, because
// the tests read files there.
func setupGo(root, name string, m machine) ([]job, error) {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	directory := filepath.Join(strings.TrimSpace(string(goroot)), "src", name)
	if _, err := setupBusybox(root, amd64); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "test", "-c", "-vet=off", "-o", filepath.Join(root, "bin/gotest"), name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+m.goArch())
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go test -c %s: %w\n%s", name, err, out)
	}
	target := filepath.Join(root, directory)
	if err := os.CopyFS(target, os.DirFS(directory)); err != nil {
		return nil, err
	}
	return []job{{
		name:    "all",
		command: []string{"/bin/gotest", "-test.v", "-test.short"},
		workdir: directory,
		seconds: 600,
	}}, nil
}

// parseGo reads result lines such as "--- PASS: TestName (0.00s)".
func parseGo(output string) map[string]bool {
	results := make(map[string]bool)
	for line := range strings.Lines(output) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "--- ")
		if !ok {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) >= 2 {
			results[fields[1]] = fields[0] == "PASS:"
		}
	}
	return results
}
