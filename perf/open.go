package perf

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/task"
)

// Flags of perf_event_open(2).
const knownFlags = unix.PERF_FLAG_FD_NO_GROUP | unix.PERF_FLAG_FD_OUTPUT | unix.PERF_FLAG_PID_CGROUP | unix.PERF_FLAG_FD_CLOEXEC

// Request has the arguments of perf_event_open(2).
type Request struct {
	Attributes uint64 // address of the structure
	PID, CPU   int
	Group      int // a descriptor, or -1
	Flags      uint64
}

// Open is perf_event_open(2), without the installation of the file. Errors: those of
// the manual page, and ENOSYS if the kernel was made without package perf.
func Open(t *task.Task, r Request) (*fs.File, error) {
	p := perfOf(t)
	if p == nil {
		return nil, unix.ENOSYS
	}
	if r.Flags&^knownFlags != 0 {
		return nil, unix.EINVAL
	}
	attr, err := copyAttributes(t, r.Attributes)
	if err != nil {
		return nil, err
	}
	if r.Flags&unix.PERF_FLAG_PID_CGROUP != 0 {
		return nil, unix.EINVAL // no cgroups
	}
	e := &Event{
		perf: p, attr: attr, cpu: r.CPU, wide: r.PID == -1, tasks: make(map[*task.Task]int64),
		enable: attr.Has(unix.PerfBitEnableOnExec), sampling: attr.sampling(),
	}
	e.leader.Store(e)
	if err := p.check(t, e); err != nil {
		return nil, err
	}
	target, err := p.target(t, r)
	if err != nil {
		return nil, err
	}
	leader, output, err := groupOf(t, r, e)
	if err != nil {
		return nil, err
	}
	if leader != nil {
		defer leader.DecRef()
	}
	return p.open(t, e, target, output)
}

// check validates the request apart from its task and group.
func (p *Perf) check(t *task.Task, e *Event) error {
	if err := p.allowed(t, e.attr, e.wide); err != nil {
		return err
	}
	if err := p.checkRate(e.attr); err != nil {
		return err
	}
	if e.cpu >= p.kernel.CPUs() || e.cpu < -1 || e.cpu == -1 && e.wide {
		return unix.EINVAL
	}
	if e.attr.samples(unix.PERF_SAMPLE_CALLCHAIN) && int64(e.attr.Sample_max_stack) > p.settings.PerfEventMaxStack.Get() {
		return unix.EOVERFLOW
	}
	if e.attr.Has(unix.PerfBitUseClockID) && !validClock(e.attr.Clockid) {
		return unix.EINVAL
	}
	return nil
}

// target returns the task of a request: nil for every task. Errors: ESRCH, EACCES.
func (p *Perf) target(t *task.Task, r Request) (*task.Task, error) {
	switch {
	case r.PID == -1:
		return nil, nil
	case r.PID == 0:
		return t, nil
	}
	target := p.kernel.TaskByID(r.PID)
	if target == nil {
		return nil, unix.ESRCH
	}
	if !mayObserve(t, target) {
		return nil, unix.EACCES
	}
	return target, nil
}

// mayObserve reports whether a task may open events for another one or itself.
func mayObserve(t, target *task.Task) bool {
	return t == target || privileged(t) || t.MayInspect(target, cred.WithRealIDs)
}

// groupOf resolves the group descriptor. It makes e a member of the group, or returns the event to
// whose ring it writes (PERF_FLAG_FD_OUTPUT). file has a reference.
func groupOf(t *task.Task, r Request, e *Event) (file *fs.File, output *Event, err error) {
	if r.Group == -1 {
		return nil, nil, nil
	}
	file, err = t.FDs.Get(r.Group)
	if err != nil {
		return nil, nil, err
	}
	other := eventOf(file)
	if other == nil {
		file.DecRef()
		return nil, nil, unix.EBADF
	}
	if r.Flags&unix.PERF_FLAG_FD_OUTPUT != 0 {
		output = other
	}
	if r.Flags&unix.PERF_FLAG_FD_NO_GROUP != 0 {
		return file, output, nil
	}
	if other.leader.Load() != other || other.cpu != e.cpu || other.wide != e.wide ||
		other.attr.Bits&unix.PerfBitInherit != e.attr.Bits&unix.PerfBitInherit {
		file.DecRef()
		return nil, nil, unix.EINVAL
	}
	e.leader.Store(other)
	return file, output, nil
}

// open makes the source and the file, and starts to count.
func (p *Perf) open(t *task.Task, e *Event, target *task.Task, output *Event) (*fs.File, error) {
	open := openers[e.attr.Type]
	if open == nil {
		return nil, unix.ENOENT
	}
	if err := p.memory.Admit(eventBytes); err != nil {
		return nil, err
	}
	e.id = p.lastID.Add(1)
	e.rate.init(e.attr)
	var err error
	if e.source, err = open(p, t, e); err != nil {
		return nil, err
	}
	if e.attr.Has(unix.PerfBitContextSwitch) {
		p.software.switchRecords.use(p.connectSwitchRecords)
	}
	file := t.FS.Mounts().NewAnonymous("perf_event", 0, e)
	if err := p.start(t, e, target, output); err != nil {
		file.DecRef()
		return nil, err
	}
	return file, nil
}

// start makes an event count that has its source and its file.
func (p *Perf) start(t *task.Task, e *Event, target *task.Task, output *Event) error {
	if output != nil {
		if err := e.shareRing(output); err != nil {
			return err
		}
	}
	if err := p.join(t, e, target); err != nil {
		return err
	}
	if target != nil && !mayObserve(t, target) { // it has become another program meanwhile
		return unix.EACCES
	}
	return e.source.refilter()
}

// join adds the event to its group and to the lists in which hits find it. Errors:
// ESRCH if the task has exited, EINVAL if the group was closed or counts for others.
func (p *Perf) join(opener *task.Task, e *Event, target *task.Task) error {
	err := p.joinLists(opener, e, target)
	if err == nil && target != nil {
		e.followSpace(target)
	}
	return err
}

func (p *Perf) joinLists(opener *task.Task, e *Event, target *task.Task) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if leader := e.leader.Load(); leader != e {
		if err := leader.addSibling(e, target); err != nil {
			return err
		}
	}
	if e.wide {
		p.wide.add(e)
	} else {
		if target.Dead() || of(target).left {
			return unix.ESRCH
		}
		e.attach(target)
	}
	e.owner = opener
	of(opener).owned.add(e)
	if !e.attr.Has(unix.PerfBitDisabled) {
		e.setEnabled(enabled)
	}
	return nil
}

// addSibling adds an event to the group of which e is the leader.
func (e *Event) addSibling(sibling *Event, target *task.Task) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.tasks[target]; e.released || !e.wide && !ok {
		return unix.EINVAL
	}
	e.siblings = append(e.siblings, sibling)
	return nil
}
