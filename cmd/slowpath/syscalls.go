package main

// listSyscalls is the subcommand syscalls.
func listSyscalls(std standard, _ []string) int {
	return fail(std, "this build has no table of system calls")
}
