package abi

// ElfPrstatus is struct elf_prstatus, the note NT_PRSTATUS of a core file
// (sys/procfs.h).
type ElfPrstatus struct {
	Info         [3]int32 // si_signo, si_code, si_errno
	Cursig       int16
	Pad1         int16
	Sigpend      uint64
	Sighold      uint64
	PID, PPID    int32
	Pgrp, SID    int32
	Utime, Stime [2]int64 // struct timeval
	Cutime       [2]int64
	Cstime       [2]int64
	Reg          UserRegs
	FPValid      int32
	Pad2         int32
}

// UserRegs is struct user_regs_struct (sys/user.h).
type UserRegs struct {
	R15, R14, R13, R12, RBP, RBX, R11, R10, R9, R8 uint64
	RAX, RCX, RDX, RSI, RDI, OrigRAX               uint64
	RIP, CS, EFlags, RSP, SS                       uint64
	FSBase, GSBase, DS, ES, FS, GS                 uint64
}

// ElfPrpsinfo is struct elf_prpsinfo, the note NT_PRPSINFO of a core file
// (sys/procfs.h).
type ElfPrpsinfo struct {
	State, Sname, Zomb, Nice int8
	Pad                      [4]byte
	Flag                     uint64
	UID, GID                 uint32
	PID, PPID, Pgrp, SID     int32
	Fname                    [16]byte
	Psargs                   [80]byte
}
