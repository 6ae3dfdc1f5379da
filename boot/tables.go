package boot

import (
	"slowpath/arch/amd64"
	"slowpath/boot/image"
	"slowpath/goos"
	"slowpath/mm/frame"
)

// buildKernelTables builds and loads the kernel's page tables, which every process
// shares in its upper half. They map all memory at DirectMap, writable and not
// executable, and the image at ImageBase, each page writable or executable but
// not both. The heap window has an empty table. The lower half is for users.
func buildKernelTables(frames *frame.Allocator, memoryEnd uint64) {
	t := tables{frames: frames}
	t.root = t.newTable()
	t.mapDirect(max(memoryEnd, directMapped))
	t.mapImage()
	t.table(amd64.HeapWindow, amd64.LevelPDPT)
	amd64.LoadKernelRoot(t.root)
}

// tables builds one set of page tables.
type tables struct {
	frames *frame.Allocator
	root   uint64
}

// newTable returns the physical address of an empty table, in memory that the
// first page tables map.
func (t *tables) newTable() uint64 {
	n, ok := t.frames.Alloc(0)
	if !ok || n.Address() >= directMapped {
		goos.Fatal("There is not enough memory for the kernel's page tables. Give the machine more, by --mem.")
	}
	clear(physical(Range{n.Address(), n.Address() + amd64.PageSize}))
	return n.Address()
}

// table returns the physical address of the table of a level for va. It makes the
// tables on the way that are missing.
func (t *tables) table(va uint64, level int) uint64 {
	a := t.root
	for l := amd64.LevelPML4; l > level; l-- {
		e := at[amd64.PTE](a + 8*uint64(amd64.Index(va, l)))
		if *e&amd64.Present == 0 {
			*e = amd64.PTE(t.newTable()) | amd64.Present | amd64.Writable
		}
		a = e.Address()
	}
	return a
}

func (t *tables) set(va uint64, level int, e amd64.PTE) {
	*at[amd64.PTE](t.table(va, level) + 8*uint64(amd64.Index(va, level))) = e
}

// deviceStart is where devices begin below 4 GiB on all machines of QEMU. From
// there to 4 GiB memory is mapped uncached.
const deviceStart = 0xe0000000

func (t *tables) mapDirect(end uint64) {
	const data = amd64.Present | amd64.Writable | amd64.NoExecute
	constants := Range{borders[textStart] - amd64.ImageBase, borders[dataStart] - amd64.ImageBase}
	for a := uint64(0); a < end; a += amd64.LargePageSize {
		switch {
		case a < constants.End && constants.Start < a+amd64.LargePageSize:
			t.mapGuarded(a, constants)
		case a >= deviceStart && a < directMapped:
			t.set(amd64.DirectMap+a, amd64.LevelPD, amd64.PTE(a)|data|amd64.Large|amd64.CacheDisable|amd64.WriteThrough)
		default:
			t.set(amd64.DirectMap+a, amd64.LevelPD, amd64.PTE(a)|data|amd64.Large)
		}
	}
}

// mapGuarded maps the 2 MiB at a page by page. The image's constants must be
// read-only in the direct map too.
func (t *tables) mapGuarded(a uint64, constants Range) {
	for p := a; p < a+amd64.LargePageSize; p += amd64.PageSize {
		e := amd64.PTE(p) | amd64.Present | amd64.NoExecute
		if p < constants.Start || p >= constants.End {
			e |= amd64.Writable
		}
		t.set(amd64.DirectMap+p, amd64.LevelPT, e)
	}
}

// mapImage maps the segment that boot/image added, with the stubs executable and
// the per-CPU page writable, and the Go image: text, read-only data, data.
func (t *tables) mapImage() {
	const (
		code     = amd64.Present
		constant = amd64.Present | amd64.NoExecute
		data     = amd64.Present | amd64.NoExecute | amd64.Writable
	)
	t.mapPages(amd64.StubBase, amd64.StubBase+amd64.PageSize, code)
	t.mapPages(amd64.StubBase+amd64.PageSize, amd64.ImageBase+image.Base+image.Size, data)
	t.mapPages(borders[textStart], borders[textEnd], code)
	t.mapPages(pageUp(borders[textEnd]), borders[dataStart], constant)
	t.mapPages(borders[dataStart], borders[imageEnd], data)
}

func (t *tables) mapPages(start, end uint64, e amd64.PTE) {
	for a := start &^ (amd64.PageSize - 1); a < end; a += amd64.PageSize {
		t.set(a, amd64.LevelPT, amd64.PTE(a-amd64.ImageBase)|e)
	}
}
