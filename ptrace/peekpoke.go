package ptrace

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/mm"
)

// memoryRequests read and write a word of the tracee's memory.
var memoryRequests = map[int32]request{
	unix.PTRACE_PEEKTEXT: {"PEEKTEXT", needsStopped, only(peek)},
	unix.PTRACE_PEEKDATA: {"PEEKDATA", needsStopped, only(peek)},
	unix.PTRACE_POKETEXT: {"POKETEXT", needsStopped, only(poke)},
	unix.PTRACE_POKEDATA: {"POKEDATA", needsStopped, only(poke)},
}

// wordSize is the size of a word in bytes.
const wordSize = 8

// peek stores the word at addr at the address data of the tracer. The protection does
// not matter. Errors: EIO if the word is not mapped, EFAULT for a bad data.
func peek(c *call) error {
	space, err := c.tracer.TraceeMemory(c.tracee)
	if err != nil {
		return err
	}
	var word [wordSize]byte
	if n, _ := space.ReadRemote(word[:], c.addr, mm.Forced); n < len(word) {
		if _, err := c.tracer.ReadOther(space, c.addr, word[:], mm.Forced); err != nil {
			return unix.EIO
		}
	}
	return c.tracer.CopyOut(c.data, word[:])
}

// poke writes data to the word at addr. A read-only page of a private mapping becomes a
// private copy, so that a debugger can write breakpoints into a program. EIO if the word
// is not mapped, or is in a shared mapping that is read-only. The first part of a word
// may be written although the second cannot, as in Linux.
func poke(c *call) error {
	space, err := c.tracer.TraceeMemory(c.tracee)
	if err != nil {
		return err
	}
	var word [wordSize]byte
	binary.LittleEndian.PutUint64(word[:], c.data)
	if _, err := c.tracer.WriteOther(space, c.addr, word[:], mm.Forced); err != nil {
		return unix.EIO
	}
	return nil
}
