package task

import (
	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/mm"
	"slowpath/task/elf"
	"slowpath/vdso"
)

// classRules say how execve(2) starts a program of an ELF class: where its parts lie, and
// how the vectors on its stack are stored.
type classRules struct {
	end         uint64 // of the user addresses (Linux: TASK_SIZE)
	pieBase     uint64 // of a position-independent program that has a loader (ELF_ET_DYN_BASE)
	mapRandom   uint64 // the greatest random offset of the mmap area, in bytes
	platform    string // AT_PLATFORM
	wordSize    int    // of a pointer, in bytes
	vdso        vdso.Object
	words       func(words []uint64) []byte
	storeVector func(entries []abi.AuxEntry) []byte
}

// rulesOf has the rules of each class. A 32-bit program may choose a lower end, see
// rules.
var rulesOf = [...]classRules{
	elf.Class64: {
		end:         mm.UserEnd,
		pieBase:     mm.UserEnd / 3 * 2 &^ (mm.PageSize - 1),
		mapRandom:   1 << 40, // 28 bits of pages
		platform:    "x86_64",
		wordSize:    8,
		words:       func(words []uint64) []byte { return abi.SliceBytes(words) },
		storeVector: func(entries []abi.AuxEntry) []byte { return abi.SliceBytes(entries) },
	},
	elf.Class32: {
		end:         mm.UserEnd32,
		pieBase:     0x56555000,
		mapRandom:   1 << 20, // 8 bits of pages
		platform:    "i686",
		wordSize:    4,
		vdso:        vdso.Object32,
		words:       narrowWords,
		storeVector: narrowVector,
	},
}

// addrLimit3GB is ADDR_LIMIT_3GB (personality(2)): a 32-bit program has 3 GiB of user
// addresses.
const addrLimit3GB = 0x8000000

// rules returns the rules for the program.
func (p *program) rules() classRules {
	r := rulesOf[p.image.Class]
	if p.image.Class == elf.Class32 && p.personality&addrLimit3GB != 0 {
		r.end = 0xc0000000
	}
	return r
}

// narrowWords returns the words of a 32-bit program.
func narrowWords(words []uint64) []byte {
	narrow := make([]uint32, len(words))
	for i, w := range words {
		narrow[i] = uint32(w)
	}
	return abi.SliceBytes(narrow)
}

// narrowVector returns the auxiliary vector of a 32-bit program.
func narrowVector(entries []abi.AuxEntry) []byte {
	narrow := make([]compat.AuxEntry, len(entries))
	for i, e := range entries {
		narrow[i] = compat.AuxEntry{Type: uint32(e.Type), Value: uint32(e.Value)}
	}
	return abi.SliceBytes(narrow)
}
