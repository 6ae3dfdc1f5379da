package decode

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/tracespec"
)

var (
	ptraceEvents = names("PTRACE_EVENT_???", "PTRACE_EVENT_FORK 1 PTRACE_EVENT_VFORK 2 PTRACE_EVENT_CLONE 3 PTRACE_EVENT_EXEC 4 PTRACE_EVENT_VFORK_DONE 5 PTRACE_EVENT_EXIT 6 PTRACE_EVENT_SECCOMP 7 PTRACE_EVENT_STOP 128")
	ptraceCalls  = names("PTRACE_???", `PTRACE_TRACEME 0 PTRACE_PEEKTEXT 1 PTRACE_PEEKDATA 2 PTRACE_PEEKUSER 3 PTRACE_POKETEXT 4 PTRACE_POKEDATA 5 PTRACE_POKEUSER 6 PTRACE_CONT 7
		PTRACE_KILL 8 PTRACE_SINGLESTEP 9 PTRACE_GETREGS 12 PTRACE_SETREGS 13 PTRACE_GETFPREGS 14 PTRACE_SETFPREGS 15 PTRACE_ATTACH 16 PTRACE_DETACH 17
		PTRACE_SYSCALL 24 PTRACE_SETOPTIONS 0x4200 PTRACE_GETEVENTMSG 0x4201 PTRACE_GETSIGINFO 0x4202 PTRACE_SETSIGINFO 0x4203 PTRACE_GETREGSET 0x4204
		PTRACE_SETREGSET 0x4205 PTRACE_SEIZE 0x4206 PTRACE_INTERRUPT 0x4207 PTRACE_LISTEN 0x4208 PTRACE_PEEKSIGINFO 0x4209 PTRACE_GETSIGMASK 0x420a PTRACE_SETSIGMASK 0x420b PTRACE_SECCOMP_GET_FILTER 0x420c PTRACE_SECCOMP_GET_METADATA 0x420d PTRACE_GET_SYSCALL_INFO 0x420e PTRACE_GET_RSEQ_CONFIGURATION 0x420f
		PTRACE_GETFPXREGS 0x12 PTRACE_SETFPXREGS 0x13 PTRACE_OLDSETOPTIONS 0x15 PTRACE_GET_THREAD_AREA 0x19 PTRACE_SET_THREAD_AREA 0x1a PTRACE_ARCH_PRCTL 0x1e PTRACE_SYSEMU 0x1f PTRACE_SYSEMU_SINGLESTEP 0x20 PTRACE_SINGLEBLOCK 0x21`)
	prctlCalls = names("PR_???", `PR_SET_PDEATHSIG 1 PR_GET_PDEATHSIG 2 PR_GET_DUMPABLE 3 PR_SET_DUMPABLE 4 PR_GET_UNALIGN 5 PR_SET_UNALIGN 6 PR_GET_KEEPCAPS 7 PR_SET_KEEPCAPS 8
		PR_GET_FPEMU 9 PR_SET_FPEMU 10 PR_GET_FPEXC 11 PR_SET_FPEXC 12 PR_GET_TIMING 13 PR_SET_TIMING 14 PR_SET_NAME 15 PR_GET_NAME 16 PR_GET_ENDIAN 19 PR_SET_ENDIAN 20
		PR_GET_SECCOMP 21 PR_SET_SECCOMP 22 PR_CAPBSET_READ 23 PR_CAPBSET_DROP 24 PR_GET_TSC 25 PR_SET_TSC 26 PR_GET_SECUREBITS 27 PR_SET_SECUREBITS 28
		PR_SET_TIMERSLACK 29 PR_GET_TIMERSLACK 30 PR_TASK_PERF_EVENTS_DISABLE 31 PR_TASK_PERF_EVENTS_ENABLE 32 PR_MCE_KILL 33 PR_MCE_KILL_GET 34 PR_SET_MM 35
		PR_SET_CHILD_SUBREAPER 36 PR_GET_CHILD_SUBREAPER 37 PR_SET_NO_NEW_PRIVS 38 PR_GET_NO_NEW_PRIVS 39 PR_GET_TID_ADDRESS 40 PR_SET_THP_DISABLE 41 PR_GET_THP_DISABLE 42
		PR_MPX_ENABLE_MANAGEMENT 43 PR_MPX_DISABLE_MANAGEMENT 44 PR_SET_FP_MODE 45 PR_GET_FP_MODE 46 PR_CAP_AMBIENT 47 PR_SVE_SET_VL 50 PR_SVE_GET_VL 51
		PR_GET_SPECULATION_CTRL 52 PR_SET_SPECULATION_CTRL 53 PR_PAC_RESET_KEYS 54 PR_SET_TAGGED_ADDR_CTRL 55 PR_GET_TAGGED_ADDR_CTRL 56 PR_SET_IO_FLUSHER 57
		PR_GET_IO_FLUSHER 58 PR_SET_SYSCALL_USER_DISPATCH 59 PR_SCHED_CORE 62 PR_SET_VMA 0x53564d41 PR_SET_PTRACER 0x59616d61`)
	dumpable     = sequence("SUID_DUMP_???", 0, "SUID_DUMP_DISABLE SUID_DUMP_USER SUID_DUMP_ROOT")
	tscModes     = sequence("PR_TSC_???", 1, "PR_TSC_ENABLE PR_TSC_SIGSEGV")
	ambients     = sequence("PR_CAP_AMBIENT_???", 1, "PR_CAP_AMBIENT_IS_SET PR_CAP_AMBIENT_RAISE PR_CAP_AMBIENT_LOWER PR_CAP_AMBIENT_CLEAR_ALL")
	secureBits   = names("SECBIT_???", "SECBIT_NOROOT 1 SECBIT_NOROOT_LOCKED 2 SECBIT_NO_SETUID_FIXUP 4 SECBIT_NO_SETUID_FIXUP_LOCKED 8 SECBIT_KEEP_CAPS 0x10 SECBIT_KEEP_CAPS_LOCKED 0x20 SECBIT_NO_CAP_AMBIENT_RAISE 0x40 SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED 0x80")
	modeNames    = sequence("SECCOMP_MODE_???", 0, "SECCOMP_MODE_DISABLED SECCOMP_MODE_STRICT SECCOMP_MODE_FILTER")
	capabilities = sequence("CAP_???", 0, `CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP CAP_LINUX_IMMUTABLE
		CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE
		CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL
		CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE`)
	capVersions  = names("_LINUX_CAPABILITY_VERSION_???", "_LINUX_CAPABILITY_VERSION_1 0x19980330 _LINUX_CAPABILITY_VERSION_2 0x20071026 _LINUX_CAPABILITY_VERSION_3 0x20080522")
	randomFlags  = names("GRND_???", "GRND_NONBLOCK 1 GRND_RANDOM 2 GRND_INSECURE 4")
	syslogCalls  = sequence("SYSLOG_ACTION_???", 0, "SYSLOG_ACTION_CLOSE SYSLOG_ACTION_OPEN SYSLOG_ACTION_READ SYSLOG_ACTION_READ_ALL SYSLOG_ACTION_READ_CLEAR SYSLOG_ACTION_CLEAR SYSLOG_ACTION_CONSOLE_OFF SYSLOG_ACTION_CONSOLE_ON SYSLOG_ACTION_CONSOLE_LEVEL SYSLOG_ACTION_SIZE_UNREAD SYSLOG_ACTION_SIZE_BUFFER")
	seccompCalls = sequence("SECCOMP_SET_MODE_???", 0, "SECCOMP_SET_MODE_STRICT SECCOMP_SET_MODE_FILTER SECCOMP_GET_ACTION_AVAIL SECCOMP_GET_NOTIF_SIZES")
	seccompFlags = names("SECCOMP_FILTER_FLAG_???", "SECCOMP_FILTER_FLAG_TSYNC 1 SECCOMP_FILTER_FLAG_LOG 2 SECCOMP_FILTER_FLAG_SPEC_ALLOW 4 SECCOMP_FILTER_FLAG_NEW_LISTENER 8 SECCOMP_FILTER_FLAG_TSYNC_ESRCH 0x10 SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV 0x20")
	personas     = names("PER_???", "PER_LINUX 0 PER_LINUX32 8")
	personaFlags = names("", "UNAME26 0x20000 ADDR_NO_RANDOMIZE 0x40000 FDPIC_FUNCPTRS 0x80000 MMAP_PAGE_ZERO 0x100000 ADDR_COMPAT_LAYOUT 0x200000 READ_IMPLIES_EXEC 0x400000 ADDR_LIMIT_32BIT 0x800000 SHORT_INODE 0x1000000 WHOLE_SECONDS 0x2000000 STICKY_TIMEOUTS 0x4000000 ADDR_LIMIT_3GB 0x8000000")
)

