// Package probetest builds the programs that the tests of package probe read.
package probetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Root is the directory of the host that is the root of the guest. It implements
// symbols.Files.
type Root string

// Open opens the file with the guest's path name.
func (r Root) Open(name string) (*os.File, error) { return os.Open(filepath.Join(string(r), name)) }

// Build writes a source file and builds it with a command. In the command, @source and
// @program stand for the two paths. It skips the test if the compiler is missing, and
// returns the path of the program.
func Build(t testing.TB, name, source string, command ...string) string {
	t.Helper()
	if _, err := exec.LookPath(command[0]); err != nil {
		t.Skipf("%s is missing, so the program cannot be built", command[0])
	}
	directory := t.TempDir()
	file, program := filepath.Join(directory, name), filepath.Join(directory, "program")
	if err := os.WriteFile(file, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	args := make([]string, len(command))
	for i, a := range command {
		switch a {
		case "@source":
			a = file
		case "@program":
			a = program
		}
		args[i] = a
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = directory
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return program
}

// C builds a C program with debug information.
func C(t testing.TB, source string, flags ...string) string {
	t.Helper()
	return Build(t, "p.c", source, append([]string{"gcc", "-g", "-o", "@program", "@source"}, flags...)...)
}

// Go builds a Go program.
func Go(t testing.TB, source string, flags ...string) string {
	t.Helper()
	command := append([]string{"go", "build"}, flags...)
	return Build(t, "p.go", source, append(command, "-o", "@program", "@source")...)
}
