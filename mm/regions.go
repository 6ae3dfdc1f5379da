package mm

// Region describes an area for /proc/pid/maps and smaps (proc(5)).
type Region struct {
	Start, End uint64
	Prot       Prot
	Shared     bool
	GrowsDown  bool
	Offset     uint64
	Device     uint64 // unix.Mkdev
	Inode      uint64
	Name       string // path, "[heap]", "[stack]", "[vdso]", ..., or empty
	Flags      string // the VmFlags of smaps, "rd wr mr mw me ac "

	// Page counts, filled in only by Regions(WithPages).
	Resident  int64
	Anonymous int64
	Shareable int64 // resident pages with more than one reference
	Locked    int64
}

// RegionDetail says what Regions counts.
type RegionDetail bool

// The values of RegionDetail.
const (
	// WithoutPages leaves the page counts at 0.
	WithoutPages RegionDetail = false
	// WithPages counts resident pages, in time proportional to their number.
	WithPages RegionDetail = true
)

// Regions returns a snapshot of all areas in order of address.
func (as *AddressSpace) Regions(detail RegionDetail) []Region {
	var regions []Region
	as.VisitRegions(detail, func(r *Region) error {
		regions = append(regions, *r)
		return nil
	})
	return regions
}

// VisitRegions calls f for each area in order of address, until f returns an error. It
// returns that error. The address space is locked: f must not call its methods, and must
// not keep r.
func (as *AddressSpace) VisitRegions(detail RegionDetail, f func(r *Region) error) error {
	as.mu.Lock()
	defer as.mu.Unlock()
	var r Region
	for v := as.areas.first; v != nil; v = v.next {
		r = v.region()
		r.Name = as.nameOf(v, r.Name)
		if detail == WithPages {
			as.countPages(v, &r)
		}
		if err := f(&r); err != nil {
			return err
		}
	}
	if as.layout.Vsyscall == ProtNone {
		return nil
	}
	return f(&Region{Start: VsyscallPage, End: VsyscallPage + PageSize, Prot: as.layout.Vsyscall, Name: "[vsyscall]"})
}

// MappedAt returns what is mapped at an address: the name that /proc/pid/maps shows, and the
// offset of the address in the file, 0 if it is no file. The name is empty for anonymous
// memory and where nothing is mapped. It may sleep.
func (as *AddressSpace) MappedAt(address uint64) (name string, offset uint64) {
	as.mu.Lock()
	defer as.mu.Unlock()
	v := as.areas.find(address)
	if v == nil || address < v.start {
		return "", 0
	}
	if v.file != nil {
		offset = v.offset + address - v.start
	}
	return as.nameOf(v, v.mapName()), offset
}

// nameOf returns what /proc/pid/maps shows as the name of an area whose mapName is name. The
// address space is locked.
func (as *AddressSpace) nameOf(v *vma, name string) string {
	if name == "" && v.anonymous() && v.start < as.brk && v.end > as.layout.BrkStart {
		return "[heap]"
	}
	return name
}

// mapName returns the name of the mapped file, or that of special memory.
func (v *vma) mapName() string {
	if v.file != nil {
		return v.file.MapName()
	}
	return v.name
}

func (v *vma) region() Region {
	r := Region{
		Start: v.start, End: v.end, Prot: v.prot, Name: v.mapName(),
		Shared: v.has(areaShared) && !v.has(areaFixedSize), GrowsDown: v.has(areaGrowsDown), Flags: v.flagNames(),
	}
	if v.file != nil {
		r.Device, r.Inode = v.file.MapDevice(), v.file.MapInode()
	}
	if v.object != nil && !v.has(areaFixedSize) {
		r.Offset = v.offset
	}
	return r
}

func (as *AddressSpace) countPages(v *vma, r *Region) {
	as.tables.visit(v.start, v.end, func(_ uint64, t *table, i int) {
		e := t.get(i)
		if e.frame() == as.memory.zero {
			return
		}
		r.Resident++
		if e&entryAnonymous != 0 {
			r.Anonymous++
		}
		if as.memory.Refs(e.frame()) > 1 {
			r.Shareable++
		}
	})
	if v.has(areaLocked) {
		r.Locked = r.Resident
	}
}

// flagNames returns the two-letter codes of VmFlags.
func (v *vma) flagNames() string {
	names := make([]byte, 0, 64)
	for _, f := range []struct {
		on   bool
		name string
	}{
		{v.prot&ProtRead != 0, "rd "}, {v.prot&ProtWrite != 0, "wr "}, {v.prot&ProtExec != 0, "ex "},
		{v.has(areaShared), "sh "}, {v.maxProt&ProtRead != 0, "mr "}, {v.maxProt&ProtWrite != 0, "mw "},
		{v.maxProt&ProtExec != 0, "me "}, {v.mayWriteShared(), "ms "}, {v.has(areaGrowsDown), "gd "},
		{v.has(areaLocked), "lo "}, {v.has(areaSequential), "sr "}, {v.has(areaRandom), "rr "},
		{v.has(areaDontFork), "dc "}, {v.has(areaFixedSize), "de "}, {v.has(areaCharged), "ac "},
		{v.has(areaNoReserve), "nr "}, {v.has(areaDontDump), "dd "}, {v.has(areaWipeOnFork), "wf "},
	} {
		if f.on {
			names = append(names, f.name...)
		}
	}
	return string(names)
}

// Usage is how much memory an address space uses, in pages (proc(5),
// /proc/pid/status and statm).
type Usage struct {
	Mapped       int64 // VmSize
	PeakMapped   int64 // VmPeak
	Anonymous    int64 // RssAnon
	File         int64 // RssFile
	Shared       int64 // RssShmem
	PeakResident int64 // VmHWM
	Data         int64 // VmData
	Stack        int64 // VmStk
	Exec         int64 // VmExe
	Locked       int64 // VmLck
	PageTables   int64 // VmPTE
	Faults       int64 // number of page faults, not pages (getrusage(2), ru_minflt)
}

// Resident returns VmRSS.
func (u Usage) Resident() int64 { return u.Anonymous + u.File + u.Shared }

// areaBytes is about what an area needs of the kernel's heap.
const areaBytes = 256

// HeldMemory returns about how many bytes of the kernel's heap the areas need. Any
// context.
func (as *AddressSpace) HeldMemory() int64 {
	return as.counters.areas.Load()*areaBytes + as.heldByHits()
}

// AreaCount returns the number of areas. Any context.
func (as *AddressSpace) AreaCount() int64 { return as.counters.areas.Load() }

// Usage returns a snapshot. It takes no lock and does not sleep, so the
// out-of-memory handling can call it for every process.
func (as *AddressSpace) Usage() Usage {
	c := &as.counters
	return Usage{
		Mapped: c.mapped.Load(), PeakMapped: c.peakMapped.Load(),
		Anonymous: c.anonymous.Load(), File: c.file.Load(), Shared: c.shared.Load(),
		PeakResident: c.peakResident.Load(),
		Data:         c.data.Load(), Stack: c.stack.Load(), Exec: c.exec.Load(), Locked: c.locked.Load(),
		PageTables: c.tables.Load(), Faults: c.faults.Load(),
	}
}
