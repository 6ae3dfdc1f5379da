package amd64

import "unsafe"

// CopyUser copies n bytes between kernel memory and the user address user of
// the page tables at root, within one page. It returns the number of bytes
// copied, which is less than n if the page is not present or does not allow the
// access. user+n must be at most UserLimit; page 0 is never mapped for users.
// Goroutines call it. Interrupts are off during the copy, so that the CPU keeps
// its page tables.
func CopyUser(root uint64, kernel unsafe.Pointer, user uint64, n int, toUser bool) int {
	if user < PageSize {
		return 0
	}
	// Both stay pointers up to the call: the kernel's may point into this
	// goroutine's stack, which can move until then.
	to, from := kernel, pointer(user)
	if toUser {
		to, from = from, to
	}
	return n - int(copyUser(root, to, from, uint64(n)))
}

// LoadUser reads the word at a user address, a multiple of 4, of the page tables at root. It
// reports false if the page is not present or does not allow the access. The address must be
// below UserLimit. The copy of an aligned quadword is one access (SDM vol. 3A, 9.1.1), so the
// read is atomic. Goroutines call it.
func LoadUser(root, user uint64) (value uint32, ok bool) {
	const quadword = 8
	var both uint64
	if CopyUser(root, unsafe.Pointer(&both), user&^(quadword-1), quadword, false) != quadword {
		return 0, false
	}
	return uint32(both >> (user % quadword * 8)), true
}

//go:noescape
func copyUser(root uint64, to, from unsafe.Pointer, n uint64) (left uint64)

// FixupExit handles an exception that the IRETQ raised by which EnterUser enters user
// mode, because the registers that a program chose cannot be loaded (Linux:
// fixup_bad_iret). It makes the exception look as if the program had raised it, and
// returns true: EnterUser returns the vector, and f, the frame of the runtime thread,
// continues there. It returns false for every other exception. Package goos calls it
// first for an exception in the kernel, with interrupts off.
func FixupExit(f *Frame) bool { return fixupExit(thisCPU(), f) }

func fixupExit(c *perCPU, f *Frame) bool {
	user := frameAt(c.userFrame)
	// The trampoline's RSP is then in the program's frame, and nowhere else.
	if user == nil || f.RSP != uint64(uintptr(unsafe.Pointer(&user.RIP))) || *(*[2]byte)(pointer(f.RIP)) != iretq {
		return false
	}
	user.Vector, user.Error = f.Vector, f.Error
	if user.SS&localTable != 0 {
		user.Vector, user.Error = GeneralProtection, 0
	}
	user.Flags, user.OrigRAX = LeaveByIRET|CallOver, NotInSyscall
	f.EndEnterUser(user)
	f.FSBase = c.kernelFS // the exit has loaded the program's
	*(*int)(pointer(f.RSP + enterUserResult)) = Vector(int(user.Vector))
	return true
}

// localTable is the bit of a selector that names a segment of the LDT. Linux returns to such
// a stack through espfix, whose faults all become a #GP without an error code
// (exc_double_fault).
const localTable = 4

// iretq is the instruction IRETQ.
var iretq = [2]byte{0x48, 0xcf}

// enterUserResult is the offset of EnterUser's result from the stack pointer at its
// RET.
const enterUserResult = 16

// userAccess is one row of the exception table: a fault on a user address in
// the size bytes of code from start continues at fixup.
type userAccess struct{ start, fixup, size uint64 }

// Fixup looks up the faulting instruction among those that may access user
// memory (Linux: fixup_exception). If it finds it, it moves RIP to the code that
// reports the failure, and returns true. Package goos calls it first for a page
// fault in the kernel.
func Fixup(f *Frame) bool {
	accesses := [...]userAccess{
		{start: codeAddresses[copyUserCode], fixup: codeAddresses[copyUserEndCode], size: 128},
	}
	for _, a := range accesses {
		if f.RIP-a.start < a.size && f.CR2 < 1<<47 {
			f.RIP = a.fixup
			return true
		}
	}
	return false
}
