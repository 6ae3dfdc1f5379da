package insn

// operation is what Emulate does for an instruction.
type operation uint8

const notEmulated operation = 0

func operationOf(i *Instruction) operation { return notEmulated }

const (
	rax = iota
	rcx
	rdx
	rbx
	rsp
	rbp
	rsi
	rdi
)
