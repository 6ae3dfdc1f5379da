// Package runspec is the file in the initramfs by which the host command tells
// the kernel what to run: program, arguments, environment, terminal.
//
// It is text, a line for each setting, the first naming format and version and
// the last saying that nothing is missing:
//
//	slowpath-run 1
//	arg "/bin/busybox"
//	arg "ls"
//	env "PATH=/usr/bin:/bin"
//	workdir "/"
//	stdio terminal
//	window 24 80
//	hostname "slowpath"
//	end
//
// Strings are quoted as in Go, so every byte but NUL can stand in them. The
// kernel reads the file, unlinks it and starts the program.
package runspec

import (
	"errors"
	"fmt"
	"strings"
)

// Path is where the file lies in the initramfs. Directory is its directory;
// the kernel removes both before the program starts.
const (
	Path      = "/.slowpath/run"
	Directory = "/.slowpath"
)

// StdinPath is where the host command puts the file for [Spec.Stdin].
const StdinPath = "/.slowpath/stdin"

// MaxSize bounds the file in bytes: room for the 2 MiB of arguments and
// environment that execve takes, in their quoted form.
const MaxSize = 16 << 20

// Stdio says what the program's standard files are.
type Stdio uint8

// The kinds of standard files.
const (
	// Pipes gives the program three streams that look like pipes to fstat(2).
	Pipes Stdio = iota
	// Terminal gives it one tty as all three, its controlling terminal.
	Terminal
)

// Spec says what to run.
type Spec struct {
	// Path is the program's file in the guest. Empty means Args[0].
	Path string
	// Args is argv, the program's own name first; at least one.
	Args []string
	// Env is the environment, NAME=value each.
	Env []string
	// Workdir is the absolute path of the working directory; empty means "/".
	Workdir string
	// Stdio says what the standard files are.
	Stdio Stdio
	// Stdin is the path of a file in the initramfs that is the standard input
	// instead of the host's stream; the kernel unlinks it once it is open. The
	// host command uses it where runs must be identical, because bytes that
	// come over the link come at another moment each time.
	Stdin string
	// Rows and Columns are the terminal's size; zero if unknown.
	Rows, Columns uint16
	// Hostname is the node name for uname(2); empty means the kernel's own.
	Hostname string
}

// Program returns the file to start: Path, or the first argument without one.
func (s *Spec) Program() string {
	if s.Path != "" {
		return s.Path
	}
	if len(s.Args) == 0 {
		return ""
	}
	return s.Args[0]
}

// check reports what makes a spec unusable.
func (s *Spec) check() error {
	if len(s.Args) == 0 {
		return errors.New("the run file names no program; it needs at least one arg line")
	}
	if s.Workdir != "" && !strings.HasPrefix(s.Workdir, "/") {
		return fmt.Errorf("the run file's workdir %q is not an absolute path", s.Workdir)
	}
	for _, text := range s.strings() {
		if strings.IndexByte(text, 0) >= 0 {
			return fmt.Errorf("the run file has a NUL byte in %q, and no string of a program can hold one", text)
		}
	}
	return nil
}

// strings lists all strings of the spec.
func (s *Spec) strings() []string {
	all := []string{s.Path, s.Workdir, s.Hostname, s.Stdin}
	all = append(all, s.Args...)
	return append(all, s.Env...)
}
