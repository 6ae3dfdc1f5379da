package signal

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
)

// The values of si_code that name the sender of a signal
// (include/uapi/asm-generic/siginfo.h). Those that a process may send are 0 or
// negative.
const (
	SI_USER    = 0
	SI_KERNEL  = 0x80
	SI_QUEUE   = -1
	SI_TIMER   = -2
	SI_MESGQ   = -3
	SI_ASYNCIO = -4
	SI_SIGIO   = -5
	SI_TKILL   = -6
)

// The values of si_code that name the reason for which the kernel sent a signal
// (sigaction(2)).
const (
	ILL_ILLOPN    = 2
	ILL_PRVOPC    = 5
	FPE_INTDIV    = 1
	FPE_INTOVF    = 2
	FPE_FLTDIV    = 3
	FPE_FLTOVF    = 4
	FPE_FLTUND    = 5
	FPE_FLTRES    = 6
	FPE_FLTINV    = 7
	SEGV_MAPERR   = 1
	SEGV_ACCERR   = 2
	BUS_ADRALN    = 1
	BUS_ADRERR    = 2
	BUS_MCEERR_AR = 4
	TRAP_BRKPT    = 1
	TRAP_TRACE    = 2
	TRAP_HWBKPT   = 4
	SYS_SECCOMP   = 1
	// SYS_USER_DISPATCH is the code of syscall user dispatch.
	SYS_USER_DISPATCH = 2

	CLD_EXITED    = 1
	CLD_KILLED    = 2
	CLD_DUMPED    = 3
	CLD_TRAPPED   = 4
	CLD_STOPPED   = 5
	CLD_CONTINUED = 6
)

// Info is a siginfo_t. Signo and Code determine which member of Fields is valid.
// Fields has the layout of the user interface, because rt_sigqueueinfo(2) passes it
// on unchanged.
type Info struct {
	Signo  Signal
	Errno  int32
	Code   int32
	Fields abi.SiginfoFields
}

// UserInfo describes a signal that a process has sent. code is SI_USER for kill(2)
// and SI_TKILL for tkill(2).
func UserInfo(s Signal, code int32, pid int, uid uint32) Info {
	info := Info{Signo: s, Code: code}
	info.SetSender(pid, uid)
	return info
}

// KernelInfo describes a signal that the kernel itself sends.
func KernelInfo(s Signal) Info { return Info{Signo: s, Code: SI_KERNEL} }

// SyscallInfo describes SIGSYS for a system call that did not run. reason is si_errno,
// and address is that after the SYSCALL instruction.
func SyscallInfo(code, reason int32, address uint64, number int32, arch uint32) Info {
	info := Info{Signo: unix.SIGSYS, Errno: reason, Code: code}
	*info.Fields.Sys() = abi.SiginfoSys{CallAddr: address, Syscall: number, Arch: arch}
	return info
}

// FaultInfo describes a fault. address is si_addr: the user address of the access or
// of the instruction.
func FaultInfo(s Signal, code int32, address uint64) Info {
	info := Info{Signo: s, Code: code}
	info.Fields.Fault().Addr = address
	return info
}

// MemoryErrorInfo describes the loss of memory that a machine check has reported:
// the block of 1<<shift bytes that contains address (sigaction(2), BUS_MCEERR_AR).
func MemoryErrorInfo(address uint64, shift uint16) Info {
	info := FaultInfo(unix.SIGBUS, BUS_MCEERR_AR, address)
	info.Fields.Fault().AddrLSB = int16(shift)
	return info
}

// ChildInfo describes a child's change of state, for SIGCHLD and waitid(2). The
// times user and system are in clock ticks of 1/100 s.
func ChildInfo(code int32, pid int, uid uint32, status int32, user, system int64) Info {
	info := Info{Signo: unix.SIGCHLD, Code: code}
	*info.Fields.Child() = abi.SiginfoChild{PID: int32(pid), UID: uid, Status: status, Utime: user, Stime: system}
	return info
}

// TimerInfo describes the expiry of the POSIX timer id (timer_create(2)). value is
// its sigev_value.
func TimerInfo(s Signal, id int32, value uint64) Info {
	info := Info{Signo: s, Code: SI_TIMER}
	*info.Fields.Timer() = abi.SiginfoTimer{TID: id, Value: value}
	return info
}

// SetSender sets si_pid and si_uid.
func (i *Info) SetSender(pid int, uid uint32) {
	*i.Fields.Kill() = abi.SiginfoKill{PID: int32(pid), UID: uid}
}

// SetOverrun sets si_overrun of the signal of a POSIX timer.
func (i *Info) SetOverrun(n int32) { i.Fields.Timer().Overrun = n }

// PID returns si_pid. It is valid only if a process sent the signal.
func (i *Info) PID() int { return int(i.Fields.Kill().PID) }

// UID returns si_uid. It is valid only if a process sent the signal.
func (i *Info) UID() uint32 { return i.Fields.Kill().UID }

// Status returns si_status of SIGCHLD.
func (i *Info) Status() int32 { return i.Fields.Child().Status }

// Value returns si_value of SI_QUEUE and SI_TIMER.
func (i *Info) Value() uint64 { return i.Fields.RT().Value }

// TimerID returns si_timerid of SI_TIMER.
func (i *Info) TimerID() int32 { return i.Fields.Timer().TID }

// Overrun returns si_overrun of SI_TIMER.
func (i *Info) Overrun() int32 { return i.Fields.Timer().Overrun }

// Address returns si_addr of a fault.
func (i *Info) Address() uint64 { return i.Fields.Fault().Addr }

// FromUser reports whether Code is a value that a process may send (Linux:
// SI_FROMUSER).
func (i *Info) FromUser() bool { return i.Code <= 0 }

// store writes the information to s in the layout of the user interface.
func (i *Info) store(s *abi.Siginfo) {
	s.Signo, s.Errno, s.Code, s.Pad = int32(i.Signo), i.Errno, i.Code, 0
	s.Fields = i.Fields
}

// Siginfo returns the information in the layout of the user interface.
func (i *Info) Siginfo() abi.Siginfo {
	return abi.Siginfo{Signo: int32(i.Signo), Errno: i.Errno, Code: i.Code, Fields: i.Fields}
}

// InfoOf returns the Info that a program's siginfo_t describes.
func InfoOf(s *abi.Siginfo) Info {
	return Info{Signo: Signal(s.Signo), Errno: s.Errno, Code: s.Code, Fields: s.Fields}
}
