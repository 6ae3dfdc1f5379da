package decode

import (
	"strconv"

	"golang.org/x/sys/unix"

	"slowpath/tracespec"
)

func decimal(v uint64) string { return strconv.FormatUint(v, 10) }

var (
	actionFlags = names("SA_???", "SA_RESTORER 0x4000000 SA_ONSTACK 0x8000000 SA_RESTART 0x10000000 SA_INTERRUPT 0x20000000 SA_NODEFER 0x40000000 SA_RESETHAND 0x80000000 SA_SIGINFO 4 SA_NOCLDSTOP 1 SA_NOCLDWAIT 2")
	maskCalls   = sequence("SIG_???", 0, "SIG_BLOCK SIG_UNBLOCK SIG_SETMASK")
	stackFlags  = names("SS_???", "SS_ONSTACK 1 SS_DISABLE 2 SS_AUTODISARM 0x80000000")
	signalFlags = names("SFD_???", "SFD_CLOEXEC 0x80000 SFD_NONBLOCK 0x800")
	causes      = names("SI_???", "SI_USER 0 SI_KERNEL 0x80 SI_QUEUE 0xffffffff SI_TIMER 0xfffffffe SI_MESGQ 0xfffffffd SI_ASYNCIO 0xfffffffc SI_SIGIO 0xfffffffb SI_TKILL 0xfffffffa SI_DETHREAD 0xfffffff9 SI_ASYNCNL 0xffffffc4")
	// causesOf are the values of si_code that depend on the signal.
	causesOf = map[unix.Signal]*nameTable{
		unix.SIGCHLD: sequence("", 1, "CLD_EXITED CLD_KILLED CLD_DUMPED CLD_TRAPPED CLD_STOPPED CLD_CONTINUED"),
		unix.SIGTRAP: sequence("", 1, "TRAP_BRKPT TRAP_TRACE TRAP_BRANCH TRAP_HWBKPT TRAP_UNK TRAP_PERF"),
		unix.SIGILL:  sequence("", 1, "ILL_ILLOPC ILL_ILLOPN ILL_ILLADR ILL_ILLTRP ILL_PRVOPC ILL_PRVREG ILL_COPROC ILL_BADSTK ILL_BADIADDR"),
		unix.SIGFPE:  sequence("", 1, "FPE_INTDIV FPE_INTOVF FPE_FLTDIV FPE_FLTOVF FPE_FLTUND FPE_FLTRES FPE_FLTINV FPE_FLTSUB"),
		unix.SIGSEGV: sequence("", 1, "SEGV_MAPERR SEGV_ACCERR SEGV_BNDERR SEGV_PKUERR"),
		unix.SIGBUS:  sequence("", 1, "BUS_ADRALN BUS_ADRERR BUS_OBJERR BUS_MCEERR_AR BUS_MCEERR_AO"),
		unix.SIGIO:   sequence("", 1, "POLL_IN POLL_OUT POLL_MSG POLL_ERR POLL_PRI POLL_HUP"),
		unix.SIGSYS:  sequence("", 1, "SYS_SECCOMP SYS_USER_DISPATCH"),
	}
	architectures = names("AUDIT_ARCH_???", "AUDIT_ARCH_X86_64 0xc000003e AUDIT_ARCH_I386 0x40000003")
)

const siginfoSize = 128

// Siginfo returns a siginfo_t as text.
func (t *Table) Siginfo(b []byte) string {
	p := t.Printer()
	siginfo(p, nil, b)
	return p.Take()
}

// siginfo prints siginfo_t.
func siginfo(p *Printer, _ *Input, b []byte) {
	p.text("{")
	defer p.text("}")
	signal, errno, code := int(int32(word(b, 0, 4))), word(b, 4, 4), word(b, 8, 4)
	if signal == 0 {
		return
	}
	p.text("si_signo=" + SignalName(signal) + ", si_code=")
	name := causes.find(code)
	if t := causesOf[unix.Signal(signal)]; name == "" && t != nil {
		name = t.find(code)
	}
	if name == "" {
		name = hexText(code)
	}
	p.text(name)
	if errno != 0 {
		p.text(", si_errno=")
		keyError(p, nil, errno)
	}
	if int32(code) <= 0 {
		signalFromUser(p, b, int32(code))
		return
	}
	signalFromKernel(p, b, unix.Signal(signal), int(code))
}

