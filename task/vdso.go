package task

// MoveVDSO makes the tasks of the address space use the 32-bit vDSO at a new address, after
// mremap(2) has moved what was at an address. System calls by SYSCALL and SYSENTER then
// return to the new place, this one too, and signal handlers return to it (Linux:
// vdso_mremap). Nothing changes if the vDSO was not moved. Only the task's own goroutine
// calls it, in a system call.
func (t *Task) MoveVDSO(from, to uint64) {
	c := t.program.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	p := *c.load()
	if p.VDSO.Entry == 0 || p.VDSO.Header != from || !t.kernel.config.VDSO.IsMapped(t.MM, p.VDSO.object, to) {
		return
	}
	old := p.VDSO.LandingPad
	p.VDSO = p.VDSO.movedTo(to)
	c.current.Store(&p)
	if t.Frame.InCall32() && t.Frame.RIP == old {
		t.Frame.RIP = p.VDSO.LandingPad
	}
	t.Frame.SetLandingPad32(p.VDSO.LandingPad)
	t.kernel.eachTask(func(other *Task) {
		if other != t && other.program.Load() == c {
			other.AddWork(func(other *Task) { other.Frame.SetLandingPad32(other.program.Load().load().VDSO.LandingPad) })
		}
	})
}

// movedTo returns the addresses of the vDSO when its ELF header is at an address.
func (v VDSO) movedTo(header uint64) VDSO {
	distance := header - v.Header
	return VDSO{v.object, header, v.Entry + distance, v.SigReturn + distance, v.RTSigReturn + distance, v.LandingPad + distance}
}