// notifySizes prints struct seccomp_notif_sizes.
var notifySizes = structure(field{name: "seccomp_notif", size: 2, print: udec}, field{name: "seccomp_notif_resp", offset: 2, size: 2, print: udec}, field{name: "seccomp_data", offset: 4, size: 2, print: udec})

var seccompActions = names("SECCOMP_RET_???", "SECCOMP_RET_KILL_PROCESS 0x80000000 SECCOMP_RET_KILL_THREAD 0 SECCOMP_RET_TRAP 0x30000 SECCOMP_RET_ERRNO 0x50000 SECCOMP_RET_USER_NOTIF 0x7fc00000 SECCOMP_RET_TRACE 0x7ff00000 SECCOMP_RET_LOG 0x7ffc0000 SECCOMP_RET_ALLOW 0x7fff0000")

// prSetVMA is the option PR_SET_VMA of prctl(2).
const prSetVMA = 0x53564d41

var vmaOptions = names("PR_SET_VMA_???", "PR_SET_VMA_ANON_NAME 0")

const (
	utsnameSize = 390
	sysinfoSize = 112
)

// utsname prints struct utsname.
func utsname(p *Printer, _ *Input, b []byte) {
	const length = 65
	fields := []string{"sysname", "nodename", "release", "version", "machine", "domainname"}
	if !p.Verbose {
		fields = fields[:2]
	}
	p.text("{")
	for i, name := range fields {
		if i > 0 {
			p.text(", ")
		}
		p.text(name + "=")
		p.quote(textField(b, i*length, length))
	}
	if !p.Verbose {
		p.text(", ...")
	}
	p.text("}")
}

