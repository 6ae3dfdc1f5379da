package mm

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
)

// ReadRemote copies from the address into dst without loading the page tables.
// It serves callers that read another task's address space (exec, ptrace,
// process_vm_readv). If force is set, it ignores the protection, like
// ptrace(2). It returns how many bytes it copied, and EFAULT or ENOMEM if it
// did not fill dst. It may sleep.
func (as *AddressSpace) ReadRemote(dst []byte, addr uint64, force bool) (int, error) {
	return as.remote(dst, addr, AccessRead, force)
}

// WriteRemote is like ReadRemote, but copies src to the address. If force is
// set, a write to a read-only page of a private mapping makes a private copy.
func (as *AddressSpace) WriteRemote(addr uint64, src []byte, force bool) (int, error) {
	return as.remote(src, addr, AccessWrite, force)
}

// remote copies page by page through the direct map. It holds the lock during
// each page, which keeps the page mapped. buf is kernel memory and cannot fault.
func (as *AddressSpace) remote(buf []byte, addr uint64, access Access, force bool) (int, error) {
	for done := 0; done < len(buf); {
		at := addr + uint64(done)
		step, err := as.remoteStep(buf[done:], at, access, force)
		done += step
		if err != nil {
			return done, err
		}
	}
	return len(buf), nil
}

func (as *AddressSpace) remoteStep(buf []byte, at uint64, access Access, force bool) (int, error) {
	as.mu.Lock()
	defer as.flushAndUnlock()
	page, err := as.pageFor(at, access, force)
	if err != nil {
		return 0, err
	}
	if access == AccessWrite {
		return copy(page[at&pageMask:], buf), nil
	}
	return copy(buf, page[at&pageMask:]), nil
}

// pageFor faults in the page at the address and returns its bytes. The address
// space is locked, and the bytes are valid until it is unlocked. It fails with
// EFAULT or ENOMEM.
func (as *AddressSpace) pageFor(address uint64, access Access, force bool) ([]byte, error) {
	if address >= UserEnd || as.reaped {
		return nil, unix.EFAULT
	}
	v := as.areas.find(address)
	if v == nil || v.start > address && !as.growStack(v, address) {
		return nil, unix.EFAULT
	}
	if !v.allows(access) && !(force && v.allowsForced(access)) {
		return nil, unix.EFAULT
	}
	address = pageDown(address)
	t, err := as.tables.makeLeaf(address)
	if err != nil {
		return nil, err
	}
	f := fault{as: as, v: v, address: address, write: access == AccessWrite, table: t, slot: amd64.Index(address, amd64.LevelPT)}
	switch f.resolve() {
	case nil:
		return as.memory.Bytes(t.get(f.slot).frame()), nil
	case unix.ENOMEM:
		return nil, unix.ENOMEM
	}
	return nil, unix.EFAULT
}

// allowsForced says whether a forced access may ignore the protection: a read
// always, a write only if it makes a private copy. Special mappings allow none.
func (v *vma) allowsForced(access Access) bool {
	if v.has(areaFixedSize) {
		return false
	}
	return access == AccessRead || !v.has(areaShared) && v.maxProt&ProtWrite != 0
}
