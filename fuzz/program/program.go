// Package program makes programs of system calls for fuzzing. A program is a
// string of bytes: a random one, or one that a coverage-guided fuzzer mutates.
// Decode turns any string into instructions. fuzz/hostkernel runs them on a kernel
// on the host, and the fuzzer in qemu/testdata runs them on the machine and on
// Linux.
//
// The arguments of a call follow the kinds of package syscall, and the shapes of
// shapes.go where there is one. Later calls use the results of earlier ones:
// descriptors are small numbers, which the kernel allocates in ascending order;
// process ids come from slots that fork(2) fills; addresses are those of a data
// area with a valid example of each structure, which calls and Store instructions
// overwrite.
package program

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"

	"slowpath/entry"
)

// Op is the operation of an instruction.
type Op uint8

// The operations.
const (
	// OpCall makes a system call.
	OpCall Op = iota
	// OpStore writes the byte Args[1] to the address Args[0].
	OpStore
	// OpLoad reads a byte from the address Args[0].
	OpLoad
	// OpRefill writes the structures of Image to the data area again.
	OpRefill
	// OpYield lets other tasks run.
	OpYield
	// OpCall32 makes a system call of the i386 ABI, by INT 0x80.
	OpCall32
)

// Instruction is one step of a routine.
type Instruction struct {
	Op Op
	// Slots has a bit for each argument that is the number of a slot and not a
	// value: see Slots.
	Slots uint8
	// Number is the number of the system call of OpCall or OpCall32.
	Number int
	Args   [6]uint64
}

// Slots is the number of slots for process ids. Slot 0 has the id of the
// program's first process, slot 1 that of its parent. The ids of the tasks that
// the program makes go into the others in turn.
const Slots = 8

// FirstFree is the first slot for the ids of tasks that the program makes.
const FirstFree = 2

// Program has one routine for each task. Routine 0 is the first task's. A task that
// a call creates takes the next routine, or exits if none is left.
type Program struct{ Routines [][]Instruction }

// Limits of a program.
const (
	MaxRoutines     = 12
	MaxInstructions = 256 // of one routine
)

// separator is between the routines of an encoded program.
var separator = []byte{0xff, 0xfe}

// Decode returns the program that the input encodes. Every input is valid.
func Decode(input []byte) *Program {
	p := new(Program)
	for _, part := range bytes.SplitN(input, separator, MaxRoutines) {
		d := decoder{left: part}
		var routine []Instruction
		for len(d.left) > 0 && len(routine) < MaxInstructions {
			routine = append(routine, d.instruction())
		}
		p.Routines = append(p.Routines, routine)
	}
	return p
}

// Calls returns the number of system calls in the program.
func (p *Program) Calls() (n int) {
	for _, routine := range p.Routines {
		for i := range routine {
			if routine[i].Op == OpCall || routine[i].Op == OpCall32 {
				n++
			}
		}
	}
	return n
}

// Shape says what Random makes.
type Shape struct {
	// Routines and Instructions are the number of routines, and of instructions in
	// each.
	Routines, Instructions int
	// Group restricts the program to the calls of a group, from 1 to Groups. 0 is
	// any program.
	Group int
}

// Groups is the number of groups of calls that use the same objects.
var Groups = len(groups)

// Random returns an encoded program of random instructions. In most programs the first routine
// begins with calls that open files of many kinds and start the other routines.
//
// Half of the programs repeat a few instructions, so that their tasks use the same
// objects in the same way at the same time.
func Random(r *rand.Rand, s Shape) []byte {
	g := generator{Rand: r}
	if s.Group > 0 {
		g.focus(groups[s.Group-1])
	} else if r.IntN(2) == 0 {
		g.focus(groups[r.IntN(len(groups))])
	}
	var input []byte
	if r.IntN(8) != 0 {
		input = prologue(r, s.Routines-1)
	}
	for i := range s.Routines {
		if i > 0 {
			input = append(input, separator...)
		}
		for range s.Instructions {
			input = g.instruction(input)
		}
	}
	return input
}

