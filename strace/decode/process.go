package decode

import (
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/tracespec"
)

var (
	cloneFlags = names("CLONE_???", `CLONE_VM 0x100 CLONE_FS 0x200 CLONE_FILES 0x400 CLONE_SIGHAND 0x800 CLONE_PIDFD 0x1000 CLONE_PTRACE 0x2000 CLONE_VFORK 0x4000
		CLONE_PARENT 0x8000 CLONE_THREAD 0x10000 CLONE_NEWNS 0x20000 CLONE_SYSVSEM 0x40000 CLONE_SETTLS 0x80000 CLONE_PARENT_SETTID 0x100000
		CLONE_CHILD_CLEARTID 0x200000 CLONE_UNTRACED 0x800000 CLONE_CHILD_SETTID 0x1000000 CLONE_NEWCGROUP 0x2000000 CLONE_NEWUTS 0x4000000
		CLONE_NEWIPC 0x8000000 CLONE_NEWUSER 0x10000000 CLONE_NEWPID 0x20000000 CLONE_NEWNET 0x40000000 CLONE_IO 0x80000000
		CLONE_NEWTIME 0x80 CLONE_CLEAR_SIGHAND 0x100000000 CLONE_INTO_CGROUP 0x200000000`)
	waitOptions = names("W???", "WNOHANG 1 WEXITED 4 WSTOPPED 2 WCONTINUED 8 WNOWAIT 0x1000000 __WCLONE 0x80000000 __WALL 0x40000000 __WNOTHREAD 0x20000000")
	waitTypes   = sequence("P_???", 0, "P_ALL P_PID P_PGID P_PIDFD")
	futexCalls  = sequence("FUTEX_???", 0, `FUTEX_WAIT FUTEX_WAKE FUTEX_FD FUTEX_REQUEUE FUTEX_CMP_REQUEUE FUTEX_WAKE_OP FUTEX_LOCK_PI FUTEX_UNLOCK_PI FUTEX_TRYLOCK_PI
		FUTEX_WAIT_BITSET FUTEX_WAKE_BITSET FUTEX_WAIT_REQUEUE_PI FUTEX_CMP_REQUEUE_PI FUTEX_LOCK_PI2`)
	wakeOps     = sequence("", 0, "FUTEX_OP_SET FUTEX_OP_ADD FUTEX_OP_OR FUTEX_OP_ANDN FUTEX_OP_XOR")
	wakeCmps    = sequence("", 0, "FUTEX_OP_CMP_EQ FUTEX_OP_CMP_NE FUTEX_OP_CMP_LT FUTEX_OP_CMP_LE FUTEX_OP_CMP_GT FUTEX_OP_CMP_GE")
	futexBitset = names("", "FUTEX_BITSET_MATCH_ANY 0xffffffff")
	policies    = sequence("SCHED_???", 0, "SCHED_OTHER SCHED_FIFO SCHED_RR SCHED_BATCH SCHED_ISO SCHED_IDLE SCHED_DEADLINE")
	schedFlags  = names("SCHED_FLAG_???", "SCHED_FLAG_RESET_ON_FORK 1 SCHED_FLAG_RECLAIM 2 SCHED_FLAG_DL_OVERRUN 4 SCHED_FLAG_KEEP_POLICY 8 SCHED_FLAG_KEEP_PARAMS 0x10 SCHED_FLAG_UTIL_CLAMP_MIN 0x20 SCHED_FLAG_UTIL_CLAMP_MAX 0x40")
	priorities  = sequence("PRIO_???", 0, "PRIO_PROCESS PRIO_PGRP PRIO_USER")
	rusageWho   = names("RUSAGE_???", "RUSAGE_SELF 0 RUSAGE_CHILDREN 0xffffffff RUSAGE_BOTH 0xfffffffe RUSAGE_THREAD 1")
	resources   = sequence("RLIMIT_???", 0, `RLIMIT_CPU RLIMIT_FSIZE RLIMIT_DATA RLIMIT_STACK RLIMIT_CORE RLIMIT_RSS RLIMIT_NPROC RLIMIT_NOFILE RLIMIT_MEMLOCK RLIMIT_AS
		RLIMIT_LOCKS RLIMIT_SIGPENDING RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_RTPRIO RLIMIT_RTTIME`)
	archCommands = names("ARCH_???", `ARCH_SET_GS 0x1001 ARCH_SET_FS 0x1002 ARCH_GET_FS 0x1003 ARCH_GET_GS 0x1004 ARCH_GET_CPUID 0x1011 ARCH_SET_CPUID 0x1012
		ARCH_GET_XCOMP_SUPP 0x1021 ARCH_GET_XCOMP_PERM 0x1022 ARCH_REQ_XCOMP_PERM 0x1023 ARCH_GET_XCOMP_GUEST_PERM 0x1024 ARCH_REQ_XCOMP_GUEST_PERM 0x1025
		ARCH_MAP_VDSO_X32 0x2001 ARCH_MAP_VDSO_32 0x2002 ARCH_MAP_VDSO_64 0x2003`)
	kcmpTypes = sequence("KCMP_???", 0, "KCMP_FILE KCMP_VM KCMP_FILES KCMP_FS KCMP_SIGHAND KCMP_IO KCMP_SYSVSEM KCMP_EPOLL_TFD")
)

