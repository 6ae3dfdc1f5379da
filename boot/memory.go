package boot

import (
	"slowpath/arch/amd64"
	"slowpath/goos"
	"slowpath/mm/frame"
)

// memoryMap is a copy of the usable ranges of the boot loader's memory map, whose
// own memory is about to be freed.
type memoryMap struct {
	ranges [64]Range
	count  int
}

var usable memoryMap

func (m *memoryMap) read(info uint64) {
	s := at[startInfo](info)
	for i := range uint64(s.memoryMapEntries) {
		e := at[memoryEntry](s.memoryMap + 24*i)
		if e.kind != usableMemory || e.address >= maxMemory || m.count == len(m.ranges) {
			continue
		}
		m.ranges[m.count] = Range{e.address, min(e.address+e.size, maxMemory)}
		m.count++
	}
}

// end returns the end of the highest usable range.
func (m *memoryMap) end() uint64 {
	end := uint64(0)
	for i := range m.count {
		end = max(end, m.ranges[i].End)
	}
	return end
}

func (h *handover) memoryEnd() uint64 { return usable.end() }

// directMapped is the size of the physical memory that the first page tables
// map.
const directMapped = 4 << 30

// giveMemory makes the frame allocator and adds all free memory to it. The first
// MiB, which firmware uses, the image, the module, the command line and the start
// information are not free.
func giveMemory(info uint64) {
	usable.read(info)
	taken := [...]Range{
		{0, borders[imageEnd] - amd64.ImageBase},
		machine.module,
		machine.commandLine,
		{info, info + amd64.PageSize},
	}
	frames := usable.end() / frame.Size
	table := placeTable(taken[:], frames*uint64(frame.InfoSize))
	goos.InitFrames(amd64.DirectMap+table.Start, frame.Number(frames))
	for i := range usable.count {
		machine.memory += usable.ranges[i].End - usable.ranges[i].Start
		addFree(usable.ranges[i], taken[:], table)
	}
}

// placeTable finds room for the allocator's own table, in memory that the first
// page tables map, and clears it.
func placeTable(taken []Range, size uint64) Range {
	for i := range usable.count {
		r := usable.ranges[i]
		for a := pageUp(r.Start); a+size <= min(r.End, directMapped); a = pageUp(a) {
			want := Range{a, a + size}
			hit := overlap(want, taken)
			if hit.End == 0 {
				clear(physical(want))
				return want
			}
			a = hit.End
		}
	}
	goos.Fatal("There is not enough memory for the kernel. Give the machine at least 32 MiB, by --mem.")
	return Range{}
}

// overlap returns the first taken range that overlaps r, or an empty one.
func overlap(r Range, taken []Range) Range {
	for _, t := range taken {
		if t.Start < t.End && r.Start < t.End && t.Start < r.End {
			return t
		}
	}
	return Range{}
}

// addFree adds the frames of r that no other range covers to the allocator.
func addFree(r Range, taken []Range, table Range) {
	start := pageUp(r.Start)
	for start+frame.Size <= r.End {
		end := r.End &^ (frame.Size - 1)
		hit := Range{}
		for _, t := range [...]Range{taken[0], taken[1], taken[2], taken[3], table} {
			if t.Start >= t.End || t.End <= start || t.Start >= end {
				continue
			}
			if t.Start <= start {
				hit = t // start is inside of it
				break
			}
			end = t.Start &^ (frame.Size - 1)
		}
		if hit.End != 0 {
			start = pageUp(hit.End)
			continue
		}
		goos.AddFrames(frame.Number(start/frame.Size), frame.Number(end/frame.Size))
		start = pageUp(end + 1)
	}
}

func pageUp(a uint64) uint64 { return (a + frame.Size - 1) &^ (frame.Size - 1) }