// sysinfo prints struct sysinfo.
func sysinfo(p *Printer, _ *Input, b []byte) {
	p.format("{uptime=%d, loads=[%d, %d, %d], totalram=%d, freeram=%d, sharedram=%d, bufferram=%d, totalswap=%d, freeswap=%d, procs=%d, totalhigh=%d, freehigh=%d, mem_unit=%d}",
		word(b, 0, 8), word(b, 8, 8), word(b, 16, 8), word(b, 24, 8), word(b, 32, 8), word(b, 40, 8), word(b, 48, 8), word(b, 56, 8), word(b, 64, 8), word(b, 72, 8),
		word(b, 80, 2), word(b, 88, 8), word(b, 96, 8), word(b, 104, 4))
}

// prctlOn is an argument of prctl(2) for some options.
func prctlOn(a Arg, options ...uint64) Arg { return when(0, 0xffffffff, options, a) }

// Options of prctl(2) by their arguments.
var (
	prctlWithout = []uint64{7, 21, 30, 13, 3, 27, 31, 32}
	prctlUint    = []uint64{36, 20, 10, 12, 8, 14}
	prctlFive    = []uint64{38, 41, 57, 22}
	prctlGetUint = []uint64{37, 19, 9, 11}
	prctlKnown   = slices.Concat([]uint64{1, 2, 4, 15, 16, 23, 24, 25, 26, 28, 29, 34, 39, 40, 42, 47, 58, 0x59616d61, 0x53564d41},
		prctlWithout, prctlUint, prctlFive, prctlGetUint)
)