// statusText returns a wait status in brackets.
func (p *Printer) statusText(status uint64) string {
	signal := int(status & 0x7f)
	switch {
	case status&0xff == 0x7f:
		text := "[{WIFSTOPPED(s) && WSTOPSIG(s) == " + p.signal(int(status>>8&0x7f))
		if status&0x8000 != 0 {
			text += " | 0x80"
		}
		text += "}"
		if event := status >> 16; event != 0 {
			text += "|" + p.value(ptraceEvents, event) + "<<16"
		}
		return text + "]"
	case status == 0xffff:
		return "[{WIFCONTINUED(s)}]"
	case signal != 0:
		text := "[{WIFSIGNALED(s) && WTERMSIG(s) == " + SignalName(signal)
		if status&0x80 != 0 {
			text += " && WCOREDUMP(s)"
		}
		return text + "}]"
	}
	return "[{WIFEXITED(s) && WEXITSTATUS(s) == " + decimal(status>>8&0xff) + "}]"
}

func waitStatus(p *Printer, _ *Input, b []byte) { p.text(p.statusText(word(b, 0, 4))) }

// ifWaited prints an argument of wait4(2) as an address, unless a child was found.
func ifWaited(i int, a Arg) Arg {
	return addressIf(i, func(in *Input) bool { return in.Result <= 0 }, a)
}

// rusage prints struct rusage.
func rusage(p *Printer, in *Input, b []byte) {
	p.text("{ru_utime=")
	timeval(p, in, b)
	p.text(", ru_stime=")
	timeval(p, in, b[16:])
	if !p.Verbose {
		p.text(", ...}")
		return
	}
	for i, name := range []string{"maxrss", "ixrss", "idrss", "isrss", "minflt", "majflt", "nswap", "inblock", "oublock", "msgsnd", "msgrcv", "nsignals", "nvcsw", "nivcsw"} {
		p.format(", ru_%s=%d", name, word(b, 32+8*i, 8))
	}
	p.text("}")
}

const rusageSize = 144

// cloneFlagsOf prints the flags of clone(2) and the signal in them.
func cloneFlagsOf(p *Printer, _ *Input, v uint64) {
	flags, signal := v&^0xff, v&0xff
	switch {
	case flags == 0:
		p.text(p.signal(int(signal)))
	case signal == 0:
		p.text(p.flags(cloneFlags, flags))
	default:
		p.text(p.flags(cloneFlags, flags) + "|" + p.signal(int(signal)))
	}
}

