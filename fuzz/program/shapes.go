package program

import (
	"golang.org/x/sys/unix"

	"slowpath/entry"
	"slowpath/syscall"
)

// call is what Decode knows of a system call.
type call struct {
	number    int
	arguments []argument
}

// calls has the call of each number in an encoded program. A number without a
// system call stands for one of the calls of common.
var calls = newCalls()

// common are the calls that create what other calls use. They occur more often.
var common = []int{
	unix.SYS_OPENAT, unix.SYS_OPENAT, unix.SYS_MMAP, unix.SYS_MMAP, unix.SYS_PIPE2, unix.SYS_SOCKETPAIR, unix.SYS_SOCKET,
	unix.SYS_CLONE, unix.SYS_CLONE, unix.SYS_FORK, unix.SYS_CLOSE, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_CREATE1,
	unix.SYS_FCNTL, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_WRITE, unix.SYS_DUP2, unix.SYS_MUNMAP, unix.SYS_MPROTECT,
	unix.SYS_KILL, unix.SYS_TGKILL, unix.SYS_RT_SIGACTION, unix.SYS_MEMFD_CREATE, unix.SYS_EVENTFD2, unix.SYS_TIMERFD_CREATE,
	unix.SYS_TIMERFD_SETTIME, unix.SYS_FUTEX, unix.SYS_FUTEX, unix.SYS_IOCTL, unix.SYS_SENDMSG, unix.SYS_RECVMSG, unix.SYS_BIND,
	unix.SYS_LISTEN, unix.SYS_CONNECT, unix.SYS_ACCEPT4, unix.SYS_MREMAP, unix.SYS_MADVISE, unix.SYS_WAIT4, unix.SYS_RENAME,
	unix.SYS_MKDIR, unix.SYS_UNLINK, unix.SYS_SETSOCKOPT, unix.SYS_GETSOCKOPT, unix.SYS_SPLICE, unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE,
	unix.SYS_TIMER_CREATE, unix.SYS_TIMER_SETTIME, unix.SYS_SETITIMER, unix.SYS_EXECVE, unix.SYS_EPOLL_WAIT, unix.SYS_SIGNALFD4,
}

