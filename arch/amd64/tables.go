package amd64

import "unsafe"

// The descriptor tables are package variables, because the CPUs keep their
// addresses (SDM vol. 3A, 3.4.5 and 6.11). They are written at boot only, except for
// the busy bits that LTR sets, and the descriptors of the LDT and of TLS, which each CPU
// writes in its own GDT.
var (
	gdt [MaxCPUs][tssBase/8 + 2*MaxCPUs]uint64
	idt [256][2]uint64
	tss [MaxCPUs]taskState
)

// taskState is a 64-bit task-state segment, which holds stack pointers (SDM vol. 3A,
// 7.7) and the bitmap of I/O ports. Its 64-bit fields are not aligned, so they are declared
// in 32-bit halves.
type taskState struct {
	registers [tssRegisters / 4]uint32
	ports     [PortCount / 32]uint32
	end       uint32 // all ones: the CPU reads a byte beyond the bitmap (SDM vol. 1, 19.5.2)
}

// tssRegisters is the size of a task-state segment without the bitmap, and noBitmap an offset
// of the bitmap that is beyond the segment: users may access no port.
const (
	tssRegisters = 104
	noBitmap     = 0xffff
)

// Indices into a taskState.
const (
	tssRSP0 = 1
	tssIST1 = 9
	tssIOPB = 25
)

func (t *taskState) setStack(word int, top uint64) {
	t.registers[word], t.registers[word+1] = uint32(top), uint32(top>>32)
}

// istStacks are the stacks of the interrupt-stack table of one CPU. A trap leaves
// its stack within a few instructions, after it has moved what was pushed into a
// Frame. So one stack is enough for all vectors that cannot occur during those
// instructions.
type istStacks [5][4096]byte

// Slots of the interrupt-stack table, counted from 1.
const (
	istTrap = iota + 1
	istDebug
	istNMI
	istDoubleFault
	istMachineCheck
)

var (
	trapStacks [MaxCPUs]istStacks
	goosStacks [MaxCPUs][16384]byte
)

// Exception vectors (SDM vol. 3A, 6.3.1).
const (
	DivideError        = 0
	Debug              = 1
	NMI                = 2
	Breakpoint         = 3
	Overflow           = 4
	BoundRange         = 5
	InvalidOpcode      = 6
	DeviceNotAvailable = 7
	DoubleFault        = 8
	InvalidTSS         = 10
	SegmentNotPresent  = 11
	StackFault         = 12
	GeneralProtection  = 13
	PageFault          = 14
	X87Error           = 16
	AlignmentCheck     = 17
	MachineCheck       = 18
	SIMDError          = 19

	// Int80 is the vector that the stub of INT 0x80 reports: that of the coprocessor
	// segment overrun, which no 64-bit CPU raises. So EnterUser returns as for an
	// exception.
	Int80 = 9
	// SyscallVector is the vector of INT 0x80 in the IDT.
	SyscallVector = 0x80
)

// Vectors of interrupts. Input n of the first I/O APIC, which has 24, has vector
// VectorDevice+n. The first 16 are those of the ISA bus.
const (
	VectorDevice   = 0x30
	VectorTimer    = 0x48
	VectorIPI      = 0x49
	VectorSpurious = 0xff
)

// StubBase is the address of the entry stubs of the 256 vectors, 16 bytes each,
// from boot/image. A stub pushes an error code if the CPU does not, pushes the
// vector, and jumps to a trampoline.
const StubBase = 0xffffffff80108000

// gate returns the IDT entry of a vector: an interrupt gate, so interrupts are
// off in the handler (SDM vol. 3A, 6.14.1).
func gate(vector, ist, dpl uint64) [2]uint64 {
	a := uint64(StubBase) + 16*vector
	return [2]uint64{
		a&0xffff | KernelCS<<16 | ist<<32 | (0x8e|dpl<<5)<<40 | (a>>16&0xffff)<<48,
		a >> 32,
	}
}

// buildTables fills the GDTs, and the IDT, which all CPUs share.
func buildTables() {
	for i := range gdt {
		t := &gdt[i]
		t[KernelCS/8] = 0x00af9b000000ffff
		t[KernelSS/8] = 0x00cf93000000ffff
		t[User32CS/8] = 0x00cffb000000ffff
		t[UserSS/8] = 0x00cff3000000ffff
		t[UserCS/8] = 0x00affb000000ffff
		// LSL reads the limit: the CPU's number, and from bit 12 the node's (Linux:
		// setup_getcpu).
		t[cpuNumber/8] = 0x0040f50000000000 | uint64(i)
	}
	for v := range idt {
		idt[v] = gate(uint64(v), istTrap, 0)
	}
	idt[Breakpoint] = gate(Breakpoint, istTrap, 3) // users may execute INT3
	idt[Overflow] = gate(Overflow, istTrap, 3)
	idt[SyscallVector] = gate(SyscallVector, istTrap, 3)
	idt[Debug] = gate(Debug, istDebug, 0)
	idt[NMI] = gate(NMI, istNMI, 0)
	idt[DoubleFault] = gate(DoubleFault, istDoubleFault, 0)
	idt[MachineCheck] = gate(MachineCheck, istMachineCheck, 0)
}

// stackTop returns the 16-byte aligned end of a stack.
func stackTop(s []byte) uint64 {
	return (uint64(uintptr(unsafe.Pointer(&s[0]))) + uint64(len(s))) &^ 15
}

// tableDescriptor is the operand of LGDT and LIDT: a 16-bit limit, followed by an
// address that is not aligned.
type tableDescriptor [5]uint16

func describe(table unsafe.Pointer, size uintptr) tableDescriptor {
	a := uint64(uintptr(table))
	return tableDescriptor{uint16(size - 1), uint16(a), uint16(a >> 16), uint16(a >> 32), uint16(a >> 48)}
}

// loadTables loads the tables and CPU i's task state on CPU i.
func loadTables(i uint64) {
	t := &tss[i]
	for n := range trapStacks[i] {
		t.setStack(tssIST1+2*n, stackTop(trapStacks[i][n][:]))
	}
	t.setStack(tssRSP0, stackTop(trapStacks[i][0][:]))
	t.registers[tssIOPB], t.end = noBitmap<<16, ^uint32(0)

	a := uint64(uintptr(unsafe.Pointer(t)))
	const limit, available = uint64(unsafe.Sizeof(*t) - 1), 0x89
	gdt[i][tssBase/8+2*i] = limit | (a&0xffffff)<<16 | available<<40 | (a>>24&0xff)<<56
	gdt[i][tssBase/8+2*i+1] = a >> 32

	d := describe(unsafe.Pointer(&gdt[i]), unsafe.Sizeof(gdt[i]))
	loadGDT(unsafe.Pointer(&d))
	d = describe(unsafe.Pointer(&idt), unsafe.Sizeof(idt))
	loadIDT(unsafe.Pointer(&d))
	loadTaskRegister(tssBase + tssStride*i)
	// After a reset the LDT is present, at address 0, with a limit of 64 KiB (SDM
	// vol. 3A, table 9-1). A program could write its descriptors, call gates too. The
	// null selector makes every reference to it raise #GP.
	loadLDT(0)
}
