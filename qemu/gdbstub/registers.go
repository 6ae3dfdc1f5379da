package gdbstub

import (
	"encoding/binary"
	"fmt"
)

// Register is the stub's number of an x86-64 register (QEMU,
// gdb-xml/i386-64bit.xml).
type Register int

// The registers, in the stub's order.
const (
	RAX Register = iota
	RBX
	RCX
	RDX
	RSI
	RDI
	RBP
	RSP
	R8
	R9
	R10
	R11
	R12
	R13
	R14
	R15
	RIP
	EFlags
	CS
	SS
	DS
	ES
	FS
	GS
	FSBase
	GSBase
)

// The x87 and SSE registers. ST(n) is ST0 + n, XMMn is XMM0 + n.
const (
	ST0    Register = 33
	XMM0   Register = 49
	MXCSR  Register = 65
	st7             = ST0 + 7
	fctrl           = st7 + 1
	xmm15           = XMM0 + 15
	maxLen          = 16
)

// size returns the size of a register in bytes.
func (r Register) size() int {
	switch {
	case r >= EFlags && r <= GS, r >= fctrl && r < XMM0, r == MXCSR:
		return 4
	case r >= ST0 && r <= st7:
		return 10
	case r >= XMM0 && r <= xmm15:
		return 16
	}
	return 8
}

// ReadRegister returns a register of the selected CPU as little-endian bytes. It
// fails if the stub refuses the command or the connection ends.
func (c *Client) ReadRegister(r Register) ([]byte, error) {
	payload := fmt.Sprintf("p%x", int(r))
	answer, err := c.command(payload)
	if err != nil {
		return nil, err
	}
	b, err := decodeHex(answer)
	if err != nil || len(b) != r.size() {
		return nil, refused(payload, answer)
	}
	return b, nil
}

// WriteRegister sets a register of the selected CPU to little-endian bytes. It
// fails if their number is not the register's size, if the stub refuses the
// command, or if the connection ends.
func (c *Client) WriteRegister(r Register, b []byte) error {
	if len(b) != r.size() {
		return fmt.Errorf("register %d has %d bytes, not %d", r, r.size(), len(b))
	}
	return c.must(fmt.Sprintf("P%x=%x", int(r), b))
}

// Read returns the low 64 bits of a register of the selected CPU. Its errors are
// those of ReadRegister.
func (c *Client) Read(r Register) (uint64, error) {
	b, err := c.ReadRegister(r)
	if err != nil {
		return 0, err
	}
	var whole [maxLen]byte
	copy(whole[:], b)
	return binary.LittleEndian.Uint64(whole[:]), nil
}