// rest prints the arguments of prctl(2) from the second as numbers.
func rest(from int, options ...uint64) (list []Arg) {
	for i := from; i < 5; i++ {
		list = append(list, prctlOn(at(i, hex), options...))
	}
	return list
}

// prctlResult prints the result of prctl(2).
func prctlResult(p *Printer, c *Call) {
	v := uint64(c.Result)
	switch option := uint32(c.Arguments[0]); {
	case option == 3:
		p.format("%d (%s)", v, dumpable.find(v))
	case option == 27 && v != 0:
		p.text(hexText(v) + " (" + p.flags(secureBits, v) + ")")
	default:
		p.format("%d", c.Result)
	}
}

// shortString prints a string of at most 15 characters, as PR_SET_NAME takes it.
func shortString(i int) Arg {
	op := tracespec.Op{Kind: tracespec.String, Address: argument(i), Max: 16}
	return Arg{ops: []tracespec.Op{op}, print: orAddress(i, func(p *Printer, _ *Input, b []byte) { p.cstring(b, min(15, p.Strings)) })}
}

// capHeader prints struct __user_cap_header_struct.
func capHeader(p *Printer, _ *Input, b []byte) {
	p.format("{version=%s, pid=%d}", p.value(capVersions, word(b, 0, 4)), int32(word(b, 4, 4)))
}

// capabilitySet returns a set of capabilities.
func capabilitySet(low, high uint64) string {
	set := low | high<<32
	if set == 0 {
		return "0"
	}
	var list []string
	for i := range 64 {
		if set>>i&1 == 0 {
			continue
		}
		if name := capabilities.find(uint64(i)); name != "" {
			list = append(list, "1<<"+name)
			set &^= 1 << i
		}
	}
	if set != 0 {
		list = append(list, hexText(set))
	}
	return strings.Join(list, "|")
}

// capData prints two struct __user_cap_data_struct.
func capData(p *Printer, _ *Input, b []byte) {
	p.format("{effective=%s, permitted=%s, inheritable=%s}", capabilitySet(word(b, 0, 4), word(b, 12, 4)),
		capabilitySet(word(b, 4, 4), word(b, 16, 4)), capabilitySet(word(b, 8, 4), word(b, 20, 4)))
}

// randomBytes prints the buffer of getrandom(2) in hexadecimal.
func randomBytes(i int) Arg {
	a := outBuffer(i)
	a.print = func(p *Printer, in *Input) {
		hex := &Printer{Options: Options{Strings: p.Strings, Hex: 2}}
		printBuffer(hex, in, in.Arguments[i], uint64(max(in.Result, 0)))
		p.text(hex.Take())
	}
	return a
}

// personality prints the argument of personality(2).
func personality(p *Printer, _ *Input, v uint64) {
	v = uint64(uint32(v))
	if v == 0xffffffff {
		p.text("0xffffffff")
		return
	}
	p.text(p.value(personas, v&0xff))
	if flags := v &^ 0xff; flags != 0 {
		p.text("|" + p.flags(personaFlags, flags))
	}
}

func personalityResult(p *Printer, c *Call) {
	p.text(hexText(uint64(c.Result)) + " (")
	personality(p, nil, uint64(c.Result))
	p.text(")")
}

// ptraceUnless is an argument of ptrace(2) that some requests do not have.
func ptraceUnless(a Arg, requests ...uint64) Arg { return unless(0, ^uint64(0), requests, a) }

