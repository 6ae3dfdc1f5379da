package main

import "strings"

// reasons explain why tests that pass on Linux fail on Slowpath. A reason covers
// the tests of a suite whose names begin with the prefix. They are part of
// results.tsv.
var reasons = []struct{ suite, prefix, reason string }{
	{"busybox-ash", "ash-misc ash-misc/exitcode_trap6.tests", trapRace},
	{"go-os", "all TestGetPollFDAndNetwork/tcp4", noNetwork},
	{"go-os", "all TestLargeCopyViaNetwork", noNetwork},
	{"go-os", "all TestSendFile", noNetwork},
	{"go-os", "all TestSpliceFile", noNetwork},
	{"go-os/exec", "all TestExtraFilesRace", noNetwork},
}

const noNetwork = "It listens on a TCP port of 127.0.0.1, but there is no network: socket(AF_INET) fails with EAFNOSUPPORT."

const trapRace = "The test has a race between a kill in the background and the shell's next fork. It fails as often on Linux."

// reason returns why the row's test fails only on Slowpath. It returns nothing if
// the test does not, or if the reason is unknown.
func (r row) reason() string {
	if !r.linux || r.slowpath {
		return ""
	}
	for _, known := range reasons {
		if r.suite == known.suite && strings.HasPrefix(r.test, known.prefix) {
			return known.reason
		}
	}
	return ""
}

// unexplained returns the tests that fail only on Slowpath, for no known reason.
func unexplained(rows []row) []string {
	var tests []string
	for _, r := range rows {
		if r.linux && !r.slowpath && r.reason() == "" {
			tests = append(tests, r.suite+" "+r.test)
		}
	}
	return tests
}
