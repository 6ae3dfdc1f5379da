package abi

// Elf64Ehdr is Elf64_Ehdr, the header of an ELF file (elf(5), linux/elf.h).
type Elf64Ehdr struct {
	Ident           [16]uint8
	Type, Machine   uint16
	Version         uint32
	Entry           uint64
	Phoff, Shoff    uint64
	Flags           uint32
	Ehsize          uint16
	Phentsize       uint16
	Phnum           uint16
	Shentsize       uint16
	Shnum, Shstrndx uint16
}

// Elf64Phdr is Elf64_Phdr, a program header of an ELF file (elf(5),
// linux/elf.h).
type Elf64Phdr struct {
	Type, Flags   uint32
	Offset        uint64
	Vaddr, Paddr  uint64
	Filesz, Memsz uint64
	Align         uint64
}
