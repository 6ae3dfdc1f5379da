package insntest

import (
	"encoding/binary"

	"slowpath/arch/amd64"
	"slowpath/uprobe/insn"
)

// Case is one instruction, and the registers before it. RIP is its address.
type Case struct {
	Code        []byte
	Instruction insn.Instruction
	Registers   *amd64.Frame
}

// Range is a part of a program's memory.
type Range struct{ Start, Size uint64 }

// Contains reports whether the range contains an address.
func (r Range) Contains(address uint64) bool { return address-r.Start < r.Size }

// target returns an address in the middle of the range.
func (r Range) target(g Generator) uint64 {
	return r.Start + r.Size/2 - 512 + g.Uint64N(1024)
}

// Numbers of registers.
const (
	rcx = 1
	rbx = 3
	rsp = 4
	rbp = 5
	rsi = 6
	rdi = 7
)

// NewCase makes a case of the instruction at the beginning of code, for the address at. Most
// accesses are to memory, some fault. It changes the code's operand if that is relative to
// RIP or absolute. It returns nil for an instruction that cannot be decoded or stepped, or
// whose effects differ between two executions. The memory has at least 4096 bytes and
// begins below 2 GiB from at; bases are the bases of FS and GS.
func NewCase(g Generator, code []byte, at uint64, memory Range, bases [2]uint64) *Case {
	i, err := insn.Decode(code)
	if err != nil || i.Steppable() != nil || unrepeatable(&i) {
		return nil
	}
	c := &Case{Code: append([]byte{}, code[:i.Len()]...), Registers: &amd64.Frame{RIP: at, FSBase: bases[0], GSBase: bases[1]}}
	c.fill(g, &i, memory)
	c.aim(g, &i, memory)
	if c.Instruction, err = insn.Decode(c.Code); err != nil || c.Instruction.Len() != len(c.Code) {
		panic("the change of an operand has changed the instruction")
	}
	return c
}

// fill chooses registers. Those that instructions use as addresses without naming them are
// addresses in memory.
func (c *Case) fill(g Generator, i *insn.Instruction, memory Range) {
	for n := range uint8(16) {
		switch n {
		case rbx, rsp, rbp, rsi, rdi:
			*c.Registers.Register(n) = memory.target(g)
		default:
			*c.Registers.Register(n) = g.Value()
		}
	}
	if i.Repeats() {
		c.Registers.RCX = g.Uint64N(4)
	}
	c.Registers.RFLAGS = amd64.FlagFixed | amd64.FlagIF | g.Uint64()&StatusFlags
	if g.IntN(8) == 0 {
		c.Registers.RFLAGS |= amd64.FlagDF
	}
}

// StatusFlags are the flags that arithmetic writes.
const StatusFlags = amd64.FlagCF | amd64.FlagPF | amd64.FlagAF | amd64.FlagZF | amd64.FlagSF | amd64.FlagOF

// aim makes the operand an address in memory, or sometimes one that faults: it changes the
// registers of the address, or a displacement in the code.
func (c *Case) aim(g Generator, i *insn.Instruction, memory Range) {
	o, ok := i.Operand()
	if !ok {
		return
	}
	f, goal := c.Registers, memory.target(g)
	if o.AbsoluteAt != 0 {
		if o.AddressSize == 8 {
			binary.LittleEndian.PutUint64(c.Code[o.AbsoluteAt:], goal)
		}
		return
	}
	if o.Index != insn.NoRegister {
		*f.Register(o.Index) = 1 + g.Uint64N(16)
	}
	if o.Base == insn.NoRegister {
		place := c.Code[o.DisplacementAt:]
		old := binary.LittleEndian.Uint32(place)
		binary.LittleEndian.PutUint32(place, old+uint32(goal-i.Address(f, f.RIP)))
		return
	}
	if g.IntN(20) == 0 {
		goal = badAddress(g, o)
	}
	if o.Base == o.Index {
		*f.Register(o.Base) = 0
		*f.Register(o.Base) = (goal - i.Address(f, f.RIP)) / (1 + uint64(o.Scale))
		return
	}
	*f.Register(o.Base) += goal - i.Address(f, f.RIP)
}

// badAddress returns an address that faults.
func badAddress(g Generator, o insn.Operand) uint64 {
	if o.AddressSize == 4 || g.IntN(2) == 0 {
		return g.Uint64N(0x8000)
	}
	return 1<<63 | g.Uint64()
}

// Branches reports whether the instruction is a near branch.
func Branches(i *insn.Instruction) bool { return i.IsCall() || i.IsJump() || i.IsReturn() }

// PushesFlags reports whether the instruction is PUSHF.
func PushesFlags(i *insn.Instruction) bool { return isOpcode(i, 0, 0x9c, 0x9c) }

func isOpcode(i *insn.Instruction, table, first, last uint8) bool {
	t, opcode := i.Opcode()
	return !i.Vector() && t == table && opcode >= first && opcode <= last
}

// unrepeatable reports whether two executions may differ, or wait: RDTSC, RDRAND, and
// others.
func unrepeatable(i *insn.Instruction) bool {
	modRM, _ := i.ModRM()
	switch {
	case i.IsSyscall():
		return true
	case isOpcode(i, 1, 0x31, 0x31), isOpcode(i, 1, 0x33, 0x33), isOpcode(i, 1, 0xa2, 0xa2): // RDTSC, RDPMC, CPUID
		return true
	case isOpcode(i, 1, 0x01, 0x01):
		return modRM >= 0xf9 // RDTSCP, MWAITX, RDPRU
	case isOpcode(i, 1, 0xc7, 0xc7):
		return modRM >= 0xf0 // RDRAND, RDSEED, RDPID
	case isOpcode(i, 1, 0xae, 0xae):
		return modRM >= 0xf0 // UMWAIT, TPAUSE; also fences, and CLWB of a register
	}
	return false
}
