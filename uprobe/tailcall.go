package uprobe

import (
	"encoding/binary"

	"slowpath/arch/amd64"
	"slowpath/task"
)

// LeftByJump reports whether the function whose Return runs was left by a jump to another
// function: a tail call. Its result is then not in f yet; the other function returns to its
// caller. Only a consumer's Return may call it. It may sleep.
//
// A return has just popped the word below the stack pointer: it is RIP, or the address of the
// trampoline. (RET with an operand pops more, and compilers for x86-64 do not use it.)
func LeftByJump(t *task.Task, f *amd64.Frame) bool {
	var word [8]byte
	if t.CopyIn(f.RSP-uint64(len(word)), word[:]) != nil {
		return false
	}
	popped := binary.LittleEndian.Uint64(word[:])
	return popped != f.RIP && !isTrampoline(t.MM, popped)
}
