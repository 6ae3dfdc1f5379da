package mm

// Reap frees the private pages of an address space whose processes have all been
// killed for want of memory, before they exit (Linux: oom_reaper). From then on
// every fault and every access of the kernel fails, so that no survivor of a call
// in progress reads zeros for data. It may sleep. The caller may hold locks, but
// none that a fault takes.
func (as *AddressSpace) Reap() {
	as.mu.Lock()
	defer as.flushAndUnlock()
	as.reaped = true
	for v := as.areas.first; v != nil; v = v.next {
		if !v.has(areaShared) {
			as.zap(v, v.start, v.end)
		}
	}
}
