package mm

import (
	"bytes"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
)

// The methods below copy between kernel and user memory. Only tasks of the
// address space call them, because they load its page tables. They may sleep in
// page faults, so the caller must hold no lock that a fault takes. They fail
// with EFAULT, or with ENOMEM if no frame is free. After ENOMEM the caller may
// free memory and retry.

// CopyIn copies from the user address into dst and returns how many bytes were
// copied before a fault.
func (as *AddressSpace) CopyIn(dst []byte, addr uint64) (int, error) {
	return as.copyUser(unsafe.Pointer(unsafe.SliceData(dst)), addr, len(dst), false)
}

// CopyOut copies src to the user address and returns how many bytes were
// copied before a fault.
func (as *AddressSpace) CopyOut(addr uint64, src []byte) (int, error) {
	return as.copyUser(unsafe.Pointer(unsafe.SliceData(src)), addr, len(src), true)
}

// TryCopyIn copies from the user address into dst, as CopyIn does, if all of it is in
// one present page. It reports whether it did. It takes no page fault: it is the short
// way of the structures of system calls.
func (as *AddressSpace) TryCopyIn(dst []byte, addr uint64) bool {
	return as.copyWithinPage(unsafe.Pointer(unsafe.SliceData(dst)), addr, len(dst), false)
}

// TryCopyOut copies src to the user address, as TryCopyIn does.
func (as *AddressSpace) TryCopyOut(addr uint64, src []byte) bool {
	return as.copyWithinPage(unsafe.Pointer(unsafe.SliceData(src)), addr, len(src), true)
}

// copyWithinPage copies n bytes of one page, or reports false. A length of 0 and the
// addresses from UserEnd on are for copyUser.
func (as *AddressSpace) copyWithinPage(kernel unsafe.Pointer, user uint64, n int, toUser bool) bool {
	if uint64(n)-1 >= PageSize-user&pageMask || user >= UserEnd {
		return false
	}
	return as.memory.machine.CopyUser(as.Root(), hide(kernel), user, n, toUser) == n
}

// zeros is the source of ZeroOut. It is never written.
var zeros [PageSize]byte

// ZeroOut writes n zeros to the user address and returns how many were written
// before a fault.
func (as *AddressSpace) ZeroOut(addr uint64, n int) (int, error) {
	for done := 0; done < n; {
		step := min(n-done, len(zeros))
		copied, err := as.CopyOut(addr+uint64(done), zeros[:step])
		done += copied
		if err != nil {
			return done, err
		}
	}
	return n, nil
}

// copyUser copies n bytes, a page at a time.
func (as *AddressSpace) copyUser(kernel unsafe.Pointer, user uint64, n int, toUser bool) (int, error) {
	if n == 0 {
		return 0, nil
	}
	if uint64(n) > UserEnd || user > UserEnd-uint64(n) {
		return as.copyBelowEnd(kernel, user, n, toUser)
	}
	hidden := hide(kernel)
	root := as.Root()
	for done := 0; done < n; {
		at := user + uint64(done)
		step := min(n-done, PageSize-int(at&pageMask))
		copied := as.memory.machine.CopyUser(root, unsafe.Add(hidden, done), at, step, toUser)
		done += copied
		if copied == step {
			continue
		}
		if err := as.faultForCopy(user+uint64(done), toUser); err != nil {
			return done, err
		}
	}
	return n, nil
}

// copyBelowEnd copies the bytes below UserEnd and then fails with EFAULT, like a
// copy that faults at UserEnd.
func (as *AddressSpace) copyBelowEnd(kernel unsafe.Pointer, user uint64, n int, toUser bool) (int, error) {
	if user >= UserEnd {
		return 0, unix.EFAULT
	}
	done, err := as.copyUser(kernel, user, int(min(uint64(n), UserEnd-user)), toUser)
	if err == nil {
		err = unix.EFAULT
	}
	return done, err
}

// CopyFault is a page fault of a copy between the kernel and user memory.
type CopyFault struct {
	Address uint64
	Write   bool
	// Present says that the page was mapped, and the access was not allowed.
	Present bool
	// PC is the place in the kernel's function that copies.
	PC uint64
}

// callersOfCopy makes runtime.Callers leave out itself and faultForCopy.
const callersOfCopy = 2

// maps reports whether the page table has a page at the address.
func (as *AddressSpace) maps(address uint64) bool {
	if address >= UserEnd {
		return false
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	t := as.tables.leaf(pageDown(address))
	return t != nil && t.get(amd64.Index(address, amd64.LevelPT)) != 0
}

// faultForCopy resolves a page fault of a kernel copy.
func (as *AddressSpace) faultForCopy(address uint64, write bool) error {
	access := AccessRead
	if write {
		access = AccessWrite
	}
	if p := &as.memory.CopyFaults; p.Active() {
		var pc [1]uintptr
		runtime.Callers(callersOfCopy, pc[:])
		p.Call(CopyFault{Address: address, Write: write, Present: as.maps(address), PC: uint64(pc[0])})
	}
	switch as.Fault(address, access) {
	case FaultResolved:
		return nil
	case FaultNoMemory:
		return unix.ENOMEM
	}
	return unix.EFAULT
}

// hide hides the pointer from escape analysis. Otherwise the compiler would move
// the caller's buffer to the heap, because its address is passed to an interface
// method. The result is an unsafe.Pointer, so the runtime adjusts it when the
// stack moves. Machine.CopyUser must not retain it. hide and pointer are
// nosplit: the stack must not move while the address is a uintptr.
//
//go:nosplit
func hide(p unsafe.Pointer) unsafe.Pointer { return pointer(uintptr(p)) }

// stringChunk is how many bytes CopyInString reads first. Most strings are paths
// and fit.
const stringChunk = 128

// CopyInString returns the NUL-terminated string at the user address, without
// the NUL. It fails with ENAMETOOLONG if the first max bytes contain no NUL, and
// with the errors of CopyIn.
func (as *AddressSpace) CopyInString(addr uint64, max int) (string, error) {
	var first [stringChunk]byte
	var whole []byte
	for buf := first[:]; ; buf = make([]byte, 2*len(buf)) {
		n, err := as.CopyIn(buf[:min(len(buf), max-len(whole))], addr+uint64(len(whole)))
		if end := bytes.IndexByte(buf[:n], 0); end >= 0 {
			if whole == nil {
				return string(buf[:end]), nil
			}
			return string(append(whole, buf[:end]...)), nil
		}
		if err != nil {
			return "", err
		}
		whole = append(whole, buf[:n]...)
		if len(whole) >= max {
			return "", unix.ENAMETOOLONG
		}
	}
}