// has returns a condition: argument i has one of some flags.
func has(i int, flags uint64) func(c *Call) bool {
	return func(c *Call) bool { return c.Arguments[i]&flags != 0 }
}

// exitSignal returns the signal of clone3(2), which has 64 bits.
func (p *Printer) exitSignal(v uint64) string {
	if v > 64 {
		return decimal(v)
	}
	return p.signal(int(v))
}

// cloneArgs prints struct clone_args at the entry.
func cloneArgs() Arg {
	ops := []tracespec.Op{
		{Kind: tracespec.Bytes, Address: argument(0), Count: argument(1), Unit: 1, Max: 88},
		{Kind: tracespec.Bytes, Address: captured(0, 64, 8), Count: captured(0, 72, 8), Unit: 4, Max: 128},
	}
	const known = 88
	rest := tail(0, 1, known)
	ops = append(ops, rest.ops...)
	return Arg{ops: ops, print: func(p *Printer, in *Input) {
		b := in.capture(0)
		if len(b) < 64 {
			p.address(in.Arguments[0])
			return
		}
		flags := word(b, 0, 8)
		p.text("{flags=" + p.flags(cloneFlags, flags))
		for _, f := range []struct {
			name   string
			flags  uint64
			offset int
		}{{"pidfd", 0x1000, 8}, {"child_tid", 0x1200000, 16}, {"parent_tid", 0x100000, 24}} {
			if flags&f.flags != 0 {
				p.text(", " + f.name + "=")
				p.address(word(b, f.offset, 8))
			}
		}
		p.text(", exit_signal=" + p.exitSignal(word(b, 32, 8)) + ", stack=")
		p.address(word(b, 40, 8))
		p.text(", stack_size=" + hexText(word(b, 48, 8)))
		if flags&0x80000 != 0 {
			p.text(", tls=")
			p.address(word(b, 56, 8))
		}
		if n := word(b, 72, 8); n != 0 || word(b, 64, 8) != 0 {
			p.text(", set_tid=")
			p.elements(in, word(b, 64, 8), in.capture(1), n, 4, number(4, dec))
			p.format(", set_tid_size=%d", n)
		}
		if len(b) >= known && (flags&0x200000000 != 0 || word(b, 80, 8) != 0) {
			p.format(", cgroup=%d", word(b, 80, 8))
		}
		rest.print(p, in, nil, 2)
		p.text("}")
	}}
}

// cloneResults prints what clone3(2) has stored.
func cloneResults() Arg {
	ops := []tracespec.Op{
		{Kind: tracespec.Bytes, Address: argument(0), Count: argument(1), Unit: 1, Max: 88},
		fixed(captured(0, 8, 8), 4), fixed(captured(0, 24, 8), 4),
	}
	a := onExit(Arg{ops: ops, print: func(p *Printer, in *Input) {
		flags := word(in.capture(0), 0, 8)
		separator, end := " => {", ""
		for i, f := range []struct {
			name string
			flag uint64
		}{{"pidfd", 0x1000}, {"parent_tid", 0x100000}} {
			if b := in.capture(i + 1); flags&f.flag != 0 && b != nil {
				p.format("%s%s=[%d]", separator, f.name, int32(word(b, 0, 4)))
				separator, end = ", ", "}"
			}
		}
		p.text(end)
	}})
	a.joined = true
	return a
}

// futexCommand prints the operation of futex(2).
func futexCommand(p *Printer, _ *Input, v uint64) {
	const private, realtime, fd = 128, 256, 2
	v = uint64(uint32(v))
	text := futexCalls.find(v &^ (private | realtime))
	waits := text == "FUTEX_WAIT" || text == "FUTEX_WAIT_BITSET" || text == "FUTEX_WAIT_REQUEUE_PI"
	if text == "" || v&realtime != 0 && !waits {
		p.text(p.value(futexCalls, v))
		return
	}
	switch {
	case v&private == 0:
	case v&^private == fd:
		text += "|FUTEX_PRIVATE_FLAG"
	default:
		text += "_PRIVATE"
	}
	if v&realtime != 0 {
		text += "|FUTEX_CLOCK_REALTIME"
	}
	p.text(text)
}

