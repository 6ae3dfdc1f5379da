package main

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed batch/batch.c
var batchSource string

// batchTest is one program of a batch.
type batchTest struct {
	name    string
	seconds int
	command string // the program's path and its arguments, separated by spaces
}

// installBatch builds the program that runs many tests in one boot into a root
// directory.
func installBatch(root string) error {
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o755); err != nil {
		return err
	}
	cmd := exec.Command("gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-x", "c", "-o", filepath.Join(root, "bin/batch"), "-")
	cmd.Stdin = strings.NewReader(batchSource)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the program that runs batches; install gcc with: apt-get install gcc libc6-dev (%w)\n%s", err, out)
	}
	return nil
}

// batchJob writes the list of a batch into the root directory and returns the job
// that runs it.
func batchJob(root, name string, tests []batchTest) (job, error) {
	list := "/batch." + name
	var b strings.Builder
	const startSeconds = 60
	seconds := startSeconds
	for _, t := range tests {
		fmt.Fprintf(&b, "%d %s %s\n", t.seconds, t.name, t.command)
		seconds += t.seconds
	}
	if err := os.WriteFile(filepath.Join(root, list), []byte(b.String()), 0o644); err != nil {
		return job{}, err
	}
	return job{name: name, command: []string{"/bin/batch", list}, workdir: "/", seconds: seconds}, nil
}

// parseBatch reads result lines such as "RESULT name 0".
func parseBatch(output string) map[string]bool {
	results := make(map[string]bool)
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "RESULT" {
			results[fields[1]] = fields[2] == "0"
		}
	}
	return results
}
