package decode

import (
	"bytes"
	"slices"

	"slowpath/tracespec"
)

// accessKind is what an argument refers to.
type accessKind uint8

const (
	accessNothing accessKind = iota
	accessFile               // the file of a descriptor
	accessPath               // the file with a name
	accessFiles              // the files of the descriptors in a list, which the last op captures
)

// accessed are the arguments that -P regards, for calls of which it regards others than the
// first (strace's pathtrace.c).
var accessed = map[string][]int{
	"dup2": {0, 1}, "dup3": {0, 1}, "kexec_file_load": {0, 1}, "sendfile": {0, 1}, "tee": {0, 1},
	"execveat": {0, 1}, "faccessat": {0, 1}, "faccessat2": {0, 1}, "fchmodat": {0, 1}, "fchownat": {0, 1}, "fspick": {0, 1}, "futimesat": {0, 1},
	"inotify_add_watch": {0, 1}, "mkdirat": {0, 1}, "mknodat": {0, 1}, "mount_setattr": {0, 1}, "name_to_handle_at": {0, 1}, "newfstatat": {0, 1},
	"open_tree": {0, 1}, "openat": {0, 1}, "openat2": {0, 1}, "readlinkat": {0, 1}, "statx": {0, 1}, "unlinkat": {0, 1}, "utimensat": {0, 1},
	"link": {0, 1}, "mount": {0, 1}, "pivot_root": {0, 1},
	"quotactl": {1}, "symlink": {1},
	"linkat": {0, 1, 2, 3}, "move_mount": {0, 1, 2, 3}, "renameat": {0, 1, 2, 3}, "renameat2": {0, 1, 2, 3},
	"mmap": {4}, "symlinkat": {1, 2}, "copy_file_range": {0, 2}, "splice": {0, 2}, "epoll_ctl": {2}, "fanotify_mark": {3, 4}, "fsconfig": {3, 4},
	"select": {1, 2, 3}, "pselect6": {1, 2, 3}, "poll": {0}, "ppoll": {0},
	"accept": nil, "accept4": nil, "bpf": nil, "io_uring_enter": nil, "io_uring_register": nil, "landlock_add_rule": nil, "landlock_restrict_self": nil,
	"mq_getsetattr": nil, "mq_notify": nil, "mq_timedreceive": nil, "mq_timedsend": nil, "perf_event_open": nil, "signalfd": nil, "signalfd4": nil,
	"timerfd_gettime": nil, "timerfd_settime": nil,
}

// Accesses reports whether a call accesses one of some files (-P). Only the entry counts. The
// table must have been made with Options.Match.
func (s *Syscall) Accesses(c *Call, files map[string]bool) bool {
	if !s.InClass("file") && !s.InClass("desc") && !s.InClass("network") {
		return false
	}
	indices, special := accessed[s.Name]
	if !special {
		indices = []int{0}
	}
	for i := range s.args {
		a := &s.args[i]
		if a.access == accessNothing || a.exit || !slices.Contains(indices, a.index) || a.shown != nil && !a.shown(c) {
			continue
		}
		if slices.ContainsFunc(s.input(c, i).accessed(a.access), func(name string) bool { return files[name] }) {
			return true
		}
	}
	return false
}

// accessed returns the names of the files that an argument refers to.
func (in *Input) accessed(kind accessKind) (names []string) {
	list := [][]byte{in.capture(0)}
	if kind == accessFiles {
		list = tracespec.SplitVector(in.capture(len(in.captures) - 1))
	}
	for _, b := range list {
		name, _, _ := bytes.Cut(b, []byte{0})
		if kind != accessPath {
			name = bytes.TrimSuffix(name, []byte(" (deleted)"))
		}
		if len(name) > 0 {
			names = append(names, string(name))
		}
	}
	return names
}
