package bpf

// value is a word that is known, or that depends on more than number and
// architecture of a call.
type value struct {
	word  uint32
	known bool
}

// Constant returns the verdict of a program for all calls with a number and an
// architecture. It reports false if the verdict depends on more: the arguments or the
// instruction pointer (Linux: seccomp_is_const_allow).
func Constant(program []Instruction, nr int32, arch uint32) (verdict uint32, ok bool) {
	e := emulator{nr: uint32(nr), arch: arch, a: value{known: true}, x: value{known: true}}
	for pc := 0; ; pc++ {
		i := program[pc]
		switch i.class() {
		case classRET:
			if i.Code == returnA {
				return e.a.word, e.a.known
			}
			return i.K, true
		case classJMP:
			skip, known := e.jump(i)
			if !known {
				return 0, false
			}
			pc += skip
		default:
			if !e.execute(i) {
				return 0, e.x.known
			}
		}
	}
}

// emulator is the state of a run of which only number and architecture are known.
type emulator struct {
	nr, arch uint32
	a, x     value
	memory   [words]value
}

// jump returns how many instructions a jump skips.
func (e *emulator) jump(i Instruction) (skip int, known bool) {
	if i.Code == jumpAlways {
		return int(i.K), true
	}
	operand := value{i.K, true}
	if i.Code&sourceX != 0 {
		operand = e.x
	}
	if !e.a.known || !operand.known {
		return 0, false
	}
	yes := false
	switch i.Code &^ sourceX {
	case jumpEQ:
		yes = e.a.word == operand.word
	case jumpGT:
		yes = e.a.word > operand.word
	case jumpGE:
		yes = e.a.word >= operand.word
	case jumpSET:
		yes = e.a.word&operand.word != 0
	}
	if yes {
		return int(i.JT), true
	}
	return int(i.JF), true
}

// execute executes an instruction that is no jump and no RET. It reports false for a
// division by 0, or by an unknown divisor.
func (e *emulator) execute(i Instruction) bool {
	constant := value{i.K, true}
	switch i.Code {
	case loadABS:
		e.a = e.load(i.K / 4)
	case loadIMM:
		e.a = constant
	case loadMEM:
		e.a = e.memory[i.K%words]
	case loadLEN:
		e.a = value{dataSize, true}
	case loadXIMM:
		e.x = constant
	case loadXMEM:
		e.x = e.memory[i.K%words]
	case loadXLEN:
		e.x = value{dataSize, true}
	case store:
		e.memory[i.K%words] = e.a
	case storeX:
		e.memory[i.K%words] = e.x
	case copyToX:
		e.x = e.a
	case copyToA:
		e.a = e.x
	case neg:
		e.a.word = -e.a.word
	default:
		return e.calculate(i)
	}
	return true
}

// load returns a word of the data.
func (e *emulator) load(word uint32) value {
	switch word {
	case 0:
		return value{e.nr, true}
	case 1:
		return value{e.arch, true}
	}
	return value{}
}

// calculate is execute for arithmetic with two operands.
func (e *emulator) calculate(i Instruction) bool {
	if i.Code&sourceX != 0 && !e.x.known {
		e.a.known = false
		return i.Code&^sourceX != div
	}
	m := machine{a: e.a.word, x: e.x.word}
	ok := m.calculate(&i)
	e.a.word = m.a
	return ok
}
