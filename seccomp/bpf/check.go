package bpf

import "golang.org/x/sys/unix"

// Check reports whether a program is a valid filter: its length, its instructions
// and their operands, jumps that stay inside, a RET at the end, and scratch memory
// that is written before it is read (Linux: bpf_check_classic,
// seccomp_check_filter). Error: EINVAL.
func Check(program []Instruction) error {
	if len(program) == 0 || len(program) > MaxInstructions {
		return unix.EINVAL
	}
	for pc, i := range program {
		if !allowed[i.Code] || !i.operandsValid() || !i.jumpsStayBelow(len(program)-pc-1) {
			return unix.EINVAL
		}
	}
	if program[len(program)-1].class() != classRET || !loadsFollowStores(program) {
		return unix.EINVAL
	}
	return nil
}

// Length returns the length of a program in the instructions of eBPF into which Linux
// translates it. Linux limits the length of a chain of filters in these (Linux:
// bpf_convert_filter).
func Length(program []Instruction) int {
	const prologue = 3
	n := prologue
	for _, i := range program {
		n += i.length()
	}
	return n
}

// length returns the number of instructions of eBPF for one instruction.
func (i Instruction) length() int {
	const divisionByX = 5 // with the test for 0
	switch {
	case i.Code == returnK:
		return 2
	case i.Code == div|sourceX:
		return divisionByX
	case !i.conditional():
		return 1
	}
	n := 1
	if i.Code&sourceX == 0 && int32(i.K) < 0 {
		n++ // the constants of eBPF are signed
	}
	if i.JF != 0 && (i.JT != 0 || i.Code&^sourceX == jumpSET) {
		n++ // two targets
	}
	return n
}

// operandsValid checks K of all instructions but jumps.
func (i Instruction) operandsValid() bool {
	switch i.Code {
	case loadABS:
		return i.K < dataSize && i.K%4 == 0
	case loadMEM, loadXMEM, store, storeX:
		return i.K < words
	case div | sourceK:
		return i.K != 0
	case lsh | sourceK, rsh | sourceK:
		return i.K < 32
	}
	return true
}

// jumpsStayBelow reports whether the instruction jumps over fewer than the
// instructions that are left after it.
func (i Instruction) jumpsStayBelow(left int) bool {
	switch {
	case i.Code == jumpAlways:
		return uint64(i.K) < uint64(left)
	case i.conditional():
		return int(i.JT) < left && int(i.JF) < left
	}
	return true
}

// loadsFollowStores reports whether every path to a load of scratch memory stores to
// that word first (Linux: check_load_and_stores). All instructions are valid.
func loadsFollowStores(program []Instruction) bool {
	const all = 1<<words - 1
	// reaching has, for each instruction, the words that all jumps to it have stored.
	reaching := make([]uint16, len(program))
	for pc := range reaching {
		reaching[pc] = all
	}
	stored := uint16(0)
	for pc, i := range program {
		stored &= reaching[pc]
		switch {
		case i.Code == store || i.Code == storeX:
			stored |= 1 << i.K
		case i.Code == loadMEM || i.Code == loadXMEM:
			if stored&(1<<i.K) == 0 {
				return false
			}
		case i.Code == jumpAlways:
			reaching[pc+1+int(i.K)] &= stored
			stored = all
		case i.conditional():
			reaching[pc+1+int(i.JT)] &= stored
			reaching[pc+1+int(i.JF)] &= stored
			stored = all
		}
	}
	return true
}
