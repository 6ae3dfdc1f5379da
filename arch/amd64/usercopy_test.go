package amd64

import (
	"testing"
	"unsafe"
)

// exitFault returns a CPU whose IRETQ to a program's frame has faulted: the frame of
// the program, that of the runtime thread, and the stack of EnterUser.
func exitFault() (c *perCPU, user, thread *Frame, stack *[8]uint64) {
	user, stack = &Frame{RIP: 1 << 63, RAX: 7, OrigRAX: 39}, new([8]uint64)
	user.kernelSP = uint64(uintptr(unsafe.Pointer(stack)))
	user.kernelBP = 0x1234
	c = &perCPU{userFrame: frameAddress(user), kernelFS: 0x5678}
	thread = &Frame{
		RIP: uint64(uintptr(unsafe.Pointer(&iretq))), RSP: uint64(uintptr(unsafe.Pointer(&user.RIP))),
		Vector: GeneralProtection, Error: 0x18, FSBase: 0xdead,
	}
	return c, user, thread, stack
}

// TestFaultOfUserExitBecomesTheProgramsException: an IRETQ that faults in ring 0 must
// end EnterUser with the exception, as if the program had raised it.
func TestFaultOfUserExitBecomesTheProgramsException(t *testing.T) {
	c, user, thread, stack := exitFault()
	if !fixupExit(c, thread) {
		t.Fatal("the fault is not recognised")
	}
	if user.Vector != GeneralProtection || user.Error != 0x18 || user.OrigRAX != NotInSyscall || user.Flags != LeaveByIRET|CallOver {
		t.Errorf("the program's frame is %+v", user)
	}
	if user.RIP != 1<<63 || user.RAX != 7 {
		t.Errorf("the program's registers changed: RIP %#x, RAX %#x", user.RIP, user.RAX)
	}
	if thread.RIP != codeAddresses[justReturnCode] || thread.RSP != user.kernelSP || thread.RBP != 0x1234 || thread.FSBase != 0x5678 || !thread.InterruptsOn() {
		t.Errorf("the thread does not continue at the end of EnterUser: %+v", thread)
	}
	if event := int(stack[enterUserResult/8]); Vector(event) != GeneralProtection {
		t.Errorf("EnterUser returns %d, want the complement of %d", event, GeneralProtection)
	}
}

// TestOtherFaultsAreNotOfUserExit: a fault of the kernel's own code must end in its
// own report.
func TestOtherFaultsAreNotOfUserExit(t *testing.T) {
	for name, change := range map[string]func(*perCPU, *Frame){
		"another instruction": func(_ *perCPU, f *Frame) { f.RIP++ },
		"another stack":       func(_ *perCPU, f *Frame) { f.RSP += 8 },
		"no program":          func(c *perCPU, _ *Frame) { c.userFrame = 0 },
	} {
		c, _, thread, _ := exitFault()
		change(c, thread)
		if fixupExit(c, thread) {
			t.Errorf("%s: the fault was taken for one of the exit to user mode", name)
		}
	}
}
