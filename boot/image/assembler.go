package image

import "slowpath/arch/amd64"

// assembler emits 16-bit and 32-bit code, which Go's assembler cannot.
type assembler struct {
	at   uint64 // the address of code[0]
	code []byte
}

func (a *assembler) emit(b ...byte)    { a.code = append(a.code, b...) }
func (a *assembler) word(v uint16)     { a.code = le.AppendUint16(a.code, v) }
func (a *assembler) long(v uint32)     { a.code = le.AppendUint32(a.code, v) }
func (a *assembler) here() uint64      { return a.at + uint64(len(a.code)) }
func (a *assembler) pushByte(v byte)   { a.emit(0x6a, v) }
func (a *assembler) pushLong(v uint32) { a.emit(0x68); a.long(v) }

// jump emits JMP rel32.
func (a *assembler) jump(to uint64) {
	a.emit(0xe9)
	a.long(uint32(to - (a.here() + 4)))
}

// The bits that are set to enter 64-bit mode (SDM vol. 3A, 2.2.1, 2.5 and 9.8.5).
const (
	cr0Protection = 1 << 0
	cr0Monitor    = 1 << 1
	cr0Extension  = 1 << 4
	cr0Numeric    = 1 << 5
	cr0WriteProt  = 1 << 16
	cr0Alignment  = 1 << 18
	cr0Paging     = 1 << 31

	cr4PAE        = 1 << 5
	cr4FXSR       = 1 << 9
	cr4Exceptions = 1 << 10

	efer         = 0xc0000080
	eferSyscall  = 1 << 0
	eferLongMode = 1 << 8
	eferNX       = 1 << 11
)

// longMode emits the switch from 32-bit protected mode without paging to 64-bit mode.
// The argument is the 32-bit address of the operand of LGDT.
func (a *assembler) longMode(gdtPointer uint32) {
	a.emit(0xb8) // mov eax, pml4
	a.long(pml4At)
	a.emit(0x0f, 0x22, 0xd8) // mov cr3, eax
	a.emit(0x0f, 0x20, 0xe0) // mov eax, cr4
	a.emit(0x0d)             // or eax, ...
	a.long(cr4PAE | cr4FXSR | cr4Exceptions)
	a.emit(0x0f, 0x22, 0xe0) // mov cr4, eax
	a.emit(0xb9)             // mov ecx, EFER
	a.long(efer)
	a.emit(0x0f, 0x32) // rdmsr
	a.emit(0x0d)       // or eax, ...
	a.long(eferSyscall | eferLongMode | eferNX)
	a.emit(0x0f, 0x30) // wrmsr
	a.emit(0xb8)       // mov eax, ...
	a.long(cr0Paging | cr0Alignment | cr0WriteProt | cr0Numeric | cr0Extension | cr0Monitor | cr0Protection)
	a.emit(0x0f, 0x22, 0xc0) // mov cr0, eax
	a.emit(0x0f, 0x01, 0x15) // lgdt [gdtPointer]
	a.long(gdtPointer)
	a.emit(0xea) // jmp bootCode64:next
	a.long(uint32(a.here()) + 6)
	a.word(bootCode64)
}

// enterGo emits code that loads the data segments and jumps to a function of the Go
// image. It preserves EDI.
func (a *assembler) enterGo(entry uint64) {
	a.emit(0x66, 0xb8) // mov ax, bootData
	a.word(bootData)
	a.emit(0x8e, 0xd8) // mov ds, ax
	a.emit(0x8e, 0xc0) // mov es, ax
	a.emit(0x8e, 0xd0) // mov ss, ax
	a.emit(0x31, 0xc0) // xor eax, eax
	a.emit(0x8e, 0xe0) // mov fs, ax
	a.emit(0x8e, 0xe8) // mov gs, ax
	a.emit(0x89, 0xff) // mov edi, edi: clears the upper half
	a.emit(0x48, 0xb8) // mov rax, entry
	a.code = le.AppendUint64(a.code, entry)
	a.emit(0xff, 0xe0) // jmp rax
}

// firstProcessor returns the entry code of PVH. It starts in 32-bit protected mode
// without paging, with the physical address of hvm_start_info in EBX.
func firstProcessor(entry uint64) []byte {
	a := assembler{at: Base}
	a.emit(0xfa)       // cli
	a.emit(0xfc)       // cld
	a.emit(0x89, 0xdf) // mov edi, ebx
	a.longMode(gdtPointerAt)
	a.enterGo(entry)
	return a.code
}

// otherProcessor returns the code at which a startup IPI starts the other processors, in
// 16-bit real mode with CS = TrampolineRuns/16.
func otherProcessor(entry uint64) []byte {
	a := assembler{at: TrampolineRuns}
	a.emit(0xfa)                   // cli
	a.emit(0xfc)                   // cld
	a.emit(0x31, 0xc0)             // xor ax, ax
	a.emit(0x8e, 0xd8)             // mov ds, ax
	a.emit(0x66, 0x0f, 0x01, 0x16) // lgdtd [trampolineGDT]
	a.word(trampolineGDT)
	a.emit(0x0f, 0x20, 0xc0)       // mov eax, cr0
	a.emit(0x66, 0x83, 0xc8, 0x01) // or eax, protection
	a.emit(0x0f, 0x22, 0xc0)       // mov cr0, eax
	a.emit(0x66, 0xea)             // jmpd bootCode32:next
	a.long(uint32(a.here()) + 6)
	a.word(bootCode32)
	a.emit(0x66, 0xb8) // mov ax, bootData
	a.word(bootData)
	a.emit(0x8e, 0xd8) // mov ds, ax
	a.emit(0x8e, 0xd0) // mov ss, ax
	a.longMode(trampolineGDT)
	a.enterGo(entry)
	return a.code
}

// The compiler checks that the page of the per-CPU blocks is the last page of the
// segment. It starts as zeros.
var _ [Base + Size - (amd64.StubBase - amd64.ImageBase) - 2*amd64.PageSize]struct{}
