package mm

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// FutexKey identifies a 32-bit word of user memory. The keys of two tasks are
// equal if they refer to the same word (futex(2)). It is comparable.
type FutexKey struct {
	Space  *AddressSpace // set for private words, else nil
	Object Mappable      // set for shared words, else nil
	Offset uint64        // address of a private word, offset in Object of a shared one
}

// FutexKey returns the key of the word. private is FUTEX_PRIVATE_FLAG: the
// lookup of the area is skipped. It fails with EINVAL if the address is not a
// multiple of 4, and with EFAULT if it is not mapped. It may sleep on the lock.
func (as *AddressSpace) FutexKey(addr uint64, private bool) (FutexKey, error) {
	if addr&3 != 0 {
		return FutexKey{}, unix.EINVAL
	}
	if addr >= UserEnd {
		return FutexKey{}, unix.EFAULT
	}
	if private {
		return FutexKey{Space: as, Offset: addr}, nil
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	v := as.areas.find(addr)
	switch {
	case v == nil || v.start > addr || v.prot == ProtNone:
		return FutexKey{}, unix.EFAULT
	case !v.has(areaShared):
		return FutexKey{Space: as, Offset: addr}, nil
	}
	return FutexKey{Object: v.object, Offset: v.offset + addr - v.start}, nil
}

// LoadUint32 reads the word at a multiple of 4, atomically. It may sleep in a
// page fault. Errors: EINVAL, EFAULT, ENOMEM.
func (as *AddressSpace) LoadUint32(addr uint64) (uint32, error) {
	if addr&3 == 0 && addr < UserEnd { // the short way, which takes no page fault
		if value, ok := as.memory.machine.LoadUser(as.Root(), addr); ok {
			return value, nil
		}
	}
	var value uint32
	err := as.withWord(addr, AccessRead, func(word *uint32) { value = atomic.LoadUint32(word) })
	return value, err
}

// StoreUint32 writes the word at a multiple of 4 atomically. It may sleep in a
// page fault. Errors: EINVAL, EFAULT, ENOMEM.
func (as *AddressSpace) StoreUint32(addr uint64, value uint32) error {
	return as.withWord(addr, AccessWrite, func(word *uint32) { atomic.StoreUint32(word, value) })
}

// CompareAndSwapUint32 atomically writes new if the word equals old, and returns
// the word's previous value. A previous value other than old is not an error.
// It may sleep in a page fault. Errors: EINVAL, EFAULT, ENOMEM.
func (as *AddressSpace) CompareAndSwapUint32(addr uint64, old, new uint32) (was uint32, err error) {
	err = as.withWord(addr, AccessWrite, func(word *uint32) {
		for was = old; !atomic.CompareAndSwapUint32(word, old, new); {
			if was = atomic.LoadUint32(word); was != old {
				return
			}
		}
	})
	return was, err
}

// UpdateUint32 atomically replaces the word by f(word) and returns the previous
// value (FUTEX_WAKE_OP). f may be called more than once, with the address space
// locked, and must neither sleep nor access user memory. UpdateUint32 may sleep
// in a page fault. Errors: EINVAL, EFAULT, ENOMEM.
func (as *AddressSpace) UpdateUint32(addr uint64, f func(was uint32) uint32) (was uint32, err error) {
	err = as.withWord(addr, AccessWrite, func(word *uint32) {
		for {
			was = atomic.LoadUint32(word)
			if atomic.CompareAndSwapUint32(word, was, f(was)) {
				return
			}
		}
	})
	return was, err
}

// withWord calls f with a pointer to the word in the direct map. The address
// space stays locked during f, which keeps the page mapped.
func (as *AddressSpace) withWord(addr uint64, access Access, f func(word *uint32)) error {
	if addr&3 != 0 {
		return unix.EINVAL
	}
	as.mu.Lock()
	defer as.flushAndUnlock()
	page, err := as.pageFor(addr, access, (*vma).allows)
	if err != nil {
		return err
	}
	f((*uint32)(unsafe.Pointer(&page[addr&pageMask])))
	return nil
}
