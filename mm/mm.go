// Package mm is memory management: physical frames with reference counts,
// address spaces with their page tables and virtual memory areas, page
// faults, copy-on-write, and the access of the kernel to user memory.
//
// The way of a page fault: the CPU faults in user mode, EnterUser returns the
// vector to Go, the task calls AddressSpace.Fault with the address of CR2.
// Fault finds the virtual memory area (vma), asks Memory for a frame or a
// Mappable for a page of its cache, and writes an entry of the page tables.
// Its result says how to go on: back to user mode, or with a signal.
//
// The package never dereferences a user address. Data moves through
// Machine.CopyUser, which copies with the address space's own tables loaded
// and stops at a fault, or through the direct map with the address space
// locked.
//
// Locks: AddressSpace.mu, then the locks of a Mappable (an inode), then
// Mappings.mu, then Memory.mu. So a Mappable must not hold a lock of its own
// while it copies to or from user memory, nor when it calls Mappings.Zap.
//
// Errors are bare unix.Errno values. The rules are those of Linux 6.1 and its
// man pages; see Linux, Documentation/mm, and the Intel SDM, volume 3, chapter
// 4 ("Paging").
package mm

import "slowpath/mm/frame"

const (
	// PageSize is the number of bytes of a page.
	PageSize = frame.Size
	// UserEnd is the first address that no user mapping may reach: the last
	// page of the lower half is left free, so that a SYSCALL instruction at
	// its end cannot return to a non-canonical address.
	UserEnd = 1<<47 - PageSize
	// MinAddress is the lowest address that a mapping may have
	// (/proc/sys/vm/mmap_min_addr), so that null pointers with an offset fault.
	MinAddress = 65536
	// MaxMapCount is how many areas an address space may have
	// (/proc/sys/vm/max_map_count).
	MaxMapCount = 65530
	// StackGuardGap is the number of bytes kept free below an area that grows
	// down.
	StackGuardGap = 256 * PageSize
)

const pageMask = PageSize - 1

// Prot is the protection of a mapping, with the values of PROT_* in mmap(2).
type Prot uint8

// The protections. As on all x86-64 page tables, writable and executable
// memory is readable too.
const (
	ProtNone  Prot = 0
	ProtRead  Prot = 1
	ProtWrite Prot = 2
	ProtExec  Prot = 4
	ProtAll   Prot = ProtRead | ProtWrite | ProtExec
)

// Access is what an instruction, or the kernel for it, wants to do at an
// address.
type Access uint8

// The kinds of access.
const (
	AccessRead Access = iota
	AccessWrite
	AccessExec
)

// FaultResult says how a page fault ended.
type FaultResult uint8

// The results of a fault, with the siginfo_t code that each leads to
// (sigaction(2)).
const (
	// FaultResolved means that the access can be tried again.
	FaultResolved FaultResult = iota
	// FaultNoMapping means SIGSEGV with SEGV_MAPERR.
	FaultNoMapping
	// FaultDenied means SIGSEGV with SEGV_ACCERR.
	FaultDenied
	// FaultBus means SIGBUS with BUS_ADRERR: the page is beyond the end of
	// the mapped file.
	FaultBus
	// FaultNoMemory means that no frame was to be had. The caller makes room
	// by killing a task, and lets the access happen again.
	FaultNoMemory
)

// pageUp rounds up to a page boundary; it wraps to 0 above the last page.
func pageUp(n uint64) uint64 { return (n + pageMask) &^ pageMask }

// pageDown rounds down to a page boundary.
func pageDown(n uint64) uint64 { return n &^ pageMask }