// groups are calls that use the same objects.
var groups = [][]int{
	{unix.SYS_SETSOCKOPT, unix.SYS_GETSOCKOPT, unix.SYS_SOCKETPAIR, unix.SYS_SHUTDOWN, unix.SYS_GETSOCKNAME, unix.SYS_CLOSE},
	{unix.SYS_SENDMSG, unix.SYS_RECVMSG, unix.SYS_SENDTO, unix.SYS_RECVFROM, unix.SYS_SOCKETPAIR, unix.SYS_CLOSE, unix.SYS_DUP2, unix.SYS_SENDMMSG, unix.SYS_RECVMMSG},
	{unix.SYS_SOCKET, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_CONNECT, unix.SYS_ACCEPT4, unix.SYS_CLOSE, unix.SYS_UNLINK, unix.SYS_GETPEERNAME, unix.SYS_SHUTDOWN},
	{unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_WAIT, unix.SYS_EPOLL_CREATE1, unix.SYS_WRITE, unix.SYS_READ, unix.SYS_CLOSE, unix.SYS_DUP},
	{unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_CTL},
	{unix.SYS_MEMFD_CREATE, unix.SYS_FCNTL, unix.SYS_FCNTL, unix.SYS_MMAP, unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_FTRUNCATE, unix.SYS_WRITE},
	{unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MREMAP, unix.SYS_MPROTECT, unix.SYS_MADVISE, unix.SYS_MLOCK, unix.SYS_MSYNC, unix.SYS_FORK, unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_MINCORE, unix.SYS_BRK},
	{unix.SYS_OPEN, unix.SYS_READ, unix.SYS_PREAD64, unix.SYS_GETDENTS64, unix.SYS_READLINK, unix.SYS_CLOSE, unix.SYS_FORK, unix.SYS_EXIT, unix.SYS_EXECVE, unix.SYS_CLONE, unix.SYS_UNSHARE, unix.SYS_WRITE, unix.SYS_STAT},
	{unix.SYS_KILL, unix.SYS_TGKILL, unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGTIMEDWAIT, unix.SYS_SIGNALFD4, unix.SYS_READ, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_FORK, unix.SYS_RT_SIGSUSPEND, unix.SYS_SIGALTSTACK},
	{unix.SYS_TIMER_CREATE, unix.SYS_TIMER_SETTIME, unix.SYS_TIMER_DELETE, unix.SYS_TIMER_GETTIME, unix.SYS_SETITIMER, unix.SYS_TIMERFD_CREATE, unix.SYS_TIMERFD_SETTIME, unix.SYS_READ, unix.SYS_CLOCK_SETTIME, unix.SYS_ADJTIMEX, unix.SYS_FORK, unix.SYS_EXIT},
	{unix.SYS_RENAME, unix.SYS_LINK, unix.SYS_UNLINK, unix.SYS_MKDIR, unix.SYS_RMDIR, unix.SYS_SYMLINK, unix.SYS_OPEN, unix.SYS_CHDIR, unix.SYS_GETCWD, unix.SYS_GETDENTS64, unix.SYS_RENAMEAT2, unix.SYS_STAT},
	{unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_OPEN, unix.SYS_CHDIR, unix.SYS_MKDIR, unix.SYS_CHROOT, unix.SYS_CLOSE, unix.SYS_UNLINK},
	{unix.SYS_FUTEX, unix.SYS_FUTEX, unix.SYS_FUTEX_WAITV, unix.SYS_MMAP, unix.SYS_SET_ROBUST_LIST, unix.SYS_EXIT, unix.SYS_CLONE, unix.SYS_SET_TID_ADDRESS},
	{unix.SYS_FUTEX, unix.SYS_FUTEX, unix.SYS_FUTEX, unix.SYS_FUTEX, unix.SYS_CLONE, unix.SYS_SCHED_SETSCHEDULER, unix.SYS_SETPRIORITY, unix.SYS_SCHED_YIELD, unix.SYS_TGKILL, unix.SYS_SET_ROBUST_LIST, unix.SYS_EXIT, unix.SYS_EXECVE},
	{unix.SYS_OPEN, unix.SYS_IOCTL, unix.SYS_IOCTL, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_SETSID, unix.SYS_SETPGID, unix.SYS_CLOSE, unix.SYS_KILL, unix.SYS_POLL},
	{unix.SYS_PIPE2, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_SPLICE, unix.SYS_TEE, unix.SYS_VMSPLICE, unix.SYS_SENDFILE, unix.SYS_FCNTL, unix.SYS_CLOSE, unix.SYS_POLL, unix.SYS_COPY_FILE_RANGE},
	{unix.SYS_CLONE, unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_WAIT4, unix.SYS_WAITID, unix.SYS_EXIT, unix.SYS_EXIT_GROUP, unix.SYS_EXECVE, unix.SYS_SETPGID, unix.SYS_SETSID, unix.SYS_KILL, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP, unix.SYS_PRCTL},
	{unix.SYS_PTRACE, unix.SYS_PTRACE, unix.SYS_PTRACE, unix.SYS_PTRACE, unix.SYS_PTRACE, unix.SYS_PTRACE, unix.SYS_WAIT4, unix.SYS_WAIT4, unix.SYS_FORK, unix.SYS_CLONE, unix.SYS_KILL, unix.SYS_TGKILL, unix.SYS_EXECVE, unix.SYS_EXIT, unix.SYS_RT_SIGPROCMASK, unix.SYS_GETPID},
	{unix.SYS_SETRESUID, unix.SYS_SETGROUPS, unix.SYS_CAPSET, unix.SYS_PRLIMIT64, unix.SYS_PRCTL, unix.SYS_OPEN, unix.SYS_EXECVE, unix.SYS_KILL, unix.SYS_FORK, unix.SYS_CHMOD, unix.SYS_CHOWN},
	{unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_FORK, unix.SYS_CLONE, unix.SYS_OPEN, unix.SYS_PREAD64, unix.SYS_PWRITE64, unix.SYS_LSEEK, unix.SYS_EXECVE, unix.SYS_EXIT, unix.SYS_PRCTL},
	{unix.SYS_SECCOMP, unix.SYS_SECCOMP, unix.SYS_GETPGID, unix.SYS_GETPGID, unix.SYS_IOCTL, unix.SYS_IOCTL, unix.SYS_FORK, unix.SYS_CLONE, unix.SYS_CLOSE, unix.SYS_DUP, unix.SYS_KILL, unix.SYS_POLL, unix.SYS_EXIT},
	{unix.SYS_PERF_EVENT_OPEN, unix.SYS_PERF_EVENT_OPEN, unix.SYS_PERF_EVENT_OPEN, unix.SYS_IOCTL, unix.SYS_IOCTL, unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_READ, unix.SYS_CLOSE, unix.SYS_FORK, unix.SYS_CLONE, unix.SYS_EXECVE, unix.SYS_PRCTL, unix.SYS_EXIT, unix.SYS_POLL},
	{unix.SYS_OPEN, unix.SYS_OPEN, unix.SYS_OPEN, unix.SYS_WRITE, unix.SYS_WRITE, unix.SYS_WRITE, unix.SYS_READ, unix.SYS_CLOSE, unix.SYS_MKDIR, unix.SYS_RMDIR, unix.SYS_SPLICE, unix.SYS_POLL, unix.SYS_MMAP, unix.SYS_FORK, unix.SYS_EXECVE, unix.SYS_LSEEK},
	{unix.SYS_SOCKET, unix.SYS_SOCKET, unix.SYS_SENDTO, unix.SYS_SENDTO, unix.SYS_SENDTO, unix.SYS_RECVFROM, unix.SYS_BIND, unix.SYS_SETSOCKOPT, unix.SYS_OPEN, unix.SYS_WRITE, unix.SYS_MKDIR, unix.SYS_RENAME, unix.SYS_UNLINK, unix.SYS_FORK, unix.SYS_EXECVE, unix.SYS_EXIT, unix.SYS_KILL, unix.SYS_CLOSE},
	{unix.SYS_FCNTL, unix.SYS_FLOCK, unix.SYS_CLOSE, unix.SYS_OPEN, unix.SYS_DUP, unix.SYS_FORK, unix.SYS_TRUNCATE, unix.SYS_WRITE, unix.SYS_LSEEK, unix.SYS_FALLOCATE},
}

func newCalls() (all [1 << numberBits]call) {
	for _, r := range syscall.Table() {
		if r.ABI != entry.X86_64 || r.Number >= len(all) {
			continue
		}
		c := call{number: r.Number, arguments: shapes[r.Number]}
		if c.arguments == nil {
			for _, kind := range r.Arguments {
				c.arguments = append(c.arguments, kinds[kind])
			}
		}
		all[r.Number] = c
	}
	next := 0
	for number := range all {
		if all[number].number != number {
			all[number] = all[common[next%len(common)]]
			next++
		}
	}
	return all
}

// calls32 is calls for the ABI I386.
var calls32 = newCalls32()

// common32 are calls with objects or structures that only the i386 ABI has.
var common32 = []string{
	"open", "mmap", "mmap2", "clone", "socketcall", "sigaction", "rt_sigaction", "signal", "sigprocmask", "set_thread_area",
	"modify_ldt", "sigreturn", "rt_sigreturn", "fcntl64", "sendmsg", "recvmsg", "_newselect", "futex", "fstatat64",
}