func signalSource(p *Printer, b []byte) {
	p.text(", si_pid=")
	p.pid(word(b, 16, 4))
	p.text(", si_uid=")
	id(p, nil, word(b, 20, 4))
}

func signalValue(p *Printer, b []byte) {
	p.format(", si_int=%d, si_ptr=", int32(word(b, 24, 4)))
	p.address(word(b, 24, 8))
}

func signalFromUser(p *Printer, b []byte, code int32) {
	const timer, sigio, user, tkill = -2, -5, 0, -6
	switch code {
	case user, tkill:
		signalSource(p, b)
	case timer:
		p.format(", si_timerid=%s, si_overrun=%d", hexText(word(b, 16, 4)), int32(word(b, 20, 4)))
		signalValue(p, b)
	case sigio:
		p.format(", si_band=%d, si_fd=%d", int64(word(b, 16, 8)), int32(word(b, 24, 4)))
	default:
		signalSource(p, b)
		if word(b, 24, 8) != 0 {
			signalValue(p, b)
		}
	}
}

func signalFromKernel(p *Printer, b []byte, signal unix.Signal, code int) {
	switch signal {
	case unix.SIGCHLD:
		signalSource(p, b)
		if code == 1 {
			p.format(", si_status=%d", int32(word(b, 24, 4)))
		} else {
			p.text(", si_status=" + p.signal(int(word(b, 24, 4))))
		}
		p.format(", si_utime=%s, si_stime=%s", p.ticks(word(b, 32, 8)), p.ticks(word(b, 40, 8)))
	case unix.SIGILL, unix.SIGFPE, unix.SIGSEGV, unix.SIGBUS, unix.SIGTRAP:
		p.text(", si_addr=")
		p.address(word(b, 16, 8))
		if signal == unix.SIGBUS && (code == 4 || code == 5) {
			p.text(", si_addr_lsb=" + hexText(word(b, 24, 2)))
		}
	case unix.SIGIO:
		p.format(", si_band=%d, si_fd=%d", int64(word(b, 16, 8)), int32(word(b, 24, 4)))
	case unix.SIGSYS:
		p.text(", si_call_addr=")
		p.address(word(b, 16, 8))
		p.text(", si_syscall=" + p.callName(int(word(b, 24, 4))) + ", si_arch=" + p.value(architectures, word(b, 28, 4)))
	default:
		if word(b, 16, 8) != 0 {
			signalSource(p, b)
		}
		if word(b, 24, 8) != 0 {
			signalValue(p, b)
		}
	}
}

// ticks returns a clock_t of 1/100 seconds.
func (p *Printer) ticks(v uint64) string {
	text := strconv.FormatInt(int64(v), 10)
	if v == 0 || p.Style == RawNumbers {
		return text
	}
	return text + " /* " + strconv.FormatFloat(float64(int64(v))/100, 'f', 2, 64) + " s */"
}

// handler prints the address of a signal handler.
func handler(p *Printer, v uint64) {
	switch v {
	case 0:
		p.text("SIG_DFL")
	case 1:
		p.text("SIG_IGN")
	case ^uint64(0):
		p.text("SIG_ERR")
	default:
		p.address(v)
	}
}

// sigaction prints the kernel's struct sigaction.
func sigaction(p *Printer, _ *Input, b []byte) {
	flags := word(b, 8, 8)
	p.text("{sa_handler=")
	handler(p, word(b, 0, 8))
	p.text(", sa_mask=")
	p.signalSet(b[24:32])
	p.text(", sa_flags=" + p.flags(actionFlags, flags))
	if flags&0x4000000 != 0 {
		p.text(", sa_restorer=")
		p.address(word(b, 16, 8))
	}
	p.text("}")
}

// sigset prints a set of signals, whose size is another argument.
func sigset(i, size int) Arg {
	op := tracespec.Op{Kind: tracespec.Bytes, Address: argument(i), Count: argument(size), Unit: 1, Max: 8}
	return Arg{ops: []tracespec.Op{op}, print: func(p *Printer, in *Input) {
		b := in.capture(0)
		if b == nil || in.Arguments[size] != 8 {
			p.address(in.Arguments[i])
			return
		}
		p.signalSet(b)
	}}
}