// generator makes random instructions.
type generator struct {
	*rand.Rand
	// templates are encoded instructions that most instructions repeat. nil is for
	// instructions that are all different.
	templates [][]byte
}

// focus restricts the generator to a few instructions, most of them of a group.
func (g *generator) focus(group []int) {
	for range 2 + g.IntN(10) {
		number := group[g.IntN(len(group))]
		if g.IntN(8) == 0 {
			number = g.IntN(entry.Calls)
		}
		g.templates = append(g.templates, g.encode(number, g.callOperation()))
	}
}

// instruction appends an instruction.
func (g *generator) instruction(input []byte) []byte {
	if g.templates != nil && g.IntN(8) != 0 {
		return append(input, g.templates[g.IntN(len(g.templates))]...)
	}
	operation := g.callOperation()
	if g.IntN(8) == 0 {
		operation = g.IntN(operations)
	}
	return append(input, g.encode(g.IntN(entry.Calls), operation)...)
}

// callOperation returns the operation of a call: one in eight is of the i386 ABI.
func (g *generator) callOperation() int {
	if g.IntN(8) == 0 {
		return firstCall32
	}
	return 0
}

// encode returns an instruction with random arguments.
func (g *generator) encode(number, operation int) []byte {
	bytes := make([]byte, 64)
	for i := range bytes {
		bytes[i] = byte(g.Uint32())
	}
	binary.LittleEndian.PutUint16(bytes, uint16(number|operation<<numberBits))
	d := decoder{left: bytes}
	d.instruction()
	return bytes[:len(bytes)-len(d.left)]
}

// The encoding of an instruction starts with a 16-bit word: the call's number, and
// above it the operation. Most values of the operation are OpCall.
const (
	numberBits = 9
	operations = 1 << (16 - numberBits)

	firstCall32 = 0x58 // the least operation of OpCall32
	firstStore  = 0x60
)

// decoder reads an encoded routine. After its end it returns zeros.
type decoder struct{ left []byte }

func (d *decoder) byte() byte {
	if len(d.left) == 0 {
		return 0
	}
	b := d.left[0]
	d.left = d.left[1:]
	return b
}

func (d *decoder) word() uint16 { return uint16(d.byte()) | uint16(d.byte())<<8 }

// instruction decodes the next instruction.
func (d *decoder) instruction() Instruction {
	head := d.word()
	number, operation := int(head&(1<<numberBits-1)), head>>numberBits
	switch {
	case operation < firstCall32:
		return d.call(number)
	case operation < firstStore:
		return d.call32(number)
	case operation < 0x70:
		return Instruction{Op: OpStore, Args: [6]uint64{d.anyAddress(), uint64(d.byte())}}
	case operation < 0x78:
		return Instruction{Op: OpLoad, Args: [6]uint64{d.anyAddress()}}
	case operation < 0x7c:
		return Instruction{Op: OpRefill}
	}
	return Instruction{Op: OpYield}
}

// call decodes the arguments of a system call.
func (d *decoder) call(number int) Instruction {
	s := &calls[number]
	i := Instruction{Op: OpCall, Number: s.number}
	for n, a := range s.arguments {
		value, slot := a.decode(d)
		i.Args[n] = value
		if slot {
			i.Slots |= 1 << n
		}
	}
	return i
}

// call32 decodes the arguments of a system call of the i386 ABI.
func (d *decoder) call32(number int) Instruction {
	i := Instruction{Op: OpCall32, Number: calls32[number].number}
	for n, a := range calls32[number].arguments {
		value, slot := a.decode(d)
		i.Args[n] = uint64(uint32(value))
		if slot {
			i.Slots |= 1 << n
		}
	}
	return i
}

// anyAddress decodes an address of the data area or of the area of mappings.
func (d *decoder) anyAddress() uint64 {
	offset := uint64(d.word())
	if offset%8 == 7 {
		return MapBase + offset*16%MapSize
	}
	return DataBase + offset%uint64(imageSize)
}
