package fetch

import (
	"encoding/binary"

	"slowpath/arch/amd64"
)

// Register is a register that an argument may name.
type Register uint8

// The registers, with Linux's names (regs_query_register_offset of x86).
const (
	R15 Register = iota
	R14
	R13
	R12
	BP
	BX
	R11
	R10
	R9
	R8
	AX
	CX
	DX
	SI
	DI
	OrigAX
	IP
	CS
	Flags
	SP
	SS
)

// XMM is the low half of XMM0. The halves of XMM0 to XMM15 follow in the order low, high,
// low, ... They have no names of Linux: the host command uses them for floating-point
// arguments.
const XMM Register = 32

// lastXMM is the high half of XMM15.
const lastXMM = XMM + 2*16 - 1

// registerNames are the names after the percent sign, by register.
var registerNames = [...]string{
	"r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8",
	"ax", "cx", "dx", "si", "di", "orig_ax", "ip", "cs", "flags", "sp", "ss",
}

// RegisterByName returns the register with a name of Linux, such as "ax" for RAX. It
// reports false for an unknown name.
func RegisterByName(name string) (Register, bool) {
	for i, known := range registerNames {
		if known == name {
			return Register(i), true
		}
	}
	return 0, false
}

// String returns the register's name without a percent sign.
func (r Register) String() string {
	if int(r) < len(registerNames) {
		return registerNames[r]
	}
	return "?"
}

// Of returns the register's value in a frame. The frame is complete (Frame.Settle).
func (r Register) Of(f *amd64.Frame) uint64 {
	registers := [...]*uint64{
		&f.R15, &f.R14, &f.R13, &f.R12, &f.RBP, &f.RBX, &f.R11, &f.R10, &f.R9, &f.R8,
		&f.RAX, &f.RCX, &f.RDX, &f.RSI, &f.RDI, &f.OrigRAX, &f.RIP, &f.CS, &f.RFLAGS, &f.RSP, &f.SS,
	}
	if r >= XMM && r <= lastXMM {
		n := r - XMM
		return binary.LittleEndian.Uint64(f.XMM[n/2][n%2*8:])
	}
	if int(r) >= len(registers) {
		return 0
	}
	return *registers[r]
}
