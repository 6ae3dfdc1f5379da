package trace

import "slices"

// pidFilter limits an instance to threads. The value is constant.
type pidFilter struct {
	only, not []int32 // sorted; an empty list has no effect
}

// PIDList says which list of threads is meant.
type PIDList uint8

const (
	// OnlyPIDs are the threads whose events are recorded (the file set_event_pid).
	OnlyPIDs PIDList = iota
	// NotPIDs are those whose events are not recorded (set_event_notrace_pid).
	NotPIDs
)

func (p *pidFilter) list(which PIDList) *[]int32 {
	if which == OnlyPIDs {
		return &p.only
	}
	return &p.not
}

// ignores reports whether events of the thread are not recorded.
func (i *Instance) ignores(t Task) bool {
	p := i.pids.Load()
	if p == nil {
		return false
	}
	tid := int32(t.TID())
	if len(p.only) > 0 {
		if _, found := slices.BinarySearch(p.only, tid); !found {
			return true
		}
	}
	_, found := slices.BinarySearch(p.not, tid)
	return found
}

// PIDs returns a list of threads, in ascending order.
func (i *Instance) PIDs(which PIDList) []int32 {
	p := i.pids.Load()
	if p == nil {
		return nil
	}
	return slices.Clone(*p.list(which))
}

// AddPIDs adds threads to a list. Error: ENOMEM.
func (i *Instance) AddPIDs(which PIDList, pids []int32) error {
	if err := i.registry.config.Memory.Admit(int64(len(pids)) * 8); err != nil {
		return err
	}
	i.modes.Lock()
	defer i.modes.Unlock()
	i.setObstacle(obstaclePIDs, true) // before the first record that the lists must stop
	i.changePIDs(which, func(old []int32) []int32 { return insertPIDs(old, pids) })
	return nil
}

// ClearPIDs empties a list.
func (i *Instance) ClearPIDs(which PIDList) {
	i.modes.Lock()
	defer i.modes.Unlock()
	i.changePIDs(which, func([]int32) []int32 { return nil })
	i.setObstacle(obstaclePIDs, i.pids.Load() != nil)
}

// changePIDs replaces a list. It takes no lock and does not sleep. Only AddPIDs may make the
// first list; change returns nil for nil otherwise.
func (i *Instance) changePIDs(which PIDList, change func(old []int32) []int32) {
	for {
		old, next := i.pids.Load(), new(pidFilter)
		if old != nil {
			*next = *old
		}
		list := next.list(which)
		*list = change(*list)
		if len(next.only)+len(next.not) == 0 {
			next = nil
		}
		if i.pids.CompareAndSwap(old, next) {
			return
		}
	}
}

// followers are the instances with the option event-fork. The value is constant.
type followers []*Instance

// followForks makes the list of followers that of the instances' options. The registry is
// locked.
func (r *Registry) followForks() {
	var following followers
	for _, i := range r.instances {
		if i.has(optionFork) {
			following = append(following, i)
		}
	}
	r.following.Store(&following)
}

// Forked adds a new thread to the lists of threads that have its parent, in the instances
// with the option event-fork. It takes no lock and does not sleep.
func (r *Registry) Forked(parent, child int) {
	following := r.following.Load()
	if following == nil || len(*following) == 0 {
		return
	}
	for _, i := range *following {
		i.changeBoth(int32(parent), func(list []int32) []int32 { return insertPIDs(list, []int32{int32(child)}) })
	}
}

// Exited removes a thread from these lists. It takes no lock and does not sleep.
func (r *Registry) Exited(tid int) {
	following := r.following.Load()
	if following == nil || len(*following) == 0 {
		return
	}
	for _, i := range *following {
		i.changeBoth(int32(tid), func(list []int32) []int32 {
			return slices.DeleteFunc(slices.Clone(list), func(one int32) bool { return one == int32(tid) })
		})
	}
}

// changeBoth changes the lists that have a thread.
func (i *Instance) changeBoth(tid int32, change func(list []int32) []int32) {
	for _, which := range []PIDList{OnlyPIDs, NotPIDs} {
		p := i.pids.Load()
		if p == nil {
			return
		}
		if _, found := slices.BinarySearch(*p.list(which), tid); found {
			i.changePIDs(which, func(old []int32) []int32 {
				if len(old) == 0 {
					return nil // it was emptied meanwhile
				}
				return change(old)
			})
		}
	}
}

// insertPIDs returns a sorted list with further threads.
func insertPIDs(list, more []int32) []int32 {
	all := append(slices.Clone(list), more...)
	slices.Sort(all)
	return slices.Compact(all)
}
