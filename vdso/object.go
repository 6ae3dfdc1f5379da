package vdso

import "debug/elf"

// Object is one of the objects.
type Object uint8

// The objects.
const (
	Object64 Object = iota // of 64-bit programs
	Object32               // of 32-bit programs
	objectCount
)

// description describes an object: its format, its name and versions, and its functions.
type description struct {
	class     elf.Class
	machine   elf.Machine
	sizes     sizes
	encode    func(any) []byte
	soName    string // vdso(7)
	versions  []string
	functions []function
	aliases   bool // each function has a second symbol, without the prefix "__vdso_"
	frames    func(b *builder) []frameEntry
}

// sizes are the sizes of the structures of an ELF class in bytes (System V ABI, chapters 4
// and 5).
type sizes struct{ header, program, section, symbol, dynamic int }

var objects = [objectCount]description{
	Object64: {
		class: elf.ELFCLASS64, machine: elf.EM_X86_64, sizes: sizes{64, 56, 64, 24, 16}, encode: encode,
		soName: "linux-vdso.so.1", versions: []string{"LINUX_2.6"}, functions: functions64, aliases: true,
	},
	Object32: {
		class: elf.ELFCLASS32, machine: elf.EM_386, sizes: sizes{52, 32, 40, 16, 8}, encode: encodeNarrow,
		soName: "linux-gate.so.1", versions: []string{"LINUX_2.6", "LINUX_2.5"}, functions: functions32, frames: frames32,
	},
}

// encodeNarrow is encode for the structures of ELF32: it takes those of ELF64.
func encodeNarrow(value any) []byte {
	switch v := value.(type) {
	case elf.Header64:
		return encode(elf.Header32{
			Ident: v.Ident, Type: v.Type, Machine: v.Machine, Version: v.Version, Entry: uint32(v.Entry),
			Phoff: uint32(v.Phoff), Shoff: uint32(v.Shoff), Flags: v.Flags, Ehsize: v.Ehsize,
			Phentsize: v.Phentsize, Phnum: v.Phnum, Shentsize: v.Shentsize, Shnum: v.Shnum, Shstrndx: v.Shstrndx,
		})
	case []elf.Section64:
		return encodeEach(v, func(s elf.Section64) elf.Section32 {
			return elf.Section32{
				Name: s.Name, Type: s.Type, Flags: uint32(s.Flags), Addr: uint32(s.Addr), Off: uint32(s.Off), Size: uint32(s.Size),
				Link: s.Link, Info: s.Info, Addralign: uint32(s.Addralign), Entsize: uint32(s.Entsize),
			}
		})
	case []elf.Sym64:
		return encodeEach(v, func(s elf.Sym64) elf.Sym32 {
			return elf.Sym32{Name: s.Name, Value: uint32(s.Value), Size: uint32(s.Size), Info: s.Info, Other: s.Other, Shndx: s.Shndx}
		})
	case []elf.Dyn64:
		return encodeEach(v, func(d elf.Dyn64) elf.Dyn32 { return elf.Dyn32{Tag: int32(d.Tag), Val: uint32(d.Val)} })
	case []elf.Prog64:
		return encodeEach(v, func(p elf.Prog64) elf.Prog32 {
			return elf.Prog32{
				Type: p.Type, Off: uint32(p.Off), Vaddr: uint32(p.Vaddr), Paddr: uint32(p.Paddr),
				Filesz: uint32(p.Filesz), Memsz: uint32(p.Memsz), Flags: p.Flags, Align: uint32(p.Align),
			}
		})
	}
	panic("encodeNarrow has no conversion for this structure")
}

// encodeEach encodes the structures that convert returns.
func encodeEach[W, N any](wide []W, convert func(W) N) []byte {
	narrow := make([]N, len(wide))
	for i := range wide {
		narrow[i] = convert(wide[i])
	}
	return encode(narrow)
}