// wakeOp prints the last argument of FUTEX_WAKE_OP.
func wakeOp(p *Printer, _ *Input, v uint64) {
	v = uint64(uint32(v))
	if v>>28&8 != 0 {
		p.text("FUTEX_OP_OPARG_SHIFT<<28|")
	}
	part := func(t *nameTable, value uint64, shift int, unknown string) {
		name := t.find(value)
		if name == "" {
			p.format("%s<<%d /* %s */", hexText(value), shift, unknown)
			return
		}
		p.format("%s<<%d", name, shift)
	}
	part(wakeOps, v>>28&7, 28, "FUTEX_OP_???")
	p.text("|" + hexText(v>>12&0xfff) + "<<12|")
	part(wakeCmps, v>>24&0xf, 24, "FUTEX_OP_CMP_???")
	p.text("|" + hexText(v&0xfff))
}

// futexOn is an argument of futex(2) for some commands.
func futexOn(a Arg, commands ...uint64) Arg { return when(1, 127, commands, a) }

// futexKnown are the commands whose arguments are decoded.
var futexKnown = []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}

// limit prints a resource limit.
func limit(p *Printer, _ *Input, v uint64) {
	switch {
	case v == ^uint64(0):
		p.text(p.styled(decimal(v), "RLIM64_INFINITY"))
	case v > 1024 && v%1024 == 0:
		p.text(p.styled(decimal(v), decimal(v/1024)+"*1024"))
	default:
		p.format("%d", v)
	}
}

var rlimit = structure(field{name: "rlim_cur", size: 8, print: limit}, field{name: "rlim_max", offset: 8, size: 8, print: limit})

// cpuSet prints a set of CPUs.
func cpuSet(i int, count tracespec.Value) Arg {
	op := tracespec.Op{Kind: tracespec.Bytes, Address: argument(i), Count: count, Unit: 1, Max: 1024}
	return Arg{ops: []tracespec.Op{op}, print: orAddress(i, func(p *Printer, _ *Input, b []byte) {
		p.set(members(b, uint64(len(b))*8))
	})}
}

// schedAttr prints struct sched_attr.
func schedAttr(p *Printer, _ *Input, b []byte) {
	p.format("{size=%d, sched_policy=%s, sched_flags=%s, sched_nice=%d, sched_priority=%d, sched_runtime=%d, sched_deadline=%d, sched_period=%d",
		word(b, 0, 4), p.value(policies, word(b, 4, 4)), p.flags(schedFlags, word(b, 8, 8)), int32(word(b, 16, 4)), word(b, 20, 4),
		word(b, 24, 8), word(b, 32, 8), word(b, 40, 8))
	if len(b) >= 56 {
		p.format(", sched_util_min=%d, sched_util_max=%d", word(b, 48, 4), word(b, 52, 4))
	}
	p.text("}")
}

// policyResult prints the result of sched_getscheduler(2).
func policyResult(p *Printer, c *Call) {
	p.format("%d (%s)", c.Result, policies.find(uint64(c.Result)))
}

// archNumbers are the commands of arch_prctl(2) whose argument is a number.
var archNumbers = []uint64{0x1012, 0x1022, 0x1023, 0x1025}

