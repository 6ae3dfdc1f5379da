package compat

// Ehdr is Elf32_Ehdr, the header of an ELF file (elf(5), linux/elf.h).
type Ehdr struct {
	Ident           [16]uint8
	Type, Machine   uint16
	Version         uint32
	Entry, Phoff    uint32
	Shoff, Flags    uint32
	Ehsize          uint16
	Phentsize       uint16
	Phnum           uint16
	Shentsize       uint16
	Shnum, Shstrndx uint16
}

// Phdr is Elf32_Phdr, a program header of an ELF file (elf(5), linux/elf.h).
type Phdr struct {
	Type, Offset  uint32
	Vaddr, Paddr  uint32
	Filesz, Memsz uint32
	Flags, Align  uint32
}

// AuxEntry is Elf32_auxv_t, an entry of the auxiliary vector (getauxval(3)).
type AuxEntry struct{ Type, Value uint32 }
