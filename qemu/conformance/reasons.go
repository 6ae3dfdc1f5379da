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
	{"go-syscall", "all TestCloneNEWUSERAndRemap", noNamespaces},
	{"go-syscall", "all TestCloneTimeNamespace", noNamespaces},
	{"go-syscall", "all TestEmptyCredGroupsDisableSetgroups", noNamespaces},
	{"go-syscall", "all TestPidFDWithUserNS", noNamespaces},
	{"go-syscall", "all TestUnshare", noNamespaces},
	{"go-internal/poll", "all TestReadError/ErrNotPollable", "It opens /dev/net/tun, which does not exist, because there is no network."},
	{"go-log/syslog", "all TestConcurrentWrite", noUDP},
	{"go-log/syslog", "all TestWithSimulated", noUDP},
	{"go-log/syslog", "all TestWrite", noUDP},
	{"posix", "mq_", noMessageQueues},
	{"posix", "clock.1-1", "It makes 8 million system calls, which takes longer than its time limit in an emulated machine on a busy host."},
	{"posix", "mmap.14-1", "The root is a tmpfs, whose files Linux does not mark as modified by a write to a mapping either. The host's Linux runs it on a disk."},
	{"posix", "pthread_cancel.5-2", manyThreads},
	{"posix", "pthread_cond_broadcast.1-2", manyThreads},
	{"posix", "shm_open.23-1", manyThreads},
	{"posix", "pthread_rwlock_unlock.3-1", "It expects that a thread of a higher real-time priority runs before one of a lower priority when a lock wakes both. Slowpath runs them in either order."},
	{"posix", "pthread_mutex_init.5-3", "The test has a race between a signal and the sigaction(2) of the thread that gets it."},
	{"posix", "timer_gettime.1-3", "It expects a sleep to end within some milliseconds, which an emulated machine on a busy host cannot promise."},
	{"strace", "adjtimex.gen", "adjtimex(2) does not exist yet."},
	{"strace", "bpf-success-v.gen", "It needs the network interface lo."},
	{"strace", "options-syntax", "It runs strace hundreds of times, longer than its time limit in an emulated machine."},
	{"strace", "inotify_init-y", "inotify(7) does not exist yet."},
	{"strace", "ipc_", "System V message queues and shared memory do not exist yet."},
	{"strace", "mq.gen", noMessageQueues},
	{"strace", "nfnetlink_", noNetwork},
	{"strace", "sock_filter", noNetwork},
	{"strace", "sockaddr_xlat", noNetwork},
	{"strace", "set_mempolicy", "Memory policies do not exist: the machine has one memory node."},
	{"strace", "prctl-mce-kill", "PR_MCE_KILL_GET does not exist yet."},
	{"programs", "bubblewrap.", "It needs user namespaces, which do not exist yet."},
}

const noNetwork = "It listens on a TCP port of 127.0.0.1, but there is no network: socket(AF_INET) fails with EAFNOSUPPORT."

const noUDP = "It listens on a UDP or TCP port of 127.0.0.1, but there is no network: socket(AF_INET) fails with EAFNOSUPPORT."

const noNamespaces = "It needs mount, user or time namespaces, which do not exist yet."

const noMessageQueues = "POSIX message queues do not exist yet."

const manyThreads = "It makes as many threads or processes as it can, which takes longer than its time limit in an emulated machine."

const trapRace = "The test has a race between a kill in the background and the shell's next fork. It fails as often on Linux."

// reason returns why the row's test fails only on Slowpath. It returns nothing if
// the test does not, or if the reason is unknown.
func (r row) reason() string {
	if !r.linux || r.slowpath {
		return ""
	}
	for _, known := range reasons {
		if strings.TrimSuffix(r.suite, i386.suffix()) == known.suite && strings.HasPrefix(r.test, known.prefix) {
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
