package signal

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// InfoSize is the size of siginfo_t in bytes (sigaction(2)).
const InfoSize = 128

// The values of si_code that say who sent a signal
// (include/uapi/asm-generic/siginfo.h). Those of users are negative or 0.
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

// The values of si_code that say what happened, by signal.
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

// Info is a siginfo_t: three words that every signal has, and a union whose
// layout depends on the signal and on Code. The union stays in the format of
// the user interface, so rt_sigqueueinfo(2) passes it through unchanged.
type Info struct {
	Signo Signal
	Errno int32
	Code  int32
	Union [InfoSize - unionOffset]byte
}

// Offsets of the union and, in it, of its members on x86-64.
const (
	unionOffset = 16

	offPID     = 0
	offUID     = 4
	offStatus  = 8  // CLD_*
	offValue   = 8  // SI_QUEUE, SI_TIMER
	offUserCPU = 16 // CLD_*, clock ticks
	offSysCPU  = 24
	offTimer   = 0 // SI_TIMER
	offOverrun = 4
	offAddress = 0 // faults
	offBits    = 8 // BUS_MCEERR_*
	offSysAddr = 0 // SIGSYS
	offSysCall = 8
	offSysArch = 12
)

// UserInfo describes a signal sent by a process: kill(2) with code SI_USER or
// tkill(2) with SI_TKILL.
func UserInfo(s Signal, code int32, pid int, uid uint32) Info {
	info := Info{Signo: s, Code: code}
	info.SetSender(pid, uid)
	return info
}

// KernelInfo describes a signal that the kernel sent for no process.
func KernelInfo(s Signal) Info { return Info{Signo: s, Code: SI_KERNEL} }

// FaultInfo describes a fault at a user address.
func FaultInfo(s Signal, code int32, address uint64) Info {
	info := Info{Signo: s, Code: code}
	binary.LittleEndian.PutUint64(info.Union[offAddress:], address)
	return info
}

// MemoryErrorInfo describes memory that a machine check took from a program:
// 1<<bits bytes around the address (sigaction(2), BUS_MCEERR_AR).
func MemoryErrorInfo(address uint64, bits uint16) Info {
	info := FaultInfo(unix.SIGBUS, BUS_MCEERR_AR, address)
	binary.LittleEndian.PutUint16(info.Union[offBits:], bits)
	return info
}

// ChildInfo describes what became of a child, for SIGCHLD and for waitid(2).
// The times are in clock ticks of 1/100 s.
func ChildInfo(code int32, pid int, uid uint32, status int32, user, system int64) Info {
	info := Info{Signo: unix.SIGCHLD, Code: code}
	info.SetSender(pid, uid)
	binary.LittleEndian.PutUint32(info.Union[offStatus:], uint32(status))
	binary.LittleEndian.PutUint64(info.Union[offUserCPU:], uint64(user))
	binary.LittleEndian.PutUint64(info.Union[offSysCPU:], uint64(system))
	return info
}

// TimerInfo describes the expiry of a POSIX timer (timer_create(2)).
func TimerInfo(s Signal, id int32, value uint64) Info {
	info := Info{Signo: s, Code: SI_TIMER}
	binary.LittleEndian.PutUint32(info.Union[offTimer:], uint32(id))
	binary.LittleEndian.PutUint64(info.Union[offValue:], value)
	return info
}

// SetSender writes si_pid and si_uid.
func (i *Info) SetSender(pid int, uid uint32) {
	binary.LittleEndian.PutUint32(i.Union[offPID:], uint32(pid))
	binary.LittleEndian.PutUint32(i.Union[offUID:], uid)
}

// SetOverrun writes si_overrun of a timer's signal.
func (i *Info) SetOverrun(n int32) {
	binary.LittleEndian.PutUint32(i.Union[offOverrun:], uint32(n))
}

// PID returns si_pid; it means something only where the sender is a process.
func (i *Info) PID() int { return int(int32(binary.LittleEndian.Uint32(i.Union[offPID:]))) }

// UID returns si_uid.
func (i *Info) UID() uint32 { return binary.LittleEndian.Uint32(i.Union[offUID:]) }

// Status returns si_status of a child's signal.
func (i *Info) Status() int32 { return int32(binary.LittleEndian.Uint32(i.Union[offStatus:])) }

// Value returns si_value of SI_QUEUE and SI_TIMER.
func (i *Info) Value() uint64 { return binary.LittleEndian.Uint64(i.Union[offValue:]) }

// TimerID returns si_timerid.
func (i *Info) TimerID() int32 { return int32(binary.LittleEndian.Uint32(i.Union[offTimer:])) }

// Overrun returns si_overrun.
func (i *Info) Overrun() int32 { return int32(binary.LittleEndian.Uint32(i.Union[offOverrun:])) }

// Address returns si_addr of a fault.
func (i *Info) Address() uint64 { return binary.LittleEndian.Uint64(i.Union[offAddress:]) }

// FromUser reports whether a process claims to have sent the signal, as
// opposed to the kernel (SI_FROMUSER in Linux).
func (i *Info) FromUser() bool { return i.Code <= 0 }

// Encode writes the siginfo_t to dst, which holds at least InfoSize bytes.
func (i *Info) Encode(dst []byte) {
	_ = dst[InfoSize-1]
	binary.LittleEndian.PutUint32(dst[0:], uint32(i.Signo))
	binary.LittleEndian.PutUint32(dst[4:], uint32(i.Errno))
	binary.LittleEndian.PutUint32(dst[8:], uint32(i.Code))
	binary.LittleEndian.PutUint32(dst[12:], 0)
	copy(dst[unionOffset:InfoSize], i.Union[:])
}

// DecodeInfo reads a siginfo_t of InfoSize bytes, from a user that sends it.
func DecodeInfo(src []byte) Info {
	_ = src[InfoSize-1]
	info := Info{
		Signo: Signal(int32(binary.LittleEndian.Uint32(src[0:]))),
		Errno: int32(binary.LittleEndian.Uint32(src[4:])),
		Code:  int32(binary.LittleEndian.Uint32(src[8:])),
	}
	copy(info.Union[:], src[unionOffset:InfoSize])
	return info
}
