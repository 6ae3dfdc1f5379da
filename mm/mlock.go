package mm

import "golang.org/x/sys/unix"

// LockPopulation says when the pages of a locked range become present.
type LockPopulation bool

// The values of LockPopulation.
const (
	// LockNow: at once.
	LockNow LockPopulation = false
	// LockOnFault: at the first access (mlock2(2), MLOCK_ONFAULT).
	LockOnFault LockPopulation = true
)

// Mlock locks the pages of a range and makes them present, unless LockOnFault is set
// (mlock(2), mlock2(2)). There is no swap, so locking otherwise affects only
// RLIMIT_MEMLOCK and VmLck. It fails with EPERM, ENOMEM, EINVAL, EAGAIN, or EINTR if
// stop reports true.
func (as *AddressSpace) Mlock(addr, length uint64, populate LockPopulation, stop Stop) error {
	start := pageDown(addr)
	length = pageUp(length + (addr - start))
	flags := areaLocked
	if populate == LockOnFault {
		flags |= areaLockFault
	}
	var err error
	as.change(func() {
		if err = as.mayLock(start, length); err == nil {
			err = as.setLocked(start, start+length, flags)
		}
	})
	if err != nil || populate == LockOnFault {
		return err
	}
	switch err := as.Populate(start, length, stop); err {
	case unix.EFAULT:
		return unix.ENOMEM
	case unix.ENOMEM:
		return unix.EAGAIN
	default:
		return err
	}
}

// mayLock checks RLIMIT_MEMLOCK. Pages that are already locked count once.
func (as *AddressSpace) mayLock(start, length uint64) error {
	if as.limits.Locked == 0 {
		return unix.EPERM
	}
	total := as.lockedWith(0) + length
	if total <= as.limits.Locked {
		return nil
	}
	for v := as.areas.find(start); v != nil && v.start < start+length; v = v.next {
		if v.has(areaLocked) {
			total -= min(v.end, start+length) - max(v.start, start)
		}
	}
	if total > as.limits.Locked {
		return unix.ENOMEM
	}
	return nil
}

// Munlock undoes Mlock (munlock(2)). It fails with EINVAL or ENOMEM.
func (as *AddressSpace) Munlock(addr, length uint64) error {
	start := pageDown(addr)
	length = pageUp(length + (addr - start))
	as.mu.Lock()
	defer as.flushAndUnlock()
	return as.setLocked(start, start+length, 0)
}

// setLocked sets the lock flags of all areas of the range. It fails with ENOMEM
// at the first hole.
func (as *AddressSpace) setLocked(start, end uint64, flags areaFlags) error {
	if end < start {
		return unix.EINVAL
	}
	defer as.merge(start, end)
	for at := start; at < end; {
		v := as.areas.find(at)
		if v == nil || v.start > at {
			return unix.ENOMEM
		}
		next := min(v.end, end)
		if err := as.lockArea(v, at, next, flags); err != nil {
			return err
		}
		at = next
	}
	return nil
}

// lockArea changes the lock flags of [start, end), which lies in the area.
// Special mappings are never locked.
func (as *AddressSpace) lockArea(v *vma, start, end uint64, flags areaFlags) error {
	wanted := v.flags&^(areaLocked|areaLockFault) | flags
	if v.has(areaFixedSize) || wanted == v.flags {
		return nil
	}
	v, err := as.isolate(start, end, 0)
	if err != nil {
		return err
	}
	as.setFlags(v, wanted)
	return nil
}

// Mlockall locks all current or future mappings, as selected by the MCL_* flags
// (mlockall(2)), and makes the pages present. stop ends that early. It fails with
// EINVAL, EPERM or ENOMEM.
func (as *AddressSpace) Mlockall(flags int, stop Stop) error {
	if err := as.setLockAll(flags); err != nil {
		return err
	}
	if flags&unix.MCL_CURRENT != 0 {
		as.populateLocked(stop)
	}
	return nil
}

// setLockAll is Mlockall without the population.
func (as *AddressSpace) setLockAll(flags int) error {
	if flags == 0 || flags == unix.MCL_ONFAULT || flags&^(unix.MCL_CURRENT|unix.MCL_FUTURE|unix.MCL_ONFAULT) != 0 {
		return unix.EINVAL
	}
	lock := areaLocked
	if flags&unix.MCL_ONFAULT != 0 {
		lock |= areaLockFault
	}
	as.mu.Lock()
	defer as.flushAndUnlock()
	mapped := uint64(as.counters.mapped.Load()) * PageSize
	switch {
	case as.limits.Locked == 0:
		return unix.EPERM
	case flags&unix.MCL_CURRENT != 0 && mapped > as.limits.Locked:
		return unix.ENOMEM
	}
	as.lockFuture = 0
	if flags&unix.MCL_FUTURE != 0 {
		as.lockFuture = lock
	}
	if flags&unix.MCL_CURRENT != 0 {
		as.lockAll(lock)
	}
	return nil
}

// Munlockall unlocks all current and future mappings (munlockall(2)).
func (as *AddressSpace) Munlockall() {
	as.mu.Lock()
	defer as.flushAndUnlock()
	as.lockFuture = 0
	as.lockAll(0)
}

// lockAll sets the lock flags of all areas.
func (as *AddressSpace) lockAll(flags areaFlags) {
	for v := as.areas.first; v != nil; v = v.next {
		if v.has(areaFixedSize) {
			continue
		}
		as.setFlags(v, v.flags&^(areaLocked|areaLockFault)|flags)
	}
	as.merge(0, UserEnd)
}
