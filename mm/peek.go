package mm

import "sync/atomic"

// Peek reads a byte of user memory that a task reads again and again, through the
// kernel's own mapping of its page. It is valid until a translation of the address
// space changes or goes away. The zero value is not valid. Only one goroutine may use
// it at a time.
type Peek struct {
	memory  *AddressSpace
	word    *uint32 // the word that has the byte
	shift   uint8
	changes uint64 // AddressSpace.changes when the word was found
}

// PeekAt returns a valid Peek for the byte at an address. It may sleep in a page fault.
// Errors: EFAULT, ENOMEM.
func (as *AddressSpace) PeekAt(addr uint64) (p Peek, err error) {
	const wordMask = 3
	err = as.withWord(addr&^wordMask, AccessRead, func(word *uint32) {
		p = Peek{memory: as, word: word, shift: uint8(addr & wordMask * 8), changes: as.changes.Load()}
	})
	return p, err
}

// Read returns the byte, or false if the Peek is not valid any more. It does not sleep.
// The test comes after the read: if nothing has changed until then, the frame had no
// other owner when it was read.
func (p *Peek) Read() (b byte, ok bool) {
	if p.memory == nil {
		return 0, false
	}
	word := atomic.LoadUint32(p.word)
	return byte(word >> (p.shift & 31)), p.memory.changes.Load() == p.changes
}
