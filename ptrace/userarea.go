package ptrace

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
)

// userRequests read and write a word of struct user (sys/user.h).
var userRequests = map[int32]request{
	unix.PTRACE_PEEKUSR: {"PEEKUSER", needsStopped, only(peekUser)},
	unix.PTRACE_POKEUSR: {"POKEUSER", needsStopped, only(pokeUser)},
}

// Offsets in struct user, in bytes. The registers are at its beginning. Of the rest only
// the debug registers exist: other words read as 0 and cannot be written.
const (
	userSize      = 928
	userRegisters = registerCount * wordSize
	userDebug     = 848 // u_debugreg[0]
	userDebugEnd  = userDebug + 8*wordSize
)

// userWord checks the offset addr: EIO if it is not that of a word of struct user.
func (c *call) userWord() error {
	if c.addr%wordSize != 0 || c.addr >= userSize {
		return unix.EIO
	}
	return nil
}

// peekUser stores the word at the offset addr at the address data of the tracer.
// Errors: EIO, EFAULT.
func peekUser(c *call) error {
	if err := c.userWord(); err != nil {
		return err
	}
	word := uint64(0)
	switch {
	case c.addr < userRegisters:
		var r abi.UserRegs
		readRegisters(c.tracee, &r)
		word = registerWords(&r)[c.addr/wordSize]
	case c.addr >= userDebug && c.addr < userDebugEnd:
		word = registersOf(c.tracee).breakpoints.get((c.addr - userDebug) / wordSize)
	}
	return abi.CopyOut(c.tracer, c.data, word)
}

// pokeUser writes data to the word at the offset addr. Errors: EIO for an offset or a
// register value that is not allowed, EINVAL for a breakpoint that is not.
func pokeUser(c *call) error {
	if err := c.userWord(); err != nil {
		return err
	}
	switch {
	case c.addr < userRegisters:
		return writeRegisters(c.tracee, int(c.addr/wordSize), c.data)
	case c.addr >= userDebug && c.addr < userDebugEnd:
		return writeDebugRegister(c, (c.addr-userDebug)/wordSize)
	}
	return unix.EIO
}

// writeDebugRegister writes data to debug register n.
func writeDebugRegister(c *call, n uint64) error {
	b := &registersOf(c.tracee).breakpoints
	if err := b.set(n, c.data); err != nil {
		return err
	}
	if d := b.registers(); d != c.tracee.Frame.DebugRegisters() && !c.tracee.Frame.SetDebugRegisters(d) {
		return unix.EINVAL
	}
	return nil
}
