package compat

// UserRegs is struct user_regs_struct32 (asm/user32.h): the registers of ptrace(2) and of a
// core file. A segment register has 16 bits, and 16 bits of padding.
type UserRegs struct {
	EBX, ECX, EDX, ESI, EDI, EBP, EAX uint32
	DS, ES, FS, GS                    uint32
	OrigEAX, EIP, CS, EFlags, ESP, SS uint32
}

// ElfPrstatus is struct elf_prstatus (linux/elfcore-compat.h), the note NT_PRSTATUS of a core
// file.
type ElfPrstatus struct {
	Info             [3]int32 // si_signo, si_code, si_errno
	Cursig, Pad1     int16
	Sigpend, Sighold uint32
	PID, PPID        int32
	Pgrp, SID        int32
	Utime, Stime     Timeval
	Cutime, Cstime   Timeval
	Reg              UserRegs
	FPValid          int32
}

// ElfPrpsinfo is struct elf_prpsinfo (linux/elfcore-compat.h), the note NT_PRPSINFO of a core
// file.
type ElfPrpsinfo struct {
	State, Sname, Zomb, Nice int8
	Flag                     uint32
	UID, GID                 uint16
	PID, PPID, Pgrp, SID     int32
	Fname                    [16]byte
	Psargs                   [80]byte
}