// pendingSet prints the set of rt_sigpending(2), which may be shorter.
func pendingSet(i, size int) Arg {
	a := sigset(i, size)
	a.print = func(p *Printer, in *Input) {
		b := in.capture(0)
		if n := in.Arguments[size]; len(b) == 0 || n > 8 {
			p.address(in.Arguments[i])
			return
		}
		p.signalSet(b)
	}
	return a
}

// stackOf prints stack_t.
var stackOf = structure(field{name: "ss_sp", size: 8, print: pointer}, field{name: "ss_flags", offset: 8, size: 4, print: flagsOf(stackFlags)},
	field{name: "ss_size", offset: 16, size: 8, print: ulong})

// frameMask prints the mask that rt_sigreturn(2) restores.
func frameMask() Arg {
	// uc_sigmask in struct rt_sigframe, seen from the stack pointer after the handler's RET.
	const offset = 296
	op := fixed(tracespec.Value{Source: tracespec.Stack, Number: offset}, 8)
	return Arg{ops: []tracespec.Op{op}, print: func(p *Printer, in *Input) {
		p.text("{mask=")
		if b := in.capture(0); b != nil {
			p.signalSet(b)
		} else {
			p.text("NULL")
		}
		p.text("}")
	}}
}

// signalRows are the calls on signals.
var signalRows = []Row{
	call(unix.SYS_RT_SIGACTION, "rt_sigaction", "signal", at(0, signo), structIn(1, 32, sigaction), structOut(2, 32, sigaction), at(3, ulong)),
	call(unix.SYS_RT_SIGPROCMASK, "rt_sigprocmask", "signal", at(0, oneOf(maskCalls)), sigset(1, 3), onExit(sigset(2, 3)), at(3, ulong)),
	call(unix.SYS_RT_SIGRETURN, "rt_sigreturn", "signal", frameMask()),
	call(unix.SYS_RT_SIGPENDING, "rt_sigpending", "signal", onExit(pendingSet(0, 1)), at(1, ulong)),
	call(unix.SYS_RT_SIGSUSPEND, "rt_sigsuspend", "signal", sigset(0, 1), at(1, ulong)),
	call(unix.SYS_RT_SIGTIMEDWAIT, "rt_sigtimedwait", "signal", sigset(0, 3), structOut(1, siginfoSize, siginfo), even(structIn(2, timespecSize, timespec)), at(3, ulong)).gives(signalResult),
	call(unix.SYS_RT_SIGQUEUEINFO, "rt_sigqueueinfo", "signal process", at(0, pid), at(1, signo), structIn(2, siginfoSize, siginfo)),
	call(unix.SYS_RT_TGSIGQUEUEINFO, "rt_tgsigqueueinfo", "process signal", at(0, pid), at(1, pid), at(2, signo), structIn(3, siginfoSize, siginfo)),
	call(unix.SYS_PIDFD_SEND_SIGNAL, "pidfd_send_signal", "desc signal process", fd(0), at(1, signo), structIn(2, siginfoSize, siginfo), at(3, hex32)),
	call(unix.SYS_SIGALTSTACK, "sigaltstack", "signal", structIn(0, 24, stackOf), structOut(1, 24, stackOf)),
	call(unix.SYS_KILL, "kill", "signal process", at(0, pid), at(1, signo)),
	call(unix.SYS_TKILL, "tkill", "signal process", at(0, pid), at(1, signo)),
	call(unix.SYS_TGKILL, "tgkill", "signal process", at(0, pid), at(1, pid), at(2, signo)),
	call(unix.SYS_PAUSE, "pause", "signal"),
	call(unix.SYS_SIGNALFD, "signalfd", "desc signal", fd(0), sigset(1, 2), at(2, ulong)).givesFD(),
	call(unix.SYS_SIGNALFD4, "signalfd4", "desc signal", fd(0), sigset(1, 2), at(2, ulong), at(3, flagsOf(signalFlags))).givesFD(),
	call(unix.SYS_RESTART_SYSCALL, "restart_syscall", "", Arg{print: func(p *Printer, _ *Input) { p.text("<... resuming interrupted system call ...>") }}),
}

// signalResult prints a result that is a signal.
func signalResult(p *Printer, c *Call) { p.format("%d (%s)", c.Result, p.signal(int(c.Result))) }
