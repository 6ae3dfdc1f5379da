package task

import "golang.org/x/sys/unix"

// futexOp is the decoded operation of FUTEX_WAKE_OP (futex(2)).
type futexOp struct {
	operation, comparison uint32
	argument, compareTo   int32
}

// decodeFutexOp reads the four fields of the encoded operation: four bits
// each for the operation and the comparison, twelve for each argument.
func decodeFutexOp(encoded uint32) (futexOp, error) {
	const shiftArgument = 8
	op := futexOp{
		operation:  encoded >> 28 & 7,
		comparison: encoded >> 24 & 0xf,
		argument:   int32(encoded<<8) >> 20,
		compareTo:  int32(encoded<<20) >> 20,
	}
	if encoded>>28&shiftArgument != 0 {
		op.argument = 1 << (uint32(op.argument) & 31)
	}
	if op.operation > 4 || op.comparison > 5 {
		return op, unix.ENOSYS
	}
	return op, nil
}

// apply returns the new value of the word.
func (op futexOp) apply(was uint32) uint32 {
	argument := uint32(op.argument)
	switch op.operation {
	case 0: // FUTEX_OP_SET
		return argument
	case 1: // FUTEX_OP_ADD
		return was + argument
	case 2: // FUTEX_OP_OR
		return was | argument
	case 3: // FUTEX_OP_ANDN
		return was &^ argument
	}
	return was ^ argument // FUTEX_OP_XOR
}

// passes compares the old value.
func (op futexOp) passes(was int32) bool {
	switch op.comparison {
	case 0:
		return was == op.compareTo
	case 1:
		return was != op.compareTo
	case 2:
		return was < op.compareTo
	case 3:
		return was <= op.compareTo
	case 4:
		return was > op.compareTo
	}
	return was >= op.compareTo
}