// processRows are the calls on processes.
var processRows = []Row{
	call(unix.SYS_CLONE, "clone", "process", named("child_stack", at(1, pointer)), named("flags", at(0, cloneFlagsOf)),
		if_(has(0, 0x100000), named("parent_tid", structOut(2, 4, indirect(4, dec)))),
		if_(func(c *Call) bool { return c.Arguments[0]&0x101000 == 0x1000 }, named("parent_tid", structOut(2, 4, indirect(4, dec)))),
		if_(has(0, 0x80000), named("tls", onExitAlways(at(4, pointer)))),
		if_(has(0, 0x1200000), named("child_tidptr", onExitAlways(at(3, pointer))))).late(),
	call(unix.SYS_CLONE3, "clone3", "process", cloneArgs(), cloneResults(), at(1, ulong)),
	call(unix.SYS_FORK, "fork", "process"),
	call(unix.SYS_VFORK, "vfork", "process"),
	call(unix.SYS_EXECVE, "execve", "file process", path(0), stringsOf(1), environment(2)),
	call(unix.SYS_EXECVEAT, "execveat", "desc file process", dirfd(0), path(1), stringsOf(2), environment(3), at(4, flagsOf(atFlags))),
	call(unix.SYS_EXIT, "exit", "process", at(0, dec)).never(),
	call(unix.SYS_EXIT_GROUP, "exit_group", "process", at(0, dec)).never(),
	call(unix.SYS_WAIT4, "wait4", "process", at(0, pid), ifWaited(1, structOut(1, 4, waitStatus)), at(2, flagsOf(waitOptions)), ifWaited(3, structOut(3, rusageSize, rusage))),
	call(unix.SYS_WAITID, "waitid", "process", at(0, oneOf(waitTypes)), at(1, dec), structOut(2, siginfoSize, siginfo), at(3, flagsOf(waitOptions)), structOut(4, rusageSize, rusage)),
	call(unix.SYS_FUTEX, "futex", "", at(0, pointer), at(1, futexCommand),
		futexOn(at(2, udec), 0, 1, 2, 3, 4, 5, 9, 10, 11, 12),
		futexOn(structIn(3, timespecSize, timespec), 0, 6, 9, 11, 13),
		futexOn(at(3, udec), 3, 4, 5, 12),
		futexOn(at(4, pointer), 3, 4, 5, 11, 12),
		futexOn(at(5, oneOf(futexBitset)), 9, 10),
		futexOn(at(5, udec), 4, 12),
		futexOn(at(5, wakeOp), 5),
		unless(1, 127, futexKnown, at(2, udec)), unless(1, 127, futexKnown, at(3, pointer)),
		unless(1, 127, futexKnown, at(4, pointer)), unless(1, 127, futexKnown, at(5, hex32))),
	call(unix.SYS_SET_TID_ADDRESS, "set_tid_address", "", at(0, pointer)),
	call(unix.SYS_SET_ROBUST_LIST, "set_robust_list", "", at(0, pointer), at(1, ulong)),
	call(unix.SYS_GET_ROBUST_LIST, "get_robust_list", "", at(0, pid), structOut(1, 8, indirect(8, pointer)), structOut(2, 8, indirect(8, ulong))),
	call(unix.SYS_RSEQ, "rseq", "", at(0, pointer), at(1, hex32), at(2, hex32), at(3, hex32)),
	call(unix.SYS_ARCH_PRCTL, "arch_prctl", "", at(0, oneOf(archCommands)),
		when(0, 0xffffffff, []uint64{0x1001, 0x1002}, at(1, pointer)),
		when(0, 0xffffffff, []uint64{0x1003, 0x1004}, structOut(1, 8, indirect(8, hex))),
		when(0, 0xffffffff, archNumbers, at(1, udec)),
		unless(0, 0xffffffff, slices.Concat([]uint64{0x1001, 0x1002, 0x1003, 0x1004, 0x1011}, archNumbers), at(1, pointer))).late(),
	call(unix.SYS_GETPID, "getpid", "%pure"),
	call(unix.SYS_GETPPID, "getppid", "%pure"),
	call(unix.SYS_GETTID, "gettid", "%pure"),
	call(unix.SYS_GETPGRP, "getpgrp", "%pure"),
	call(unix.SYS_GETPGID, "getpgid", "", at(0, pid)),
	call(unix.SYS_SETPGID, "setpgid", "", at(0, pid), at(1, pid)),
	call(unix.SYS_GETSID, "getsid", "", at(0, pid)),
	call(unix.SYS_SETSID, "setsid", ""),
	call(unix.SYS_GETUID, "getuid", "%creds %pure"),
	call(unix.SYS_GETGID, "getgid", "%creds %pure"),
	call(unix.SYS_GETEUID, "geteuid", "%creds %pure"),
	call(unix.SYS_GETEGID, "getegid", "%creds %pure"),
	call(unix.SYS_SETUID, "setuid", "%creds", at(0, id)),
	call(unix.SYS_SETGID, "setgid", "%creds", at(0, id)),
	call(unix.SYS_SETREUID, "setreuid", "%creds", at(0, id), at(1, id)),
	call(unix.SYS_SETREGID, "setregid", "%creds", at(0, id), at(1, id)),
	call(unix.SYS_SETRESUID, "setresuid", "%creds", at(0, id), at(1, id), at(2, id)),
	call(unix.SYS_SETRESGID, "setresgid", "%creds", at(0, id), at(1, id), at(2, id)),
	call(unix.SYS_GETRESUID, "getresuid", "%creds", structOut(0, 4, indirect(4, id)), structOut(1, 4, indirect(4, id)), structOut(2, 4, indirect(4, id))),
	call(unix.SYS_GETRESGID, "getresgid", "%creds", structOut(0, 4, indirect(4, id)), structOut(1, 4, indirect(4, id)), structOut(2, 4, indirect(4, id))),
	call(unix.SYS_SETFSUID, "setfsuid", "%creds", at(0, id)),
	call(unix.SYS_SETFSGID, "setfsgid", "%creds", at(0, id)),
	call(unix.SYS_GETGROUPS, "getgroups", "%creds", at(0, dec), arrayOut(1, result(), 4, number(4, id))),
	call(unix.SYS_SETGROUPS, "setgroups", "%creds", at(0, dec), addressIf(1, func(in *Input) bool { return uint32(in.Arguments[0]) > 65536 }, arrayIn(1, argument(0), 4, number(4, id)))),
	call(unix.SYS_GETRLIMIT, "getrlimit", "", at(0, oneOf(resources)), structOut(1, 16, rlimit)),
	call(unix.SYS_SETRLIMIT, "setrlimit", "", at(0, oneOf(resources)), structIn(1, 16, rlimit)),
	call(unix.SYS_PRLIMIT64, "prlimit64", "", at(0, pid), at(1, oneOf(resources)), structIn(2, 16, rlimit), structOut(3, 16, rlimit)),
	call(unix.SYS_GETRUSAGE, "getrusage", "", at(0, oneOf(rusageWho)), structOut(1, rusageSize, rusage)),
	call(unix.SYS_GETPRIORITY, "getpriority", "", at(0, oneOf(priorities)), at(1, dec)),
	call(unix.SYS_SETPRIORITY, "setpriority", "", at(0, oneOf(priorities)), at(1, dec), at(2, dec)),
	call(unix.SYS_SCHED_YIELD, "sched_yield", ""),
	call(unix.SYS_SCHED_GETSCHEDULER, "sched_getscheduler", "", at(0, pid)).gives(policyResult),
	call(unix.SYS_SCHED_SETSCHEDULER, "sched_setscheduler", "", at(0, pid), at(1, oneOf(policies)), structIn(2, 4, indirect(4, dec))),
	call(unix.SYS_SCHED_GETPARAM, "sched_getparam", "", at(0, pid), structOut(1, 4, indirect(4, dec))),
	call(unix.SYS_SCHED_SETPARAM, "sched_setparam", "", at(0, pid), structIn(1, 4, indirect(4, dec))),
	call(unix.SYS_SCHED_GET_PRIORITY_MAX, "sched_get_priority_max", "", at(0, oneOf(policies))),
	call(unix.SYS_SCHED_GET_PRIORITY_MIN, "sched_get_priority_min", "", at(0, oneOf(policies))),
	call(unix.SYS_SCHED_RR_GET_INTERVAL, "sched_rr_get_interval", "", at(0, pid), structOut(1, timespecSize, timespec)),
	call(unix.SYS_SCHED_SETAFFINITY, "sched_setaffinity", "", at(0, pid), at(1, ulong), cpuSet(2, argument(1))),
	call(unix.SYS_SCHED_GETAFFINITY, "sched_getaffinity", "", at(0, pid), at(1, ulong), onExit(cpuSet(2, result()))),
	call(unix.SYS_SCHED_SETATTR, "sched_setattr", "", at(0, pid), structIn(1, 48, schedAttr), at(2, hex32)),
	call(unix.SYS_SCHED_GETATTR, "sched_getattr", "", at(0, pid), structOut(1, 48, schedAttr), at(2, udec), at(3, hex32)),
	call(unix.SYS_GETCPU, "getcpu", "", structOut(0, 4, indirect(4, udec)), structOut(1, 4, indirect(4, udec)), onExit(at(2, pointer))),
	call(unix.SYS_KCMP, "kcmp", "", at(0, pid), at(1, pid), at(2, oneOf(kcmpTypes)), when(2, 0xffffffff, []uint64{0}, at(3, dec)), when(2, 0xffffffff, []uint64{0}, at(4, dec)),
		when(2, 0xffffffff, []uint64{7}, at(3, dec)), when(2, 0xffffffff, []uint64{7}, structIn(4, 12, epollSlot)),
		unless(2, 0xffffffff, []uint64{0, 1, 2, 3, 4, 5, 6, 7}, at(3, hex)), unless(2, 0xffffffff, []uint64{0, 1, 2, 3, 4, 5, 6, 7}, at(4, hex))),
	call(unix.SYS_PIDFD_OPEN, "pidfd_open", "desc process", at(0, pid), at(1, flagsOf(pidfdFlags))).givesFD(),
	call(unix.SYS_PIDFD_GETFD, "pidfd_getfd", "desc", fd(0), at(1, dec), at(2, hex32)).givesFD(),
	call(unix.SYS_UNSHARE, "unshare", "", at(0, longFlagsOf(unshareFlags))),
	call(unix.SYS_SETNS, "setns", "desc", fd(0), at(1, flagsOf(namespaces))),
}

