package signal

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
)

// The values of si_code that say who sent a signal
// (include/uapi/asm-generic/siginfo.h). A process sends 0 or a negative value.
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

// The values of si_code that say why the kernel sent a signal.
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

	CLD_EXITED    = 1
	CLD_KILLED    = 2
	CLD_DUMPED    = 3
	CLD_TRAPPED   = 4
	CLD_STOPPED   = 5
	CLD_CONTINUED = 6
)

// Info is a siginfo_t. Which member of Fields is valid follows from Signo and
// Code. Fields keeps the layout of the user interface, so that
// rt_sigqueueinfo(2) passes it through unchanged.
type Info struct {
	Signo  Signal
	Errno  int32
	Code   int32
	Fields abi.SiginfoFields
}

// UserInfo describes a signal sent by a process: kill(2) with code SI_USER or
// tkill(2) with SI_TKILL.
func UserInfo(s Signal, code int32, pid int, uid uint32) Info {
	info := Info{Signo: s, Code: code}
	info.SetSender(pid, uid)
	return info
}

// KernelInfo describes a signal that the kernel sends on no process's behalf.
func KernelInfo(s Signal) Info { return Info{Signo: s, Code: SI_KERNEL} }

// FaultInfo describes a fault at a user address.
func FaultInfo(s Signal, code int32, address uint64) Info {
	info := Info{Signo: s, Code: code}
	info.Fields.Fault().Addr = address
	return info
}

// MemoryErrorInfo describes memory that a machine check reported as lost:
// 1<<bits bytes around the address (sigaction(2), BUS_MCEERR_AR).
func MemoryErrorInfo(address uint64, bits uint16) Info {
	info := FaultInfo(unix.SIGBUS, BUS_MCEERR_AR, address)
	info.Fields.Fault().AddrLSB = int16(bits)
	return info
}

// ChildInfo describes a child's change of state, for SIGCHLD and for waitid(2).
// The times are in clock ticks of 1/100 s.
func ChildInfo(code int32, pid int, uid uint32, status int32, user, system int64) Info {
	info := Info{Signo: unix.SIGCHLD, Code: code}
	*info.Fields.Child() = abi.SiginfoChild{PID: int32(pid), UID: uid, Status: status, Utime: user, Stime: system}
	return info
}

// TimerInfo describes the expiry of a POSIX timer (timer_create(2)).
func TimerInfo(s Signal, id int32, value uint64) Info {
	info := Info{Signo: s, Code: SI_TIMER}
	*info.Fields.Timer() = abi.SiginfoTimer{TID: id, Value: value}
	return info
}

// SetSender sets si_pid and si_uid.
func (i *Info) SetSender(pid int, uid uint32) {
	*i.Fields.Kill() = abi.SiginfoKill{PID: int32(pid), UID: uid}
}

// SetOverrun sets si_overrun of a timer's signal.
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

// FromUser reports whether Code is one that only a process sends, and not the
// kernel (SI_FROMUSER in Linux).
func (i *Info) FromUser() bool { return i.Code <= 0 }

// Siginfo returns the information in the layout of the user interface.
func (i *Info) Siginfo() abi.Siginfo {
	return abi.Siginfo{Signo: int32(i.Signo), Errno: i.Errno, Code: i.Code, Fields: i.Fields}
}

// InfoOf returns what a program's siginfo_t says.
func InfoOf(s *abi.Siginfo) Info {
	return Info{Signo: Signal(s.Signo), Errno: s.Errno, Code: s.Code, Fields: s.Fields}
}
