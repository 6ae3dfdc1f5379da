package elf

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
)

// Class is the class of an ELF file: the width of its addresses (elf(5), EI_CLASS).
type Class uint8

// The classes.
const (
	Class64 Class = iota // x86-64
	Class32              // i386
)

// facts describes the files of a class.
type facts struct {
	ident      uint8    // EI_CLASS
	machines   []uint16 // e_machine
	headerSize int      // of a program header, in bytes
	limit      uint64   // the end of the user addresses (Linux: TASK_SIZE)
	readHeader func(File) (*abi.Elf64Ehdr, error)
	readTable  func(file File, at int64, count int) ([]abi.Elf64Phdr, error)
}

// classes has the facts of each class. An i386 program may have the machine number of the
// i486, EM_486 (Linux: elf_check_arch_ia32).
var classes = [...]facts{
	Class64: {ident: 2, machines: []uint16{62}, headerSize: HeaderSize, limit: 1<<47 - PageSize, readHeader: readHeader64, readTable: readTable64},
	Class32: {ident: 1, machines: []uint16{3, 6}, headerSize: 32, limit: 1<<32 - 2*PageSize, readHeader: readHeader32, readTable: readTable32},
}

func (c Class) facts() *facts { return &classes[c] }

// HeaderSize returns AT_PHENT, the size of a program header in bytes. Any context.
func (c Class) HeaderSize() int { return c.facts().headerSize }

// readHeader reads the ELF header, in the form of 64-bit files. ENOEXEC for a class that
// is neither.
func readHeader(file File) (Class, *abi.Elf64Ehdr, error) {
	var ident [5]byte
	if err := readFull(file, ident[:], 0); err != nil {
		return 0, nil, err
	}
	for c := range classes {
		if classes[c].ident == ident[4] {
			header, err := classes[c].readHeader(file)
			return Class(c), header, err
		}
	}
	return 0, nil, unix.ENOEXEC
}

func readHeader64(file File) (*abi.Elf64Ehdr, error) {
	var h abi.Elf64Ehdr
	err := readFull(file, abi.Bytes(&h), 0)
	return &h, err
}

func readHeader32(file File) (*abi.Elf64Ehdr, error) {
	var h compat.Ehdr
	err := readFull(file, abi.Bytes(&h), 0)
	return &abi.Elf64Ehdr{
		Ident: h.Ident, Type: h.Type, Machine: h.Machine, Version: h.Version,
		Entry: uint64(h.Entry), Phoff: uint64(h.Phoff), Shoff: uint64(h.Shoff), Flags: h.Flags,
		Ehsize: h.Ehsize, Phentsize: h.Phentsize, Phnum: h.Phnum,
		Shentsize: h.Shentsize, Shnum: h.Shnum, Shstrndx: h.Shstrndx,
	}, err
}

func readTable64(file File, at int64, count int) ([]abi.Elf64Phdr, error) {
	table := make([]abi.Elf64Phdr, count)
	return table, readFull(file, abi.SliceBytes(table), at)
}

func readTable32(file File, at int64, count int) ([]abi.Elf64Phdr, error) {
	narrow := make([]compat.Phdr, count)
	err := readFull(file, abi.SliceBytes(narrow), at)
	table := make([]abi.Elf64Phdr, count)
	for i, p := range narrow {
		table[i] = abi.Elf64Phdr{
			Type: p.Type, Flags: p.Flags, Offset: uint64(p.Offset), Vaddr: uint64(p.Vaddr), Paddr: uint64(p.Paddr),
			Filesz: uint64(p.Filesz), Memsz: uint64(p.Memsz), Align: uint64(p.Align),
		}
	}
	return table, err
}
