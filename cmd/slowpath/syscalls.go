package main

import (
	"fmt"
	"strings"

	"slowpath/syscall"
)

// kindNames are the names of argument kinds in the list.
var kindNames = map[syscall.Kind]string{
	syscall.Int: "int", syscall.Uint: "uint", syscall.Hex: "flags", syscall.FD: "fd", syscall.DirFD: "dirfd",
	syscall.Pointer: "pointer", syscall.Path: "path", syscall.Mode: "mode", syscall.PID: "pid", syscall.Signal: "signal",
}

// listSyscalls is the subcommand syscalls. It prints one line for each row of
// the kernel's system call table.
func listSyscalls(std standard, _ []string) int {
	rows := syscall.Table()
	for _, r := range rows {
		kinds := make([]string, len(r.Arguments))
		for i, k := range r.Arguments {
			kinds[i] = kindNames[k]
		}
		line := fmt.Sprintf("%3d  %s(%s)", r.Number, r.Name, strings.Join(kinds, ", "))
		if r.Partial != "" {
			line += "  partial: " + r.Partial
		}
		fmt.Fprintln(std.out, line)
	}
	fmt.Fprintf(std.out, "%d system calls; any other fails with ENOSYS\n", len(rows))
	return exitSuccess
}
