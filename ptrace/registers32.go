package ptrace

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/task"
)

// wordSize32 is the size of a word of a 32-bit tracer in bytes, and registerCount32 the number
// of words of struct user_regs_struct32.
const (
	wordSize32      = 4
	registerCount32 = 17
)

// The words of struct user_regs_struct32 with a rule of their own. The others are numbered
// by their order.
const (
	word32DS     = 7 // followed by ES, FS and GS
	word32FS     = 9
	word32GS     = 10
	word32Number = 11
	word32CS     = 13
	word32Flags  = 14
	word32SS     = 16
)

// special32 are the functions that write the words whose values are restricted or have other
// effects. value was not checked yet.
var special32 = map[int]func(t *task.Task, value uint32) error{
	word32DS:     func(t *task.Task, v uint32) error { return writeSelector(t.Frame, wordDS, uint16(v)) },
	word32DS + 1: func(t *task.Task, v uint32) error { return writeSelector(t.Frame, wordDS+1, uint16(v)) },
	word32FS: func(t *task.Task, v uint32) error {
		return writeBasedSelector(t, wordDS+2, uint16(v), &t.Frame.FSBase)
	},
	word32GS: func(t *task.Task, v uint32) error {
		return writeBasedSelector(t, wordGS, uint16(v), &t.Frame.GSBase)
	},
	word32Number: func(t *task.Task, v uint32) error { t.PokeCall32(v); return nil },
	word32CS:     func(t *task.Task, v uint32) error { return writeSelector(t.Frame, wordCS, uint16(v)) },
	word32Flags:  func(t *task.Task, v uint32) error { t.Frame.SetProgramFlags(uint64(v)); return nil },
	word32SS:     func(t *task.Task, v uint32) error { return writeSelector(t.Frame, wordSS, uint16(v)) },
}

// writeBasedSelector writes FS or GS, and sets base to that of the segment: a tracer of
// 32-bit programs does not know the bases (Linux: putreg32).
func writeBasedSelector(t *task.Task, word int, selector uint16, base *uint64) error {
	if err := writeSelector(t.Frame, word, selector); err != nil {
		return err
	}
	*base = t.SelectorBase(selector)
	return nil
}

// writeRegisters32 is writeRegisters for the words of struct user_regs_struct32 (Linux:
// putreg32). The upper halves of the registers become 0.
func writeRegisters32(t *task.Task, first int, values ...uint32) error {
	f := t.Frame
	amd64.Release(f)
	defer checkLater(t)
	plain := [registerCount32]*uint64{
		0: &f.RBX, 1: &f.RCX, 2: &f.RDX, 3: &f.RSI, 4: &f.RDI, 5: &f.RBP, 6: &f.RAX, 12: &f.RIP, 15: &f.RSP,
	}
	for i, value := range values {
		word := first + i
		if r := plain[word]; r != nil {
			*r = uint64(value)
		} else if err := special32[word](t, value); err != nil {
			return err
		}
	}
	return nil
}

// registerWords32 returns the words of r.
func registerWords32(r *compat.UserRegs) *[registerCount32]uint32 {
	return abi.View[[registerCount32]uint32](abi.Bytes(r))
}

// Offsets in struct user32 (asm/user32.h), in bytes. Words that do not exist read as 0, and
// writes to them have no effect.
const (
	userSize32     = 284
	userDebug32    = 252                     // u_debugreg[0]
	userDebugEnd32 = userSize32 - wordSize32 // u_debugreg[7]
)

// isDebugRegister32 reports whether addr is in the debug registers. As on Linux, any address
// from that of the first one to that of the last one names a register.
func (c *call) isDebugRegister32() bool { return c.addr >= userDebug32 && c.addr <= userDebugEnd32 }

// userWord32 checks the offset addr: EIO if it is not that of a word. The word behind the
// structure passes, as on Linux.
func (c *call) userWord32() error {
	if !c.isDebugRegister32() && (c.addr%wordSize32 != 0 || c.addr > userSize32) {
		return unix.EIO
	}
	return nil
}

// peekUser32 stores the word at the offset addr at the address data of the tracer. Errors:
// EIO, EFAULT.
func peekUser32(c *call) error {
	if err := c.userWord32(); err != nil {
		return err
	}
	word := uint32(0)
	switch {
	case c.addr < registers32Size:
		r := c.tracee.Registers32()
		word = registerWords32(&r)[c.addr/wordSize32]
	case c.isDebugRegister32():
		word = uint32(registersOf(c.tracee).breakpoints.get((c.addr - userDebug32) / wordSize32))
	}
	return abi.CopyOut(c.tracer, c.data, word)
}

// pokeUser32 writes data to the word at the offset addr. Errors: those of pokeUser.
func pokeUser32(c *call) error {
	if err := c.userWord32(); err != nil {
		return err
	}
	switch {
	case c.addr < registers32Size:
		return writeRegisters32(c.tracee, int(c.addr/wordSize32), uint32(c.data))
	case c.isDebugRegister32():
		return writeDebugRegister(c, (c.addr-userDebug32)/wordSize32)
	}
	return nil
}
