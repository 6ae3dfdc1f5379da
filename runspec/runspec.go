// Package runspec reads and writes the run file. The host command puts it into the
// initramfs to tell the kernel what to run: the program, its arguments, its
// environment and its terminal.
//
// The file is text with one setting in each line. The first line has the name and the
// version of the format. The last line shows that the file is complete:
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
// Strings are quoted as in Go. They can contain every byte except NUL. The kernel reads
// the file, removes it and starts the program.
package runspec

import (
	"errors"
	"fmt"
	"strings"
)

// Path is the path of the run file in the initramfs, and Directory its directory. The
// kernel removes both before the program starts.
const (
	Path      = "/.slowpath/run"
	Directory = "/.slowpath"
)

// StdinPath is the path at which the host command puts the file for [Spec.Stdin].
const StdinPath = "/.slowpath/stdin"

// MaxSize is the maximum size of the file in bytes. It has room for the quoted form of
// the 2 MiB of arguments and environment that execve accepts.
const MaxSize = 16 << 20

// Stdio is the kind of the program's standard files.
type Stdio uint8

// The kinds of standard files.
const (
	// Pipes means three streams that are pipes to fstat(2).
	Pipes Stdio = iota
	// Terminal means one tty, which is the controlling terminal.
	Terminal
)

// Spec describes what to run.
type Spec struct {
	// Path is the program's path in the guest. Empty means Args[0].
	Path string
	// Args is argv. It has at least the program's own name.
	Args []string
	// Env is the environment as NAME=value strings.
	Env []string
	// Workdir is the absolute path of the working directory. Empty means "/".
	Workdir string
	// Stdio is the kind of the standard files.
	Stdio Stdio
	// Stdin is the path of a file in the initramfs that replaces the host's
	// stream as standard input. The kernel removes the file after opening it.
	// The host command uses it for --icount, because bytes from the link
	// arrive at different times in each run.
	Stdin string
	// Rows and Columns are the terminal's size. They are 0 if it is unknown.
	Rows, Columns uint16
	// Hostname is the node name of uname(2). Empty means the kernel's default.
	Hostname string
}

// Program returns the path of the program: Path, or Args[0] if Path is empty. It is
// empty if there are no arguments either.
func (s *Spec) Program() string {
	if s.Path != "" {
		return s.Path
	}
	if len(s.Args) == 0 {
		return ""
	}
	return s.Args[0]
}

// check returns an error if the kernel cannot run the spec.
func (s *Spec) check() error {
	if len(s.Args) == 0 {
		return errors.New("the run file has no program; add at least one arg line")
	}
	if s.Workdir != "" && !strings.HasPrefix(s.Workdir, "/") {
		return fmt.Errorf("the run file's workdir %q is not an absolute path; begin it with /", s.Workdir)
	}
	for _, text := range s.strings() {
		if strings.IndexByte(text, 0) >= 0 {
			return fmt.Errorf("the run file has a NUL byte in %q; remove it, because a program's strings end at NUL", text)
		}
	}
	return nil
}

// strings returns all strings of the spec.
func (s *Spec) strings() []string {
	all := []string{s.Path, s.Workdir, s.Hostname, s.Stdin}
	all = append(all, s.Args...)
	return append(all, s.Env...)
}
