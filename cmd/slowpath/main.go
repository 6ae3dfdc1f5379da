// Slowpath runs Linux programs on the Slowpath kernel in QEMU.
//
//	slowpath run /bin/busybox sh -c 'ls -l / | wc -l; exit 7'
//
// The program's standard streams and exit code become the command's own. Type
// slowpath help for the rest.
package main

import (
	"fmt"
	"io"
	"os"
)

// The exit codes of the command itself; those of programs pass through.
const (
	exitSuccess = 0
	exitMissing = 1   // doctor found something missing
	exitTimeout = 124 // --timeout expired
	exitFailure = 125 // the kernel, QEMU or the command line is at fault
	exitSignal  = 128 // plus the number of the signal that ended the program
)

// standard holds the command's standard streams; tests replace them.
type standard struct {
	in       *os.File
	out, err io.Writer
}

// subcommand is a row of the table of subcommands.
type subcommand struct {
	name    string
	summary string
	run     func(std standard, args []string) int
	help    func(w io.Writer) // nil if the summary is all there is to say
}

// subcommands lists the subcommands in the order in which help shows them.
func subcommands() []subcommand {
	return []subcommand{
		{"run", "run a program on the kernel", run, runHelp},
		{"probe", "run a program and show the calls of its functions", probe, probeHelp},
		{"strace", "run a program and show its system calls and signals", straceCommand, straceHelp},
		{"doctor", "list what is missing on this machine", doctor, nil},
		{"syscalls", "list the system calls of the kernel", listSyscalls, nil},
		{"masks", "compare the masks and flags of Linux 3.13 and of the kernel", showMasks, masksHelp},
		{"version", "print the version", version, nil},
		{"help", "print this text, or the help of a subcommand", help, nil},
	}
}

func main() {
	os.Exit(dispatch(standard{os.Stdin, os.Stdout, os.Stderr}, os.Args[1:]))
}

// dispatch runs a command line without the command's own name and returns the
// exit code.
func dispatch(std standard, args []string) int {
	if len(args) == 0 {
		usage(std.err)
		return exitFailure
	}
	name := args[0]
	if name == "-h" || name == "-help" || name == "--help" {
		name = "help"
	}
	for _, c := range subcommands() {
		if c.name == name {
			return c.run(std, args[1:])
		}
	}
	return fail(std, "there is no subcommand %q; slowpath help lists them", args[0])
}

// fail prints an error on one line and returns the exit code for failures that
// are not the program's.
func fail(std standard, format string, args ...any) int {
	fmt.Fprintf(std.err, "slowpath: "+format+"\n", args...)
	return exitFailure
}

func usage(w io.Writer) {
	fmt.Fprint(w, "Slowpath runs Linux programs on a kernel of its own, in QEMU.\n\nUsage: slowpath SUBCOMMAND [ARGUMENT...]\n\n")
	for _, c := range subcommands() {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\nslowpath help run explains the flags of run; probe, strace and masks have help too.\n")
}

func help(std standard, args []string) int {
	if len(args) == 0 {
		usage(std.out)
		return exitSuccess
	}
	for _, c := range subcommands() {
		switch {
		case c.name != args[0]:
		case c.help != nil:
			c.help(std.out)
			return exitSuccess
		default:
			fmt.Fprintf(std.out, "Usage: slowpath %s\n\nPurpose: %s. It takes no flags.\n", c.name, c.summary)
			return exitSuccess
		}
	}
	return fail(std, "there is no subcommand %q; slowpath help lists them", args[0])
}