// systemRows are the other calls.
var systemRows = []Row{
	call(unix.SYS_UNAME, "uname", "", structOut(0, utsnameSize, utsname)),
	call(unix.SYS_SYSINFO, "sysinfo", "", structOut(0, sysinfoSize, sysinfo)),
	call(unix.SYS_GETRANDOM, "getrandom", "", randomBytes(0), at(1, ulong), at(2, flagsOf(randomFlags))),
	call(unix.SYS_PRCTL, "prctl", "%creds", slices.Concat([]Arg{at(0, oneOf(prctlCalls)),
		prctlOn(at(1, signo), 1), prctlOn(structOut(1, 4, indirect(4, signo)), 2), prctlOn(at(1, longOneOf(dumpable)), 4), prctlOn(shortString(1), 15),
		prctlOn(onExit(shortString(1)), 16), prctlOn(at(1, longOneOf(capabilities)), 23, 24), prctlOn(structOut(1, 4, indirect(4, oneOf(tscModes))), 25),
		prctlOn(at(1, oneOf(tscModes)), 26), prctlOn(at(1, longFlagsOf(secureBits)), 28), prctlOn(at(1, long), 29), prctlOn(structOut(1, 8, indirect(8, pointer)), 40),
		prctlOn(at(1, ulong), prctlUint...), prctlOn(at(1, ulong), 38, 41, 57), prctlOn(at(1, longOneOf(modeNames)), 22),
		prctlOn(structOut(1, 4, indirect(4, udec)), prctlGetUint...), prctlOn(at(1, longOneOf(ambients)), 47),
		prctlOn(if_(func(c *Call) bool { return c.Arguments[1] >= 1 && c.Arguments[1] <= 3 }, at(2, longOneOf(capabilities))), 47),
		prctlOn(if_(func(c *Call) bool { return c.Arguments[1] < 1 || c.Arguments[1] > 3 }, at(2, hex)), 47),
		prctlOn(at(3, hex), 47), prctlOn(at(4, hex), 47), prctlOn(at(1, dec), 0x59616d61),
		prctlOn(at(1, longOneOf(vmaOptions)), prSetVMA), prctlOn(at(2, pointer), prSetVMA), prctlOn(at(3, ulong), prSetVMA), prctlOn(str(4), prSetVMA),
		prctlOn(at(1, hex), 34, 39, 42, 58),
	}, rest(2, 34, 38, 39, 41, 42, 57, 58), unlessAll(prctlKnown))...).gives(prctlResult),
	call(unix.SYS_CAPGET, "capget", "%creds", structIn(0, 8, capHeader), structOut(1, 24, capData)),
	call(unix.SYS_CAPSET, "capset", "%creds", structIn(0, 8, capHeader), structIn(1, 24, capData)),
	call(unix.SYS_PERSONALITY, "personality", "", at(0, personality)).gives(personalityResult),
	call(unix.SYS_PTRACE, "ptrace", "", at(0, longOneOf(ptraceCalls)), ptraceUnless(at(1, pid), 0), ptraceUnless(at(2, pointer), 0, 8, 16, 0x4207, 0x420e),
		when(0, ^uint64(0), []uint64{0x420e}, at(2, ulong)), ptraceUnless(at(3, pointer), 0, 8, 16, 0x4207, 0x4200),
		when(0, ^uint64(0), []uint64{0x4200}, at(3, longFlagsOf(ptraceSetoptionsFlags)))),
	call(unix.SYS_SECCOMP, "seccomp", "", at(0, oneOf(seccompCalls)), when(0, 0xffffffff, []uint64{1}, at(1, flagsOf(seccompFlags))), unless(0, 0xffffffff, []uint64{1}, at(1, hex32)), when(0, 0xffffffff, []uint64{1}, filterProgram(2, seccompValue)),
		when(0, 0xffffffff, []uint64{2}, structIn(2, 4, indirect(4, oneOf(seccompActions)))), when(0, 0xffffffff, []uint64{3}, structOut(2, 6, notifySizes)),
		unless(0, 0xffffffff, []uint64{1, 2, 3}, at(2, pointer))),
	call(unix.SYS_SETHOSTNAME, "sethostname", "", addressIf(0, longerThan(1, 64), inBuffer(0, 1)), at(1, dec)),
	call(unix.SYS_SETDOMAINNAME, "setdomainname", "", addressIf(0, longerThan(1, 64), inBuffer(0, 1)), at(1, dec)),
}

// unlessAll prints the arguments of an unknown option of prctl(2).
func unlessAll(known []uint64) (list []Arg) {
	for i := 1; i < 5; i++ {
		list = append(list, unless(0, 0xffffffff, known, at(i, hex)))
	}
	return list
}
