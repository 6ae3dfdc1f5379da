package abi

// Siginfo is siginfo_t (sigaction(2), asm-generic/siginfo.h). Signo and Code
// determine which member of the union is valid.
type Siginfo struct {
	Signo, Errno, Code int32
	Pad                int32
	Fields             SiginfoFields
}

// SiginfoFields is union __sifields. Each method returns a pointer to one member.
// All members share the same memory.
type SiginfoFields [14]uint64

// SiginfoKill is the member for kill(2) and tkill(2).
type SiginfoKill struct {
	PID int32
	UID uint32
}

// SiginfoTimer is the member for an expired POSIX timer.
type SiginfoTimer struct {
	TID     int32
	Overrun int32
	Value   uint64
}

// SiginfoRT is the member for sigqueue(3).
type SiginfoRT struct {
	PID   int32
	UID   uint32
	Value uint64
}

// SiginfoChild is the member for SIGCHLD. Utime and Stime are in clock ticks
// of 1/100 s.
type SiginfoChild struct {
	PID          int32
	UID          uint32
	Status       int32
	Pad          int32
	Utime, Stime int64
}

// SiginfoFault is the member for SIGILL, SIGFPE, SIGSEGV, SIGBUS and SIGTRAP.
type SiginfoFault struct {
	Addr    uint64
	AddrLSB int16
	Pad     [3]int16
}

// SiginfoSys is the member for SIGSYS.
type SiginfoSys struct {
	CallAddr uint64
	Syscall  int32
	Arch     uint32
}
