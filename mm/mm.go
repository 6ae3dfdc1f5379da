// Package mm implements memory management: reference-counted physical frames,
// address spaces with page tables and virtual memory areas, page faults,
// copy-on-write, and kernel access to user memory.
//
// A page fault takes these steps. The CPU faults in user mode and EnterUser
// returns the vector to Go. The task calls AddressSpace.Fault with the address
// in CR2. Fault finds the virtual memory area (vma), allocates a frame from
// Memory or gets a page from the cache of a Mappable, and writes a page table
// entry. The result tells the task to return to user mode or to send a signal.
//
// The package never dereferences a user address. Data moves through
// Machine.CopyUser, which copies with the address space's own tables loaded
// and stops at a fault, or through the direct map with the address space
// locked.
//
// Lock order: AddressSpace.mu, then the locks of a Mappable (an inode), then
// Mappings.mu, then Memory.mu. A Mappable must therefore hold none of its own
// locks while it copies to or from user memory or calls Mappings.Zap.
//
// Errors are bare unix.Errno values. The rules are those of Linux 6.1 and its
// man pages; see Linux, Documentation/mm, and the Intel SDM, volume 3, chapter
// 4 ("Paging").
package mm

import "slowpath/mm/frame"

const (
	// PageSize is the number of bytes of a page.
	PageSize = frame.Size
	// UserEnd is the exclusive upper bound of user mappings. The last page of
	// the lower half stays unmapped: a SYSCALL instruction at its end would
	// return to a non-canonical address.
	UserEnd = 1<<47 - PageSize

	// VsyscallPage is the address of the vsyscall page, in the kernel's half.
	VsyscallPage = 0xffffffffff600000

	// UserEnd32 is the bound for 32-bit programs (Linux: IA32_PAGE_OFFSET).
	UserEnd32 = 1<<32 - 2*PageSize
	// MinAddress is the lowest address that a mapping may have, even if
	// /proc/sys/vm/mmap_min_addr is lower (Linux: CONFIG_LSM_MMAP_MIN_ADDR). It
	// makes null pointers with an offset fault.
	MinAddress = 65536
	// StackGuardGap is the number of bytes kept free below an area that grows
	// down.
	StackGuardGap = 256 * PageSize
)

const pageMask = PageSize - 1

// Prot is the protection of a mapping, with the values of PROT_* in mmap(2).
type Prot uint8

// The protections. x86-64 page tables make writable and executable memory
// readable too.
const (
	ProtNone  Prot = 0
	ProtRead  Prot = 1
	ProtWrite Prot = 2
	ProtExec  Prot = 4
	ProtAll   Prot = ProtRead | ProtWrite | ProtExec
)

// Access is the kind of memory access that an instruction makes, or that the
// kernel makes on behalf of a program.
type Access uint8

// The kinds of access.
const (
	AccessRead Access = iota
	AccessWrite
	AccessExec
)

// FaultResult is the outcome of a page fault.
type FaultResult uint8

// The results of a fault, with the signal and siginfo_t code of each
// (sigaction(2)).
const (
	// FaultResolved means that the access can be retried.
	FaultResolved FaultResult = iota
	// FaultNoMapping means SIGSEGV with SEGV_MAPERR.
	FaultNoMapping
	// FaultDenied means SIGSEGV with SEGV_ACCERR.
	FaultDenied
	// FaultBus means SIGBUS with BUS_ADRERR: the page is beyond the end of
	// the mapped file.
	FaultBus
	// FaultNoMemory means that no frame could be allocated. The caller frees
	// memory by killing a task, then retries the access.
	FaultNoMemory
)

// pageUp rounds up to a page boundary; it wraps to 0 above the last page.
func pageUp(n uint64) uint64 { return (n + pageMask) &^ pageMask }

// pageDown rounds down to a page boundary.
func pageDown(n uint64) uint64 { return n &^ pageMask }
