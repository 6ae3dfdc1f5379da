package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"slowpath/qemu/debianroot"
	"slowpath/qemu/reference"
	"slowpath/qemu/stracelog"
)

// pythonProgram uses files, processes, threads, signals, sockets and memory from Python.
//
//go:embed straced.py
var pythonProgram string

// pythonPackages are the Debian packages of the root directory for pythonProgram.
var pythonPackages = []string{"python3", "strace", "dash", "busybox-static"}

// pythonTime is the time limit of pythonProgram.
const pythonTime = 120 * time.Second

// pythonEnvironment is its environment, the same on both sides.
var pythonEnvironment = []string{"PATH=/usr/bin:/bin", "HOME=/root"}

// stracePython compares the lines of slowpath strace -f about Debian's python3 with those of
// strace -f on the host's Linux, in the same root directory.
func stracePython() error {
	root := filepath.Join(workDirectory, "root-python")
	if _, err := os.Stat(filepath.Join(root, "usr/bin/python3")); err != nil {
		if err := debianroot.Fill(root, workDirectory, pythonPackages); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(root, "straced.py"), []byte(pythonProgram), 0o644); err != nil {
		return err
	}
	command := []string{"/usr/bin/python3", "-B", "/straced.py"}
	want, err := pythonOnLinux(root, command)
	if err != nil {
		return err
	}
	got, err := pythonOnSlowpath(root, command)
	if err != nil {
		return err
	}
	differences := stracelog.Compare(got, want)
	for _, d := range differences {
		fmt.Println("python3:", d)
	}
	lines := 0
	for _, thread := range got {
		lines += len(thread)
	}
	fmt.Printf("python3: %d lines of %d threads, %d differences\n", lines, len(got), len(differences))
	const least = 500
	switch {
	case len(differences) > 0:
		return errors.New("slowpath strace prints other lines than strace about python3")
	case lines < least:
		return fmt.Errorf("python3 has made only %d calls; look at the log of strace", lines)
	}
	return nil
}

func pythonOnLinux(root string, command []string) ([][]string, error) {
	l, err := reference.Build(workDirectory)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), pythonTime)
	defer cancel()
	const script = `log=/tmp/log # the standard streams are pipes, as in the guest
/bin/busybox true | /bin/busybox env -i "$1" "$2" /usr/bin/strace -f -o $log "$3" "$4" "$5" 2>&1 | /bin/busybox cat >/dev/null
/bin/busybox cat $log`
	args := slices.Concat([]string{"/bin/sh", "-c", script, "sh"}, pythonEnvironment, command)
	return stracelog.Threads(l.InRoot(ctx, hostEnvironment(), root, "/", args...))
}

func pythonOnSlowpath(root string, command []string) ([][]string, error) {
	log := filepath.Join(workDirectory, "python.log")
	args := []string{"strace", "-f", "-o", log, "--rootfs", root, "--mem", "1G", "--timeout", pythonTime.String(), "--no-interactive"}
	for _, e := range pythonEnvironment {
		args = append(args, "--env", e)
	}
	if out, err := exec.Command("bin/slowpath", append(args, command...)...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("slowpath strace fails: %w\n%s", err, out)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		return nil, err
	}
	return stracelog.Threads(string(text))
}
