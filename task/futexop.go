package task

import "golang.org/x/sys/unix"

// futexOp is the decoded operation of FUTEX_WAKE_OP (futex(2)).
type futexOp struct {
	operation, comparison uint32
	argument, compareTo   int32
}

// decodeFutexOp decodes the argument val3 of FUTEX_WAKE_OP: bits 28 to 31 are the
// operation, 24 to 27 the comparison, 12 to 23 and 0 to 11 their signed
// arguments. ENOSYS for an operation or comparison that does not exist.
func decodeFutexOp(encoded uint32) (futexOp, error) {
	const shiftArgument = 8 // FUTEX_OP_ARG_SHIFT: the argument is a bit number
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

// apply returns the new value of a word with the value was.
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

// passes reports whether the old value was satisfies the comparison.
func (op futexOp) passes(was int32) bool {
	switch op.comparison {
	case 0: // FUTEX_OP_CMP_EQ
		return was == op.compareTo
	case 1: // FUTEX_OP_CMP_NE
		return was != op.compareTo
	case 2: // FUTEX_OP_CMP_LT
		return was < op.compareTo
	case 3: // FUTEX_OP_CMP_LE
		return was <= op.compareTo
	case 4: // FUTEX_OP_CMP_GT
		return was > op.compareTo
	}
	return was >= op.compareTo // FUTEX_OP_CMP_GE
}