// newCalls32 gives a call the arguments of the x86-64 call whose handler executes it.
func newCalls32() (all [1 << numberBits]call) {
	byName, numbers := map[string]int{}, map[string]int{}
	for _, r := range syscall.Table() {
		if r.ABI == entry.X86_64 {
			byName[r.Name] = r.Number
		}
	}
	for _, r := range syscall.Table32() {
		numbers[r.Name] = r.Number
		name := r.Row
		if name == "" {
			name = r.Name
		}
		c := call{number: r.Number}
		if number, known := byName[name]; known && number < len(calls) && calls[number].number == number {
			c.arguments = calls[number].arguments
		} else {
			for _, kind := range r.Arguments {
				c.arguments = append(c.arguments, kinds[kind])
			}
		}
		all[r.Number] = c
	}
	next := 0
	for number := range all {
		if all[number].number != number {
			all[number] = all[numbers[common32[next%len(common32)]]]
			next++
		}
	}
	return all
}

// Clones32 reports whether a system call of the i386 ABI may create a task.
func Clones32(number int) bool {
	const fork, clone, vfork, clone3 = 2, 120, 190, 435
	return number == fork || number == clone || number == vfork || number == clone3
}

// kinds has the argument of each kind of package syscall, for the calls without a
// shape.
var kinds = map[syscall.Kind]argument{
	syscall.Int: one{0, 1, 2, 3, ^uint64(0)}, syscall.Uint: size, syscall.Hex: one{0, 1, 2, 4, 8}, syscall.FD: fd, syscall.DirFD: directory{},
	syscall.Pointer: pointer{anyBytes}, syscall.Path: pointer{pathName}, syscall.Mode: mode, syscall.PID: pid, syscall.Signal: signalNumber,
}

var (
	fd = descriptor{}
	// The descriptors that prologue opens, by kind.
	epollFD, eventFD, memFD, socketFD, pipeFD = descriptor{5}, descriptor{6}, descriptor{7}, descriptor{8, 9}, descriptor{10, 11}
	pid                                       = process{}
	mode                                      = one{0o644, 0o777, 0, 0o4755, 0o600, 0o1777, 0o400}
)

func to(kind area) argument { return pointer{kind} }

// shape lists the arguments of a call.
func shape(arguments ...argument) []argument { return arguments }

