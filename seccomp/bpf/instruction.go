// Package bpf checks and executes the classic BPF programs of seccomp(2).
//
// Check applies Linux's rules. Compile then turns a program into a graph of nodes.
// A run of comparisons of the accumulator with constants, of any shape, becomes one
// node with a sorted list of intervals, so a chain of n comparisons takes log n
// steps. Jumps of classic BPF only go forward, so every program ends.
package bpf

import "slowpath/abi"

// Instruction is one instruction of a program.
type Instruction abi.SockFilter

// Limits of a program.
const (
	// MaxInstructions is the greatest length of a program (BPF_MAXINSNS).
	MaxInstructions = 4096
	// words is the number of words of scratch memory (BPF_MEMWORDS).
	words = 16
	// dataSize is the size of struct seccomp_data in bytes.
	dataSize = 64
	// dataWords is its size in words.
	dataWords = dataSize / 4
)

// The parts of an instruction's code (include/uapi/linux/bpf_common.h).
const (
	classLD   = 0x00
	classLDX  = 0x01
	classST   = 0x02
	classSTX  = 0x03
	classALU  = 0x04
	classJMP  = 0x05
	classRET  = 0x06
	classMISC = 0x07

	modeIMM = 0x00
	modeABS = 0x20
	modeMEM = 0x60
	modeLEN = 0x80

	sourceK = 0x00
	sourceX = 0x08
	valueA  = 0x10 // of RET
)

// The instructions that a filter may have.
const (
	loadABS  = classLD | modeABS
	loadIMM  = classLD | modeIMM
	loadMEM  = classLD | modeMEM
	loadLEN  = classLD | modeLEN
	loadXIMM = classLDX | modeIMM
	loadXMEM = classLDX | modeMEM
	loadXLEN = classLDX | modeLEN
	store    = classST
	storeX   = classSTX

	add = classALU | 0x00
	sub = classALU | 0x10
	mul = classALU | 0x20
	div = classALU | 0x30
	or  = classALU | 0x40
	and = classALU | 0x50
	lsh = classALU | 0x60
	rsh = classALU | 0x70
	neg = classALU | 0x80
	xor = classALU | 0xa0

	jumpAlways = classJMP | 0x00
	jumpEQ     = classJMP | 0x10
	jumpGT     = classJMP | 0x20
	jumpGE     = classJMP | 0x30
	jumpSET    = classJMP | 0x40

	returnK = classRET | sourceK
	returnA = classRET | valueA

	copyToX = classMISC | 0x00 // TAX
	copyToA = classMISC | 0x80 // TXA
)

// allowed has the codes of the instructions above.
var allowed = func() map[uint16]bool {
	codes := map[uint16]bool{}
	for _, code := range []uint16{
		loadABS, loadIMM, loadMEM, loadLEN, loadXIMM, loadXMEM, loadXLEN, store, storeX, neg, jumpAlways,
		returnK, returnA, copyToX, copyToA,
	} {
		codes[code] = true
	}
	for _, code := range []uint16{add, sub, mul, div, or, and, lsh, rsh, xor, jumpEQ, jumpGT, jumpGE, jumpSET} {
		codes[code|sourceK], codes[code|sourceX] = true, true
	}
	return codes
}()

// class returns the class of the instruction.
func (i Instruction) class() uint16 { return i.Code & 7 }

// conditional reports whether the instruction is a jump with two targets.
func (i Instruction) conditional() bool { return i.class() == classJMP && i.Code != jumpAlways }

// Data is what a filter reads: struct seccomp_data. Args are not copied.
type Data struct {
	NR   int32
	Arch uint32 // AUDIT_ARCH_*
	IP   uint64 // the address after the SYSCALL instruction
	Args *[6]uint64
}

// firstArgument is the index of the first word of the arguments.
const firstArgument = 4

// word returns a word of struct seccomp_data.
func (d *Data) word(i uint8) uint32 {
	if i >= firstArgument {
		return uint32(d.Args[(i-firstArgument)/2] >> (i % 2 * 32))
	}
	return d.header(i)
}

// header returns one of the words before the arguments.
func (d *Data) header(i uint8) uint32 {
	switch i {
	case 0:
		return uint32(d.NR)
	case 1:
		return d.Arch
	case 2:
		return uint32(d.IP)
	}
	return uint32(d.IP >> 32)
}
