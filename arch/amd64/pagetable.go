package amd64

// Sizes of pages (SDM vol. 3A, 4.5).
const (
	PageShift     = 12
	PageSize      = 1 << PageShift
	LargePageSize = 2 << 20
)

// PTE is an entry of a page table of any level (SDM vol. 3A, 4.5.5).
type PTE uint64

// Bits of a PTE. Bits 9 to 11 and 52 to 58 are free for software.
const (
	Present      PTE = 1 << 0
	Writable     PTE = 1 << 1
	User         PTE = 1 << 2
	WriteThrough PTE = 1 << 3
	CacheDisable PTE = 1 << 4
	Accessed     PTE = 1 << 5
	Dirty        PTE = 1 << 6
	Large        PTE = 1 << 7 // in a page directory: maps 2 MiB
	Global       PTE = 1 << 8
	NoExecute    PTE = 1 << 63

	// AddressMask selects the physical address.
	AddressMask PTE = 0x000ffffffffff000
)

// Address returns the physical address that the entry points to.
func (e PTE) Address() uint64 { return uint64(e & AddressMask) }

// Levels of the table walk, the root first.
const (
	LevelPML4 = 3
	LevelPDPT = 2
	LevelPD   = 1
	LevelPT   = 0
)

// Index returns which entry of a table of the given level translates va.
func Index(va uint64, level int) int { return int(va>>(PageShift+9*level)) & 511 }

// The kernel's half of the address space, the same in every process. The
// lower half belongs to users.
const (
	// DirectMap is where all physical memory is mapped, not executable.
	DirectMap = 0xffff800000000000
	// HeapWindow is where the Go runtime's memory is mapped on demand.
	HeapWindow = 0xffffc00000000000
	// HeapWindowEnd is the end of that window.
	HeapWindowEnd = HeapWindow + 1<<39
	// ImageBase is the address at which physical address 0 appears for the
	// kernel's image; see package boot/image.
	ImageBase = 0xffffffff80000000
)

// Bits of a page fault's error code (SDM vol. 3A, 4.7).
const (
	FaultPresent  = 1 << 0 // a protection fault, not a missing page
	FaultWrite    = 1 << 1
	FaultUser     = 1 << 2
	FaultReserved = 1 << 3
	FaultFetch    = 1 << 4
)