var (
	namespaces   = names("CLONE_NEW???", "CLONE_NEWTIME 0x80 CLONE_NEWNS 0x20000 CLONE_NEWCGROUP 0x2000000 CLONE_NEWUTS 0x4000000 CLONE_NEWIPC 0x8000000 CLONE_NEWUSER 0x10000000 CLONE_NEWPID 0x20000000 CLONE_NEWNET 0x40000000")
	unshareFlags = names("CLONE_???", "CLONE_NEWTIME 0x80 CLONE_VM 0x100 CLONE_FS 0x200 CLONE_FILES 0x400 CLONE_SIGHAND 0x800 CLONE_THREAD 0x10000 CLONE_NEWNS 0x20000 CLONE_SYSVSEM 0x40000 CLONE_NEWCGROUP 0x2000000 CLONE_NEWUTS 0x4000000 CLONE_NEWIPC 0x8000000 CLONE_NEWUSER 0x10000000 CLONE_NEWPID 0x20000000 CLONE_NEWNET 0x40000000")
)

// epollSlot prints struct kcmp_epoll_slot.
var epollSlot = structure(field{name: "efd", size: 4, print: dec}, field{name: "tfd", offset: 4, size: 4, print: dec}, field{name: "toff", offset: 8, size: 4, print: udec})

var pidfdFlags = names("PIDFD_???", "PIDFD_NONBLOCK 0x800")
