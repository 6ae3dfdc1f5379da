package amd64

// System calls of the i386 ABI. 32-bit code makes them by INT 0x80, SYSCALL or SYSENTER,
// 64-bit code by INT 0x80. INT 0x80 saves all registers. SYSCALL loses ECX, and SYSENTER
// also EIP and ESP. So only the 32-bit vDSO executes the two, after it has saved the
// registers on the stack (Linux: arch/x86/entry/vdso/vdso32/system_call.S):
//
//	PUSHL ECX; PUSHL EDX; PUSHL EBP
//	MOVL ECX, EBP; SYSCALL	// or: MOVL ESP, EBP; SYSENTER
//	INT 0x80
//	landing pad: POPL EBP; POPL EDX; POPL ECX; RET
//
// The kernel makes a call by SYSCALL or SYSENTER look as if INT 0x80 had made it, and
// returns to the landing pad.

// Int80Size is the size of the instruction INT 0x80, which is between that of SYSCALL and
// the landing pad.
const Int80Size = 2

// SetLandingPad32 sets the address at which a program continues after a call by SYSCALL or
// SYSENTER in 32-bit code: that of the instruction after INT 0x80 in its 32-bit vDSO.
// Only the low 32 bits count. Children inherit it, and execve(2) clears it. The caller is
// f's own goroutine, or f's task is stopped.
func (f *Frame) SetLandingPad32(address uint64) {
	f.landingPad = uint64(uint32(address))
	f.callReturn = f.landingPad - Int80Size // no 32-bit code returns to an address below 0
}

// noCallReturn is callReturn of a program without a landing pad.
const noCallReturn = ^uint64(0)

// BeginInt80 completes the frame after the event Int80: the frame is then in a system call of
// the i386 ABI. It returns the call's number. The caller is f's own goroutine.
func (f *Frame) BeginInt80() (number uint64) {
	number = uint64(uint32(f.RAX))
	f.OrigRAX = number
	f.Flags = LeaveByIRET | Call32
	return number
}

// CalledByVDSO32 reports whether an event with Event32 is that of the SYSCALL of the vDSO. If the
// call has at most five arguments, it is enough to add Int80Size to RIP in place of
// BeginCall32: the vDSO restores what differs from a complete frame. The caller is f's own
// goroutine.
func (f *Frame) CalledByVDSO32() bool { return f.RIP == f.callReturn }

// LoadRegisterArgs32 loads the first five arguments of a call, if CalledByVDSO32. The caller is
// f's own goroutine.
func (f *Frame) LoadRegisterArgs32() {
	a := &f.args32
	a[0], a[1], a[2] = uint64(uint32(f.RBX)), uint64(uint32(f.RBP)), uint64(uint32(f.RDX))
	a[3], a[4] = uint64(uint32(f.RSI)), uint64(uint32(f.RDI))
}

// LoadArgs32 loads the arguments of a call of the i386 ABI. The caller is f's own goroutine.
func (f *Frame) LoadArgs32() { f.Args32(&f.args32) }

// LoadedArgs32 returns what LoadRegisterArgs32 or LoadArgs32 has loaded last. The caller is f's
// own goroutine.
func (f *Frame) LoadedArgs32() *Args { return &f.args32 }

// BeginCall32 completes the frame after an event with Event32, but for EBP. The program's EBP,
// which is the sixth argument, is the word at ESP: see CallWordOwed. needed is false if the
// SYSCALL instruction is the vDSO's. Then the word can be read, as the vDSO has just pushed it,
// and a call with fewer than six arguments need not read it: the vDSO pops EBP. A second call
// for the same event changes nothing. The caller is f's own goroutine.
func (f *Frame) BeginCall32() (needed bool) {
	if f.Flags&(Call32|begun32|LeaveByIRET) != Call32 {
		return false
	}
	needed = f.RIP != f.callReturn && !f.fast32()
	f.RIP = f.landingPad
	f.RCX = f.RBP
	f.RSP = uint64(uint32(f.RSP))
	f.RFLAGS |= FlagIF // SYSENTER clears it
	f.OrigRAX = uint64(uint32(f.OrigRAX))
	f.setCallSegments()
	f.wordOwed = true
	f.Flags |= begun32
	return needed
}

// CallWordOwed completes the frame of an event with Event32 as BeginCall32 does. It returns the
// address of the word that SetCallWord must set, and whether it was not set for this event.
// The caller is f's own goroutine.
func (f *Frame) CallWordOwed() (address uint64, owed bool) {
	f.BeginCall32()
	return f.RSP, f.wordOwed && f.Flags&begun32 != 0
}

// Complete reports whether the frame has all registers of the program. The caller is f's own
// goroutine, or f's task is stopped.
func (f *Frame) Complete() bool {
	return f.Flags&LeaveByIRET != 0 && f.HasArguments()
}

// HasArguments reports whether the frame has all arguments of the call that it is in: EBP was
// completed if it must be. The caller is f's own goroutine, or f's task is stopped.
//
//go:norace
func (f *Frame) HasArguments() bool { return f.Flags&begun32 == 0 || !f.wordOwed }

// SetCallWord sets EBP to the word at ESP. The caller is f's own goroutine.
func (f *Frame) SetCallWord(word uint32) { f.RBP, f.wordOwed = uint64(word), false }

// DropCallWord leaves EBP as it is, because the word at ESP cannot be read. The caller is
// f's own goroutine.
func (f *Frame) DropCallWord() { f.wordOwed = false }

// Args32 copies the arguments of a system call of the i386 ABI to a (Linux:
// syscall_get_arguments). The caller is f's own goroutine, or f's task is stopped.
//
//go:norace
func (f *Frame) Args32(a *Args) {
	a[0], a[1], a[2] = uint64(uint32(f.RBX)), uint64(uint32(f.RCX)), uint64(uint32(f.RDX))
	a[3], a[4], a[5] = uint64(uint32(f.RSI)), uint64(uint32(f.RDI)), uint64(uint32(f.RBP))
}

// PeekArgs32 copies the arguments of a call of the i386 ABI as Args32 does, also while the frame
// is incomplete. If owed is set, it leaves out the sixth, which is the word at the address
// sixth. It changes nothing. Any goroutine may call it, but the registers may change meanwhile.
//
//go:norace
func (f *Frame) PeekArgs32(a *Args) (sixth uint64, owed bool) {
	f.Args32(a)
	switch {
	case f.Flags&(begun32|LeaveByIRET) == 0:
		a[1] = uint64(uint32(f.RBP)) // where the vDSO has saved ECX
	case f.HasArguments():
		return 0, false
	}
	a[5] = 0
	return uint64(uint32(f.RSP)), true
}

// InCall32 reports whether the last system call of f's program is of the i386 ABI (Linux:
// in_ia32_syscall). The caller is f's own goroutine, or f's task is stopped.
func (f *Frame) InCall32() bool { return f.Flags&Call32 != 0 }

// StartCode32 makes a frame after ResetRegisters that of a new 32-bit program: its code
// segment, and the ABI of the execve(2) that started it, as a tracer sees it at the
// exit (Linux: set_personality_ia32). The caller is f's own goroutine.
func (f *Frame) StartCode32() {
	f.CS = User32CS
	f.Flags |= Call32
}

// fast32 reports whether RIP is that at which SYSCALL and SYSENTER of 32-bit code continue.
func (f *Frame) fast32() bool { return f.RIP == f.landingPad && f.landingPad != 0 }
