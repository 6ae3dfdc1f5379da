package mm

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
)

// RemoteRights says which protection an access to another task's memory obeys.
type RemoteRights bool

// The values of RemoteRights.
const (
	// ByProtection: the protection of the area must permit the access, as for
	// process_vm_readv(2).
	ByProtection RemoteRights = false
	// Forced ignores the protection, as ptrace(2) and /proc/PID/mem do (Linux:
	// FOLL_FORCE). A write to a private mapping that the program cannot write makes a
	// private copy, so the file does not change. A shared mapping is only written if
	// the program can write it.
	Forced RemoteRights = true
)

// ReadRemote copies from the address into dst without loading the page tables.
// It serves callers that read another task's address space (exec, ptrace,
// process_vm_readv). It returns how many bytes it copied, and EFAULT or ENOMEM if it
// did not fill dst. It may sleep.
func (as *AddressSpace) ReadRemote(dst []byte, addr uint64, rights RemoteRights) (int, error) {
	n := as.readPresent(dst, addr, rights)
	if n == len(dst) {
		return n, nil
	}
	more, err := as.remote(dst[n:], addr+uint64(n), AccessRead, rights)
	return n + more, err
}

// readPresent copies from one page, if it is present. It returns how many bytes it
// copied, 0 if it cannot. Most reads of a debugger are of a few bytes of such a page, so
// this saves them what a fault needs.
func (as *AddressSpace) readPresent(dst []byte, addr uint64, rights RemoteRights) int {
	as.mu.Lock()
	defer as.mu.Unlock()
	if addr >= UserEnd || as.reaped || as.broken {
		return 0
	}
	v := as.areas.find(addr)
	if v == nil || v.start > addr || v.has(areaKernelData) || v.prot&ProtRead == 0 && rights == ByProtection {
		return 0
	}
	e := as.tables.lookup(addr)
	if !e.held() {
		return 0
	}
	return copy(dst, as.memory.Bytes(e.frame())[addr&pageMask:])
}

// WriteRemote is like ReadRemote, but copies src to the address.
func (as *AddressSpace) WriteRemote(addr uint64, src []byte, rights RemoteRights) (int, error) {
	return as.remote(src, addr, AccessWrite, rights)
}

// remote copies page by page through the direct map. It holds the lock during
// each page, which keeps the page mapped. buf is kernel memory and cannot fault.
func (as *AddressSpace) remote(buf []byte, addr uint64, access Access, rights RemoteRights) (int, error) {
	for done := 0; done < len(buf); {
		step, err := as.remoteStep(buf[done:], addr+uint64(done), access, rights)
		done += step
		if err != nil {
			return done, err
		}
	}
	return len(buf), nil
}

func (as *AddressSpace) remoteStep(buf []byte, at uint64, access Access, rights RemoteRights) (int, error) {
	allows := (*vma).allowsRemote
	if rights == Forced {
		allows = (*vma).allowsForced
	}
	as.mu.Lock()
	defer as.flushAndUnlock()
	page, err := as.pageFor(at, access, allows)
	if err != nil {
		return 0, err
	}
	if access == AccessWrite {
		return as.remoteWrite(as.areas.find(at), page, at, buf), nil
	}
	return copy(buf, page[at&pageMask:]), nil
}

// pageFor faults in the page at the address, if allows permits the access to its area,
// and returns the page's bytes. The address space is locked, and the bytes are valid
// until it is unlocked. It fails with EFAULT or ENOMEM.
func (as *AddressSpace) pageFor(address uint64, access Access, allows func(v *vma, access Access) bool) ([]byte, error) {
	if address >= UserEnd || as.reaped || as.broken {
		return nil, unix.EFAULT
	}
	v := as.areas.find(address)
	if v == nil || v.start > address && !as.growStack(v, address) {
		return nil, unix.EFAULT
	}
	if !allows(v, access) {
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

// allowsRemote says whether another task may access the area as the protection says
// (Linux: check_vma_flags). Unlike the CPU it distinguishes readable memory from
// memory that the program can only write or execute.
func (v *vma) allowsRemote(access Access) bool {
	if v.has(areaKernelData) {
		return false
	}
	if access == AccessWrite {
		return v.prot&ProtWrite != 0
	}
	return v.prot&ProtRead != 0
}

// allowsForced says whether an access that ignores the protection is possible: a read
// always, a write if the program can write the area or if it makes a private copy.
func (v *vma) allowsForced(access Access) bool {
	if v.has(areaKernelData) {
		return false
	}
	return access == AccessRead || v.prot&ProtWrite != 0 || !v.has(areaShared) && v.maxProt&ProtWrite != 0
}
