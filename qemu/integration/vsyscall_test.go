package integration

import (
	"strings"
	"testing"
)

// TestVsyscallPageHasThreeModes runs a program that calls the functions of the page. Linux
// prints the same with the same option; the host's option is not known.
func TestVsyscallPageHasThreeModes(t *testing.T) {
	const (
		line   = "ffffffffff600000-ffffffffff601000 %s 00000000 00:00 0                  [vsyscall]\n"
		called = "gettimeofday: returns a good value\nthe time is set: 1\ntime: returns a good value\n" +
			"getcpu: returns a good value\nCPU and node are set: 1\n"
		refused = "gettimeofday: signal 11\nthe time is set: 0\ntime: signal 11\ngetcpu: signal 11\nCPU and node are set: 0\n"
		bad     = "a pointer to nothing: signal 11\na pointer to the kernel: signal 11\n" +
			"no start of a function: signal 11\na fourth function: signal 11\n"
	)
	for mode, want := range map[string]string{
		"xonly":   strings.Replace(line, "%s", "--xp", 1) + called + bad + "a read: signal 11\na write: signal 11\n",
		"emulate": strings.Replace(line, "%s", "r-xp", 1) + called + bad + "a read: 60c0c748\na write: signal 11\n",
		"none":    refused + bad + "a read: signal 11\na write: signal 11\n",
	} {
		t.Run(mode, func(t *testing.T) {
			check(t, onSlowpath(t, "", "--append", "vsyscall="+mode, program("vsyscall")), result{out: want})
		})
	}
}
