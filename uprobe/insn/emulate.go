package insn

import (
	"errors"

	"slowpath/arch/amd64"
)

// Memory is the memory of a program. Addresses are linear; the size is 1, 2, 4 or 8 bytes;
// values are little-endian. An error means that the access would fault, and that nothing
// has changed.
type Memory interface {
	Load(address uint64, size int) (uint64, error)
	Store(address uint64, size int, value uint64) error
}

// ErrNotEmulated is returned by Emulate for an instruction that only the CPU can execute.
var ErrNotEmulated = errors.New("the instruction is not emulated")

// Emulated reports whether Emulate can execute the instruction.
func (i *Instruction) Emulated() bool { return i.operation != notEmulated }

// Emulate executes the instruction, which the program has at the address at: registers,
// flags and RIP. f is settled. On an error nothing has changed: the caller lets the CPU
// execute the instruction out of line, which faults as the program expects.
func (i *Instruction) Emulate(f *amd64.Frame, at uint64, m Memory) error {
	return ErrNotEmulated
}