var (
	openFlags = with{one{unix.O_RDWR, unix.O_RDWR | unix.O_CREAT, unix.O_RDONLY, unix.O_WRONLY | unix.O_CREAT, unix.O_RDONLY | unix.O_DIRECTORY, unix.O_PATH},
		flags{unix.O_CREAT, unix.O_NONBLOCK, unix.O_TRUNC, unix.O_APPEND, unix.O_EXCL, unix.O_NOFOLLOW, unix.O_CLOEXEC, unix.O_TMPFILE, unix.O_DIRECT, unix.O_SYNC, unix.O_NOCTTY}}
	descriptorFlags = flags{unix.O_NONBLOCK, unix.O_CLOEXEC, unix.O_DIRECT}
	protection      = one{3, 1, 0, 5, 7, 2, 3, 3, 0x01000003, 0x02000001}
	seals           = one{1, 2, 4, 8, 16, 8, 8, 15, 31}
	clocks          = one{unix.CLOCK_MONOTONIC, unix.CLOCK_REALTIME, 2, 3, 7, 4, 5, 6, 11, ^uint64(5), ^uint64(13)}
	shortWait       = one{0, 1, 2, 0, 1, 5, ^uint64(0)}
	sendFlags       = flags{unix.MSG_DONTWAIT, unix.MSG_NOSIGNAL, unix.MSG_PEEK, unix.MSG_TRUNC, unix.MSG_WAITALL, unix.MSG_OOB, unix.MSG_CMSG_CLOEXEC}
	socketTypes     = with{one{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET, unix.SOCK_RAW}, flags{unix.SOCK_NONBLOCK, unix.SOCK_CLOEXEC}}
	unixFamily      = one{unix.AF_UNIX, unix.AF_UNIX, unix.AF_UNIX, unix.AF_UNIX, unix.AF_NETLINK, unix.AF_INET, unix.AF_NETLINK}
	socketOptions   = one{unix.SO_REUSEADDR, unix.SO_PASSCRED, unix.SO_RCVTIMEO, unix.SO_SNDTIMEO, unix.SO_SNDBUF, unix.SO_RCVBUF, unix.SO_PEERCRED, unix.SO_ERROR, unix.SO_TYPE, unix.SO_KEEPALIVE, unix.SO_REUSEADDR, unix.SO_BROADCAST, unix.SO_ACCEPTCONN, unix.SO_LINGER, unix.SO_DOMAIN}
	spliceFlags     = flags{unix.SPLICE_F_NONBLOCK, unix.SPLICE_F_MOVE, unix.SPLICE_F_MORE}
	limits          = one{7, 0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	atFlags         = flags{unix.AT_SYMLINK_NOFOLLOW, unix.AT_EMPTY_PATH, unix.AT_SYMLINK_FOLLOW, unix.AT_REMOVEDIR, unix.AT_EACCESS}
	advice          = one{4, 0, 1, 2, 3, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}
	setSize         = one{8, 8, 8, 8, 8, 8, 0, 7, 16}
	threadFlags     = uint64(unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD)
	cloneFlags      = with{one{threadFlags, threadFlags | unix.CLONE_SYSVSEM, 17, unix.CLONE_VM | 17, unix.CLONE_FILES | 17, unix.CLONE_VM | unix.CLONE_SIGHAND | 17, unix.CLONE_FS | unix.CLONE_FILES | 17, unix.CLONE_VM | unix.CLONE_VFORK | 17, 0, 10},
		flags{unix.CLONE_PARENT_SETTID, unix.CLONE_CHILD_CLEARTID, unix.CLONE_CHILD_SETTID, unix.CLONE_SETTLS, unix.CLONE_PIDFD, unix.CLONE_PARENT, unix.CLONE_IO}}
)

// shapes has the arguments of the calls for which the kinds of package syscall are
// not enough to reach past the checks of the arguments.
var shapes = map[int][]argument{
	unix.SYS_OPEN:               shape(to(pathName), openFlags, mode),
	unix.SYS_OPENAT:             shape(directory{}, to(pathName), openFlags, mode),
	unix.SYS_OPENAT2:            shape(directory{}, to(pathName), to(openHow), one{24, 24, 24, 24, 0, 23, 32}),
	unix.SYS_CLOSE_RANGE:        shape(one{3, 4, 5, 10, 20}, one{5, 10, 15, 20, 0xffffffff}, flags{2, 4}),
	unix.SYS_DUP3:               shape(fd, fd, flags{unix.O_CLOEXEC}),
	unix.SYS_READ:               shape(fd, to(anyBytes), size),
	unix.SYS_WRITE:              shape(fd, to(anyBytes), size),
	unix.SYS_PREAD64:            shape(fd, to(anyBytes), size, extent),
	unix.SYS_PWRITE64:           shape(fd, to(anyBytes), size, extent),
	unix.SYS_READV:              shape(fd, to(vectors), one{1, 2, 3, 0, 1024, 1025}),
	unix.SYS_WRITEV:             shape(fd, to(vectors), one{1, 2, 3, 0, 1024, 1025}),
	unix.SYS_PREADV:             shape(fd, to(vectors), one{1, 2, 3}, extent, one{0}),
	unix.SYS_PWRITEV:            shape(fd, to(vectors), one{1, 2, 3}, extent, one{0}),
	unix.SYS_PREADV2:            shape(fd, to(vectors), one{1, 2, 3}, one{0, 1, ^uint64(0)}, one{0, ^uint64(0)}, flags{8, 2, 1, 4, 16}),
	unix.SYS_PWRITEV2:           shape(fd, to(vectors), one{1, 2, 3}, one{0, 1, ^uint64(0)}, one{0, ^uint64(0)}, flags{8, 2, 1, 4, 16}),
	unix.SYS_LSEEK:              shape(fd, one{0, 1, 100, 4096, ^uint64(0)}, one{0, 1, 2, 3, 4, 5}),
	unix.SYS_TRUNCATE:           shape(to(pathName), extent),
	unix.SYS_FTRUNCATE:          shape(memFD, extent),
	unix.SYS_FALLOCATE:          shape(memFD, one{0, 1, 3, 2, 0x10, 0x11, 8, 0x20}, extent, extent),
	unix.SYS_FADVISE64:          shape(fd, extent, extent, one{0, 1, 2, 3, 4, 5, 6}),
	unix.SYS_SYNC_FILE_RANGE:    shape(fd, extent, extent, flags{1, 2, 4}),
	unix.SYS_NEWFSTATAT:         shape(directory{}, to(pathName), to(anyBytes), atFlags),
	unix.SYS_STATX:              shape(directory{}, to(pathName), atFlags, one{0x7ff, 0xfff, 0}, to(anyBytes)),
	unix.SYS_FACCESSAT:          shape(directory{}, to(pathName), one{0, 1, 2, 4, 7}),
	unix.SYS_FACCESSAT2:         shape(directory{}, to(pathName), one{0, 1, 2, 4, 7}, atFlags),
	unix.SYS_ACCESS:             shape(to(pathName), one{0, 1, 2, 4, 7}),
	unix.SYS_UNLINKAT:           shape(directory{}, to(pathName), one{0, unix.AT_REMOVEDIR, 0}),
	unix.SYS_RENAMEAT2:          shape(directory{}, to(pathName), directory{}, to(pathName), one{0, 1, 2, 4, 3}),
	unix.SYS_LINKAT:             shape(directory{}, to(pathName), directory{}, to(pathName), atFlags),
	unix.SYS_MKNOD:              shape(to(pathName), with{one{unix.S_IFIFO, unix.S_IFREG, unix.S_IFCHR, unix.S_IFSOCK, unix.S_IFDIR, unix.S_IFBLK}, flags{0o644, 0o20, 0o777}}, one{0, 0x103, 0x105, 0x502, 0x500}),
	unix.SYS_MKNODAT:            shape(directory{}, to(pathName), with{one{unix.S_IFIFO, unix.S_IFREG, unix.S_IFCHR, unix.S_IFSOCK}, flags{0o644, 0o20, 0o777}}, one{0, 0x103, 0x105, 0x502}),
	unix.SYS_MOUNT:              shape(to(pathName), to(pathName), to(pathName), one{0, unix.MS_BIND, unix.MS_BIND | unix.MS_REC, unix.MS_REMOUNT, unix.MS_RDONLY, unix.MS_PRIVATE, unix.MS_MOVE, unix.MS_NOSUID, unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY}, to(pathName)),
	unix.SYS_UMOUNT2:            shape(to(pathName), one{0, unix.MNT_DETACH, unix.MNT_DETACH, unix.MNT_FORCE, 4, 8}),
	unix.SYS_CHOWN:              shape(to(pathName), identity, identity),
	unix.SYS_FCHOWN:             shape(fd, identity, identity),
	unix.SYS_LCHOWN:             shape(to(pathName), identity, identity),
	unix.SYS_FCHOWNAT:           shape(directory{}, to(pathName), identity, identity, atFlags),
	unix.SYS_UTIME:              shape(to(pathName), to(moment)),
	unix.SYS_UTIMES:             shape(to(pathName), to(period)),
	unix.SYS_FUTIMESAT:          shape(directory{}, to(pathName), to(period)),
	unix.SYS_UTIMENSAT:          shape(directory{}, to(pathName), to(period), atFlags),
	unix.SYS_IOCTL:              shape(fd, ioctlRequests, ioctlArgument{}),
	unix.SYS_SECCOMP:            shape(one{1, 1, 1, 1, 0, 2, 3}, flags{1, 2, 4, 8, 16, 32}, to(filterProgram)),
	unix.SYS_PERF_EVENT_OPEN:    shape(to(perfEvent), pid, one{^uint64(0), 0, 1, 2}, groupFD{}, flags{1, 2, 8}),
	unix.SYS_FCNTL:              shape(memFD, fcntlCommands, fcntlArgument{}),
	unix.SYS_FLOCK:              shape(fd, one{unix.LOCK_EX, unix.LOCK_SH, unix.LOCK_UN, unix.LOCK_EX | unix.LOCK_NB, unix.LOCK_SH | unix.LOCK_NB}),
	unix.SYS_SENDFILE:           shape(fd, fd, to(offset), extent),
	unix.SYS_SPLICE:             shape(pipeFD, to(offset), fd, to(offset), extent, spliceFlags),
	unix.SYS_TEE:                shape(pipeFD, fd, extent, spliceFlags),
	unix.SYS_VMSPLICE:           shape(pipeFD, to(vectors), one{1, 2, 3}, spliceFlags),
	unix.SYS_COPY_FILE_RANGE:    shape(fd, to(offset), fd, to(offset), extent, one{0}),
	unix.SYS_POLL:               shape(to(pollList), one{4, 1, 2, 0, 100}, shortWait),
	unix.SYS_PPOLL:              shape(to(pollList), one{4, 1, 2, 0}, to(moment), to(set), setSize),
	unix.SYS_SELECT:             shape(one{8, 16, 64, 0, 1024}, to(fdSet), to(fdSet), to(fdSet), to(moment)),
	unix.SYS_PSELECT6:           shape(one{8, 16, 64, 0, 1024}, to(fdSet), to(fdSet), to(fdSet), to(moment), to(maskAndSize)),
	unix.SYS_EPOLL_CREATE1:      shape(flags{unix.EPOLL_CLOEXEC}),
	unix.SYS_EPOLL_CTL:          shape(epollFD, one{1, 1, 2, 3, 1, 3}, eventFD, to(epollEvent)),
	unix.SYS_EPOLL_WAIT:         shape(epollFD, to(anyBytes), one{1, 4, 16, 0}, shortWait),
	unix.SYS_EPOLL_PWAIT:        shape(epollFD, to(anyBytes), one{1, 4, 16}, shortWait, to(set), setSize),
	unix.SYS_EPOLL_PWAIT2:       shape(epollFD, to(anyBytes), one{1, 4, 16}, to(moment), to(set), setSize),
	unix.SYS_EVENTFD2:           shape(one{0, 1, 0xffffffff}, flags{unix.EFD_NONBLOCK, unix.EFD_SEMAPHORE, unix.EFD_CLOEXEC}),
	unix.SYS_PIPE2:              shape(to(anyBytes), descriptorFlags),
	unix.SYS_MEMFD_CREATE:       shape(to(pathName), one{unix.MFD_ALLOW_SEALING, unix.MFD_ALLOW_SEALING | unix.MFD_CLOEXEC, 0, 4}),
	unix.SYS_SIGNALFD4:          shape(one{^uint64(0), ^uint64(0), 5, 8}, to(set), setSize, descriptorFlags),
	unix.SYS_SIGNALFD:           shape(one{^uint64(0), ^uint64(0), 5, 8}, to(set), setSize),
	unix.SYS_TIMERFD_CREATE:     shape(one{1, 0, 7, 8, 9}, descriptorFlags),
	unix.SYS_TIMERFD_SETTIME:    shape(fd, flags{1, 2}, to(period), to(anyBytes)),
	unix.SYS_TIMERFD_GETTIME:    shape(fd, to(anyBytes)),
	unix.SYS_TIMER_CREATE:       shape(clocks, to(sigEvent), to(anyBytes)),
	unix.SYS_TIMER_SETTIME:      shape(one{0, 1, 2, 3}, flags{1}, to(period), to(anyBytes)),
	unix.SYS_TIMER_GETTIME:      shape(one{0, 1, 2, 3}, to(anyBytes)),
	unix.SYS_TIMER_GETOVERRUN:   shape(one{0, 1, 2, 3}),
	unix.SYS_TIMER_DELETE:       shape(one{0, 1, 2, 3}),
	unix.SYS_SETITIMER:          shape(one{0, 1, 2, 3}, to(period), to(anyBytes)),
	unix.SYS_GETITIMER:          shape(one{0, 1, 2, 3}, to(anyBytes)),
	unix.SYS_ALARM:              shape(one{0, 1, 100}),
	unix.SYS_CLOCK_NANOSLEEP:    shape(clocks, flags{1}, to(moment), to(anyBytes)),
	unix.SYS_NANOSLEEP:          shape(to(moment), to(anyBytes)),
	unix.SYS_CLOCK_GETTIME:      shape(clocks, to(anyBytes)),
	unix.SYS_CLOCK_GETRES:       shape(clocks, to(anyBytes)),
	unix.SYS_CLOCK_SETTIME:      shape(clocks, to(moment)),
	unix.SYS_ADJTIMEX:           shape(to(timex)),
	unix.SYS_CLOCK_ADJTIME:      shape(clocks, to(timex)),
	unix.SYS_SETTIMEOFDAY:       shape(to(moment), to(moment)),
	unix.SYS_SOCKET:             shape(unixFamily, socketTypes, one{0, 0, unix.NETLINK_AUDIT, 1, unix.NETLINK_AUDIT}),
	unix.SYS_SOCKETPAIR:         shape(unixFamily, socketTypes, one{0}, to(anyBytes)),
	unix.SYS_BIND:               shape(socketFD, to(address), one{4, 110, 2, 5, 3, 111}),
	unix.SYS_CONNECT:            shape(socketFD, to(address), one{4, 110, 2, 5, 3}),
	unix.SYS_LISTEN:             shape(socketFD, one{0, 1, 5, 128, ^uint64(0)}),
	unix.SYS_ACCEPT:             shape(socketFD, to(anyBytes), to(length)),
	unix.SYS_ACCEPT4:            shape(socketFD, to(anyBytes), to(length), descriptorFlags),
	unix.SYS_SENDTO:             shape(socketFD, to(sendData), size, sendFlags, to(address), one{0, 4, 110}),
	unix.SYS_RECVFROM:           shape(socketFD, to(anyBytes), size, sendFlags, to(anyBytes), to(length)),
	unix.SYS_SENDMSG:            shape(socketFD, to(message), sendFlags),
	unix.SYS_RECVMSG:            shape(socketFD, to(message), sendFlags),
	unix.SYS_SENDMMSG:           shape(socketFD, to(messages), one{1, 2, 3}, sendFlags),
	unix.SYS_RECVMMSG:           shape(socketFD, to(messages), one{1, 2, 3}, sendFlags, to(moment)),
	unix.SYS_SHUTDOWN:           shape(socketFD, one{0, 1, 2, 3}),
	unix.SYS_GETSOCKNAME:        shape(socketFD, to(anyBytes), to(length)),
	unix.SYS_GETPEERNAME:        shape(socketFD, to(anyBytes), to(length)),
	unix.SYS_SETSOCKOPT:         shape(socketFD, one{unix.SOL_SOCKET, unix.SOL_SOCKET, unix.SOL_SOCKET, 0, 6}, socketOptions, to(integer), one{4, 4, 16, 0, 1}),
	unix.SYS_GETSOCKOPT:         shape(socketFD, one{unix.SOL_SOCKET, unix.SOL_SOCKET, unix.SOL_SOCKET, 0, 6}, socketOptions, to(anyBytes), to(length)),
	unix.SYS_MMAP:               shape(place{}, extent, protection, with{one{unix.MAP_PRIVATE | unix.MAP_ANON, unix.MAP_SHARED, unix.MAP_PRIVATE, unix.MAP_SHARED | unix.MAP_ANON, unix.MAP_SHARED_VALIDATE, unix.MAP_PRIVATE | unix.MAP_ANON | unix.MAP_FIXED, unix.MAP_SHARED | unix.MAP_FIXED}, flags{unix.MAP_FIXED, unix.MAP_POPULATE, unix.MAP_FIXED_NOREPLACE, unix.MAP_GROWSDOWN, unix.MAP_NORESERVE, unix.MAP_LOCKED, unix.MAP_32BIT}}, memFD, one{0, 4096, 8192, 1}),
	unix.SYS_MUNMAP:             shape(place{}, extent),
	unix.SYS_MPROTECT:           shape(place{}, extent, protection),
	unix.SYS_PKEY_MPROTECT:      shape(place{}, extent, protection, one{^uint64(0), 0, 1}),
	unix.SYS_MREMAP:             shape(place{}, extent, extent, one{0, 1, 1, 3, 5, 7, 2}, place{}),
	unix.SYS_MSYNC:              shape(place{}, extent, one{0, 1, 2, 4, 5}),
	unix.SYS_MINCORE:            shape(place{}, extent, to(anyBytes)),
	unix.SYS_MADVISE:            shape(place{}, extent, advice),
	unix.SYS_MLOCK:              shape(place{}, extent),
	unix.SYS_MLOCK2:             shape(place{}, extent, flags{1}),
	unix.SYS_MUNLOCK:            shape(place{}, extent),
	unix.SYS_MLOCKALL:           shape(flags{1, 2, 4}),
	unix.SYS_BRK:                shape(one{0, 0x600000, 0x610000, 0x700000}),
	unix.SYS_CLONE:              shape(cloneFlags, to(stackTop), to(word), to(word), one{0, MapBase}),
	unix.SYS_CLONE3:             shape(to(cloneArguments), one{88, 64, 80, 88, 100, 8}),
	unix.SYS_EXECVE:             shape(to(pathName), to(argumentList), to(argumentList)),
	unix.SYS_EXECVEAT:           shape(directory{}, to(pathName), to(argumentList), to(argumentList), atFlags),
	unix.SYS_SET_TID_ADDRESS:    shape(to(word)),
	unix.SYS_SET_ROBUST_LIST:    shape(to(robustList), one{24}),
	unix.SYS_UNSHARE:            shape(flags{unix.CLONE_FILES, unix.CLONE_FS, unix.CLONE_SYSVSEM, unix.CLONE_NEWNS, unix.CLONE_VM, unix.CLONE_SIGHAND}),
	unix.SYS_WAIT4:              shape(pid, to(anyBytes), with{one{1, 1, 0}, flags{2, 8, 0x40000000, 0x80000000}}, to(anyBytes)),
	unix.SYS_WAITID:             shape(one{0, 1, 2, 3}, pid, to(anyBytes), with{one{5, 4, 7, 1}, flags{8, 0x01000000, 0x40000000}}, to(anyBytes)),
	unix.SYS_RT_SIGACTION:       shape(signalNumber, to(action), to(anyBytes), setSize),
	unix.SYS_RT_SIGPROCMASK:     shape(one{0, 1, 2, 3}, to(set), to(anyBytes), setSize),
	unix.SYS_RT_SIGPENDING:      shape(to(anyBytes), setSize),
	unix.SYS_RT_SIGSUSPEND:      shape(to(set), setSize),
	unix.SYS_RT_SIGTIMEDWAIT:    shape(to(set), to(anyBytes), to(moment), setSize),
	unix.SYS_RT_SIGQUEUEINFO:    shape(pid, signalNumber, to(sigInfo)),
	unix.SYS_RT_TGSIGQUEUEINFO:  shape(pid, pid, signalNumber, to(sigInfo)),
	unix.SYS_PIDFD_SEND_SIGNAL:  shape(fd, signalNumber, to(sigInfo), one{0}),
	unix.SYS_SIGALTSTACK:        shape(to(stack), to(anyBytes)),
	unix.SYS_FUTEX:              shape(to(word), with{one{0, 1, 3, 4, 5, 9, 10, 6, 7, 8, 11, 12, 13}, flags{128, 256}}, one{0, 1, 2, 3}, to(moment), to(word), one{0, 1, ^uint64(0), 0x20001001}),
	unix.SYS_FUTEX_WAITV:        shape(to(words), one{1, 2}, one{0}, to(moment), one{1, 0}),
	unix.SYS_SETUID:             shape(identity),
	unix.SYS_SETGID:             shape(identity),
	unix.SYS_SETREUID:           shape(identity, identity),
	unix.SYS_SETREGID:           shape(identity, identity),
	unix.SYS_SETRESUID:          shape(identity, identity, identity),
	unix.SYS_SETRESGID:          shape(identity, identity, identity),
	unix.SYS_SETFSUID:           shape(identity),
	unix.SYS_SETFSGID:           shape(identity),
	unix.SYS_SETGROUPS:          shape(one{0, 1, 3}, to(identities)),
	unix.SYS_GETGROUPS:          shape(one{0, 1, 100}, to(anyBytes)),
	unix.SYS_CAPGET:             shape(to(capabilityHeader), to(anyBytes)),
	unix.SYS_CAPSET:             shape(to(capabilityHeader), to(capabilityData)),
	unix.SYS_PRCTL:              shape(one{1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 21, 35, 22, 59, 23, 24, 25, 26, 27, 28, 29, 30, 36, 37, 38, 39, 40, 41, 42, 47}, one{0, 1, 2, 10, 17, DataBase}, one{0, 1}, one{0}, one{0}),
	unix.SYS_ARCH_PRCTL:         shape(one{0x1002, 0x1003, 0x1001, 0x1004, 0x1011, 0x1012}, to(anyBytes)),
	unix.SYS_GETRLIMIT:          shape(limits, to(anyBytes)),
	unix.SYS_SETRLIMIT:          shape(limits, to(limit)),
	unix.SYS_PRLIMIT64:          shape(pid, limits, to(limit), to(anyBytes)),
	unix.SYS_GETRUSAGE:          shape(one{0, 1, ^uint64(0)}, to(anyBytes)),
	unix.SYS_SCHED_SETAFFINITY:  shape(pid, one{8, 1, 16}, to(cpuMask)),
	unix.SYS_SCHED_SETSCHEDULER: shape(pid, one{0, 1, 2, 3, 5, 6}, to(integer)),
	unix.SYS_SCHED_SETATTR:      shape(pid, to(schedAttr), one{0, 0, 0, 1}),
	unix.SYS_SCHED_GETATTR:      shape(pid, to(anyBytes), one{48, 56, 47, 4096}, one{0}),
	unix.SYS_SCHED_SETPARAM:     shape(pid, to(integer)),
	unix.SYS_SETPRIORITY:        shape(one{0, 1, 2}, pid, one{0, 1, 19, ^uint64(0), 100}),
	unix.SYS_MEMBARRIER:         shape(one{0, 1, 2, 4, 8, 16, 32, 64, 128}, one{0, 1}, one{0, 1}),
	unix.SYS_RSEQ:               shape(to(rseqArea), one{32}, one{0, 1}, one{0x53053053, 1}),
	unix.SYS_PTRACE:             shape(ptraceRequests, pid, ptraceAddress{}, ptraceData{}),
	unix.SYS_PROCESS_VM_READV:   shape(pid, to(vectors), one{1, 2, 3, 0, 1024, 1025}, to(vectors), one{1, 2, 3, 0, 1024, 1025}, one{0, 0, 0, 1}),
	unix.SYS_PROCESS_VM_WRITEV:  shape(pid, to(vectors), one{1, 2, 3, 0, 1024, 1025}, to(vectors), one{1, 2, 3, 0, 1024, 1025}, one{0, 0, 0, 1}),
	unix.SYS_KCMP:               shape(pid, pid, one{0, 1, 2, 3, 4, 5, 6, 7, 8}, fd, one{3, 4, 5, 6, DataBase, DataBase + 64}),
	unix.SYS_PIDFD_GETFD:        shape(fd, fd, one{0, 0, 0, 1}),
	unix.SYS_PIDFD_OPEN:         shape(pid, flags{unix.O_NONBLOCK}),
	unix.SYS_GETRANDOM:          shape(to(anyBytes), size, flags{1, 2}),
}

var (
	identity      = one{1000, 0, ^uint64(0), 1, 65534}
	fcntlCommands = one{unix.F_SETFL, unix.F_GETFL, unix.F_DUPFD, unix.F_DUPFD_CLOEXEC, unix.F_GETFD, unix.F_SETFD, unix.F_GETLK, unix.F_SETLK,
		unix.F_SETLKW, unix.F_ADD_SEALS, unix.F_ADD_SEALS, unix.F_GET_SEALS, unix.F_SETPIPE_SZ, unix.F_GETPIPE_SZ, unix.F_SETOWN, unix.F_GETOWN, 36, 37, 38}
	ioctlRequests = one{0x541b, 0x5421, unix.TCGETS, unix.TCSETS, unix.TCSETSW, unix.TIOCGWINSZ, unix.TIOCSWINSZ, unix.TIOCGPTN, unix.TIOCSPTLCK,
		unix.TIOCSCTTY, unix.TIOCNOTTY, unix.TIOCGPGRP, unix.TIOCSPGRP, unix.TIOCSTI, unix.TIOCPKT, unix.TCFLSH, unix.TIOCOUTQ, 0x5451, unix.TIOCGSID, unix.TIOCGPTPEER,
		unix.PERF_EVENT_IOC_ENABLE, unix.PERF_EVENT_IOC_DISABLE, unix.PERF_EVENT_IOC_RESET, unix.PERF_EVENT_IOC_REFRESH, unix.PERF_EVENT_IOC_PERIOD,
		unix.PERF_EVENT_IOC_SET_OUTPUT, unix.PERF_EVENT_IOC_SET_OUTPUT, unix.PERF_EVENT_IOC_SET_FILTER, unix.PERF_EVENT_IOC_ID, unix.PERF_EVENT_IOC_PAUSE_OUTPUT,
		0xc0502100, 0xc0502100, 0xc0182101, 0x40082102, 0x40182103}
)

// ptraceRequests are those of package ptrace. The ones that attach, stop and resume
// occur more often.
var ptraceRequests = one{
	unix.PTRACE_SEIZE, unix.PTRACE_INTERRUPT, unix.PTRACE_CONT, unix.PTRACE_ATTACH, unix.PTRACE_SYSCALL, unix.PTRACE_DETACH, unix.PTRACE_SYSCALL,
	unix.PTRACE_SEIZE, unix.PTRACE_INTERRUPT, unix.PTRACE_CONT, unix.PTRACE_ATTACH, unix.PTRACE_SETOPTIONS, unix.PTRACE_LISTEN, unix.PTRACE_TRACEME,
	unix.PTRACE_SYSEMU, unix.PTRACE_SINGLESTEP, unix.PTRACE_SYSEMU_SINGLESTEP, unix.PTRACE_SINGLEBLOCK, unix.PTRACE_KILL, unix.PTRACE_GETEVENTMSG,
	unix.PTRACE_GETSIGINFO, unix.PTRACE_SETSIGINFO, unix.PTRACE_PEEKSIGINFO, unix.PTRACE_GETSIGMASK, unix.PTRACE_SETSIGMASK, unix.PTRACE_GET_SYSCALL_INFO,
	unix.PTRACE_PEEKTEXT, unix.PTRACE_POKETEXT, unix.PTRACE_PEEKUSR, unix.PTRACE_POKEUSR, unix.PTRACE_GETREGS, unix.PTRACE_SETREGS,
	unix.PTRACE_GETFPREGS, unix.PTRACE_SETFPREGS, unix.PTRACE_GETREGSET, unix.PTRACE_SETREGSET, unix.PTRACE_GET_RSEQ_CONFIGURATION,
	unix.PTRACE_SECCOMP_GET_FILTER, unix.PTRACE_SECCOMP_GET_METADATA, 0x4210, 0x4211,
}

// groupFD is the fourth argument of perf_event_open(2): no group, or a descriptor.
type groupFD struct{}

func (groupFD) decode(d *decoder) (uint64, bool) {
	if d.byte() < 0x80 {
		return ^uint64(0), false
	}
	return fd.decode(d)
}

// ptraceAddress is the third argument of ptrace(2): often 0, which PTRACE_SEIZE needs,
// else a size, an offset in struct user, or an address.
type ptraceAddress struct{}

func (ptraceAddress) decode(d *decoder) (uint64, bool) {
	b := d.byte()
	if b < 0x80 {
		return 0, false
	}
	choices := []argument{to(anyBytes), one{8, 16, 88, 0, 120, 848, 904, 1, 2, 0x202}, size}
	return choices[int(b)%len(choices)].decode(d)
}

// ptraceData is the fourth argument of ptrace(2): options, a signal, or an address.
type ptraceData struct{}

func (ptraceData) decode(d *decoder) (uint64, bool) {
	choices := []argument{flags{1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x100000, 0x200000}, one{0}, signalNumber, to(anyBytes), one{0x7f}}
	return choices[int(d.byte())%len(choices)].decode(d)
}

// ioctlArgument is the third argument of ioctl(2).
type ioctlArgument struct{}

func (ioctlArgument) decode(d *decoder) (uint64, bool) {
	choices := []argument{to(terminal), to(notification)}
	return choices[int(d.byte())%len(choices)].decode(d)
}

// fcntlArgument is the third argument of fcntl(2): flags, seals, a size, or the
// address of a struct flock.
type fcntlArgument struct{}

func (fcntlArgument) decode(d *decoder) (uint64, bool) {
	choices := []argument{to(lock), flags{unix.O_NONBLOCK, unix.O_APPEND, unix.O_ASYNC, unix.O_DIRECT}, seals, extent, one{0, 1, 10, 20}}
	return choices[int(d.byte())%len(choices)].decode(d)
}

// caught is the number of signals at the start of signalNumber for which the prologue
// installs handlers.
const caught = 11

// prologue returns encoded calls that open files of many kinds, map memory, install
// signal handlers and start tasks. Half of the tasks are threads.
func prologue(r interface{ IntN(int) int }, tasks int) []byte {
	var b []byte
	word := func(v int) { b = append(b, byte(v), byte(v>>8)) }
	pick := func(n int) byte { return byte(r.IntN(n)) }
	for _, name := range []byte{0, 1} { // a, b
		word(unix.SYS_OPEN)
		b = append(b, name, 1, 0, 0)
	}
	word(unix.SYS_EPOLL_CREATE1)
	b = append(b, 0)
	word(unix.SYS_EVENTFD2)
	b = append(b, 0, 1, 0) // EFD_NONBLOCK
	word(unix.SYS_MEMFD_CREATE)
	b = append(b, 0, 0)
	word(unix.SYS_SOCKETPAIR)
	b = append(b, 0, pick(3), pick(2), 0, 0, pick(4)) // the flags of the type take one more byte if there is one
	word(unix.SYS_PIPE2)
	b = append(b, pick(4), 1, 0)
	for s := range caught {
		word(unix.SYS_RT_SIGACTION)
		b = append(b, byte(s), pick(7), 0xec, 0)
	}
	word(unix.SYS_FTRUNCATE)
	b = append(b, 4, 1) // the memfd, 8192 bytes
	for range 2 {
		word(unix.SYS_MMAP)
		b = append(b, pick(16), pick(6), 0, pick(7), 0, 4, 0) // descriptor 7, the memfd
	}
	for range tasks {
		word(unix.SYS_CLONE)
		b = append(b, pick(2)*pick(10), 0, pick(4), 0, 0, 0)
	}
	return b
}
