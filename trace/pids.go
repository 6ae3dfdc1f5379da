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
	i.changePIDs(which, func(old []int32) []int32 {
		all := append(slices.Clone(old), pids...)
		slices.Sort(all)
		return slices.Compact(all)
	})
	return nil
}

// ClearPIDs empties a list.
func (i *Instance) ClearPIDs(which PIDList) {
	i.changePIDs(which, func([]int32) []int32 { return nil })
}

func (i *Instance) changePIDs(which PIDList, change func(old []int32) []int32) {
	i.registry.mu.Lock()
	defer i.registry.mu.Unlock()
	var next pidFilter
	if p := i.pids.Load(); p != nil {
		next = *p
	}
	list := next.list(which)
	*list = change(*list)
	if len(next.only)+len(next.not) == 0 {
		i.pids.Store(nil)
		return
	}
	i.pids.Store(&next)
}
