package task

import "golang.org/x/sys/unix"

// Keep is the argument -1 of setreuid(2) and similar calls: the id does not change.
const Keep = ^uint32(0)

// ids holds the three user ids or the three group ids of a task. The same rules
// apply to both (credentials(7)). privileged is CAP_SETUID or CAP_SETGID.
type ids struct{ real, effective, saved uint32 }

// set is setuid(2). A privileged caller sets all three ids. Others set the
// effective id to the real or the saved one.
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

// setReal is setreuid(2). The saved id becomes the effective one, except if only
// the effective id is set, to the real id.
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

// isOneOf reports whether id is Keep or one of others.
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
