package task

import (
	"golang.org/x/sys/unix"

	"slowpath/sysctl"
)

// The range of process ids (proc(5), /proc/sys/kernel/pid_max).
const (
	// DefaultPIDMax is the value of pid_max at boot: ids stay below it.
	DefaultPIDMax = 32768
	// PIDMaxLimit is the largest value that pid_max takes.
	PIDMaxLimit = 4194304
	// reservedPIDs are not allocated again after the numbers have wrapped.
	reservedPIDs = 300
)

// pid is a number in the table of ids, with the objects that have it as their id:
// a thread, a process, a process group and a session may share one. The number is
// free again after all of them were released: a process group keeps it after its
// leader's exit.
type pid struct {
	number  int
	task    *Task
	group   *ThreadGroup
	pgrp    *ProcessGroup
	session *Session
}

// pidTable allocates ids. The kernel's lock guards it.
type pidTable struct {
	byNumber map[int]*pid
	last     int
	max      int
}

func newPIDTable() pidTable {
	return pidTable{byNumber: make(map[int]*pid), max: DefaultPIDMax}
}

// allocate returns the next free id in ascending order, with wraparound: EAGAIN if
// there is none.
func (p *pidTable) allocate() (*pid, error) {
	for tried := 0; tried < p.max; tried++ {
		p.last++
		if p.last >= p.max {
			p.last = reservedPIDs
		}
		if p.byNumber[p.last] == nil {
			return p.claim(p.last), nil
		}
	}
	return nil, unix.EAGAIN
}

// allocateNumber returns the id of set_tid in clone3(2): EEXIST if it is in use,
// EINVAL if it is out of range.
func (p *pidTable) allocateNumber(number int) (*pid, error) {
	if number < 1 || number >= p.max {
		return nil, unix.EINVAL
	}
	if p.byNumber[number] != nil {
		return nil, unix.EEXIST
	}
	return p.claim(number), nil
}

func (p *pidTable) claim(number int) *pid {
	id := &pid{number: number}
	p.byNumber[number] = id
	return id
}

// release frees the number if no object has it.
func (p *pidTable) release(id *pid) {
	if id.task == nil && id.group == nil && id.pgrp == nil && id.session == nil {
		delete(p.byNumber, id.number)
	}
}

// PIDMax returns the limit below which all process ids are (pid_max).
func (k *Kernel) PIDMax() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.pids.max
}

// LastPID returns the id that was allocated last (proc(5), /proc/loadavg).
func (k *Kernel) LastPID() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.pids.last
}

// Sysctls returns the files of /proc/sys about tasks: those of Settings, and those
// whose value is in another object.
func (k *Kernel) Sysctls() []sysctl.Row {
	const longestName = 64 // __NEW_UTS_LEN
	host := func() string { name, _ := k.HostName(); return name }
	domain := func() string { _, name := k.HostName(); return name }
	return append(k.config.Settings.Rows(),
		sysctl.Row{Name: "kernel/hostname", Mode: 0o644, Value: sysctl.String{
			Get: host, Max: longestName, Set: func(name string) error { k.SetHostName(name); return nil },
		}},
		sysctl.Row{Name: "kernel/domainname", Mode: 0o644, Value: sysctl.String{
			Get: domain, Max: longestName, Set: func(name string) error { k.SetDomainName(name); return nil },
		}},
		sysctl.Row{Name: "kernel/pid_max", Mode: 0o644, Value: sysctl.Integer{
			Get: func() int64 { return int64(k.PIDMax()) }, Min: reservedPIDs + 1, Max: PIDMaxLimit,
			Set: func(n int64) error { return k.SetPIDMax(int(n)) },
		}},
	)
}

// SetPIDMax sets the limit: EINVAL outside 301 to PIDMaxLimit.
func (k *Kernel) SetPIDMax(max int) error {
	if max <= reservedPIDs || max > PIDMaxLimit {
		return unix.EINVAL
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pids.max = max
	return nil
}

// TaskByID returns the thread with the id that gettid(2) returns in it, or
// nil. A zombie leader is found until it is reaped.
func (k *Kernel) TaskByID(tid int) *Task {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.taskByID(tid)
}

func (k *Kernel) taskByID(tid int) *Task {
	if id := k.pids.byNumber[tid]; id != nil {
		return id.task
	}
	return nil
}

// GroupByID returns the process with the given process id, or nil.
func (k *Kernel) GroupByID(number int) *ThreadGroup {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.groupByID(number)
}

func (k *Kernel) groupByID(number int) *ThreadGroup {
	if id := k.pids.byNumber[number]; id != nil {
		return id.group
	}
	return nil
}

func (k *Kernel) processGroupByID(number int) *ProcessGroup {
	if id := k.pids.byNumber[number]; id != nil {
		return id.pgrp
	}
	return nil
}
