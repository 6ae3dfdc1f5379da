package mm

// CoreArea is an area as a core file has it (core(5)).
type CoreArea struct {
	Region
	// Dump is the number of bytes from Start on that the core file has.
	Dump uint64
}

// CoreAreas returns all areas in order of address, with what the default filter of
// core(5) selects: anonymous memory, private or shared, the vDSO, and the first page of
// a mapped ELF file. Error: ENOMEM if the kernel's heap has no room for the list.
func (as *AddressSpace) CoreAreas() ([]CoreArea, error) {
	as.mu.Lock()
	defer as.mu.Unlock()
	var list []CoreArea
	for v := as.areas.first; v != nil; v = v.next {
		if len(list)%coreBatch == 0 {
			if err := as.memory.Admit(int64(len(list)+coreBatch) * coreAreaBytes); err != nil {
				return nil, err
			}
		}
		list = append(list, CoreArea{Region: v.region(), Dump: as.dumpSize(v)})
	}
	return list, nil
}

// coreBatch is the number of areas that CoreAreas lists between two checks of the
// kernel's heap, and coreAreaBytes about what an area in the list needs of it.
const (
	coreBatch     = 64
	coreAreaBytes = 512
)

// dumpSize returns the part of the area that a core file has, in bytes (Linux:
// vma_dump_size). The address space is locked.
func (as *AddressSpace) dumpSize(v *vma) uint64 {
	switch {
	case v.name == "[vdso]":
		return v.length()
	case v.has(areaDontDump):
		return 0
	case v.has(areaShared):
		if v.isSharedAnonymous() {
			return v.length()
		}
		return 0
	case v.anon != nil:
		return v.length()
	case v.object != nil && v.offset == 0 && v.prot&ProtRead != 0 && as.startsWithELF(v):
		return PageSize
	}
	return 0
}

// startsWithELF says whether the area begins with the magic number of ELF.
func (as *AddressSpace) startsWithELF(v *vma) bool {
	page, err := as.pageFor(v.start, AccessRead, (*vma).allows)
	return err == nil && string(page[:4]) == "\x7fELF"
}

// ReadCorePage copies the page at the address to buf, which has PageSize bytes. It
// reports false if the page is not present or is the zero page: a core file has a hole
// there. It may sleep.
func (as *AddressSpace) ReadCorePage(address uint64, buf []byte) bool {
	as.mu.Lock()
	defer as.flushAndUnlock()
	v := as.areas.find(address)
	if v == nil || v.start > address {
		return false
	}
	e := as.tables.lookup(address)
	if !e.held() && v.object != nil { // a page of a file that was not accessed
		if _, err := as.pageFor(address, AccessRead, (*vma).allowsForced); err != nil {
			return false
		}
		e = as.tables.lookup(address)
	}
	if !e.held() || e.frame() == as.memory.zero {
		return false
	}
	copy(buf, as.memory.Bytes(e.frame()))
	return true
}
