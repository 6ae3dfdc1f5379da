package task

import "golang.org/x/sys/unix"

// Keep stands for an id that setreuid(2) and its kin leave as it is.
const Keep = ^uint32(0)

// ids are the three user ids or the three group ids of a task. The rules by
// which they change are the same for both (credentials(7)); privileged is
// CAP_SETUID or CAP_SETGID.
type ids struct{ real, effective, saved uint32 }

// set is setuid(2): all three for the privileged, else the effective one, to
// the real or the saved one.
func (i ids) set(id uint32, privileged bool) (ids, error) {
	switch {
	case id == Keep:
		return i, unix.EINVAL
	case privileged:
		return ids{id, id, id}, nil
	case id != i.real && id != i.saved:
		return i, unix.EPERM
	}
	i.effective = id
	return i, nil
}

// setReal is setreuid(2). The saved id follows the effective one, unless only
// that changes, and only to what the real one is.
func (i ids) setReal(real, effective uint32, privileged bool) (ids, error) {
	if !privileged && (!isOneOf(real, i.real, i.effective) || !isOneOf(effective, i.real, i.effective, i.saved)) {
		return i, unix.EPERM
	}
	next := ids{orKept(real, i.real), orKept(effective, i.effective), i.saved}
	if real != Keep || effective != Keep && effective != i.real {
		next.saved = next.effective
	}
	return next, nil
}

// setAll is setresuid(2).
func (i ids) setAll(next ids, privileged bool) (ids, error) {
	for _, id := range [...]uint32{next.real, next.effective, next.saved} {
		if !privileged && !isOneOf(id, i.real, i.effective, i.saved) {
			return i, unix.EPERM
		}
	}
	return ids{orKept(next.real, i.real), orKept(next.effective, i.effective), orKept(next.saved, i.saved)}, nil
}

// isOneOf reports whether an id is Keep or one of others.
func isOneOf(id uint32, others ...uint32) bool {
	for _, other := range others {
		if id == other {
			return true
		}
	}
	return id == Keep
}

// orKept returns id, or kept if id is Keep.
func orKept(id, kept uint32) uint32 {
	if id == Keep {
		return kept
	}
	return id
}
