package audit

import (
	"encoding/binary"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs/netlink"
	"slowpath/task"
)

// The values of audit_enabled.
const (
	enabledOff    = 0
	enabledOn     = 1
	enabledLocked = 2 // on, and the configuration cannot be changed until the next boot
)

// ticks is the unit of the backlog's waiting times, in one second (CONFIG_HZ of Debian's
// kernel).
const ticks = 250

// defaultWait is the initial backlog_wait_time.
const defaultWait = 60 * ticks

// status is what AUDIT_GET shows and AUDIT_SET changes (struct audit_status).
type status struct {
	enabled, failure, rateLimit, backlogLimit atomic.Uint32
	backlogWait                               atomic.Uint32 // in ticks
	lost                                      atomic.Uint32
	waited                                    atomic.Uint32 // in ticks, backlog_wait_time_actual
	features, locks                           atomic.Uint32 // of struct audit_features
}

// auditStatus is struct audit_status.
type auditStatus struct {
	Mask, Enabled, Failure, PID, RateLimit, BacklogLimit uint32
	Lost, Backlog, Features, WaitTime, WaitTimeActual    uint32
}

// statusReply returns the payload of the answer to AUDIT_GET.
func (a *Audit) statusReply() []byte {
	s := auditStatus{
		Enabled: a.status.enabled.Load(), Failure: a.status.failure.Load(), PID: uint32(a.daemonPID()),
		RateLimit: a.status.rateLimit.Load(), BacklogLimit: a.status.backlogLimit.Load(),
		Lost: a.status.lost.Load(), Backlog: uint32(a.queue.length()), Features: unix.AUDIT_FEATURE_BITMAP_ALL,
		WaitTime: a.status.backlogWait.Load(), WaitTimeActual: a.status.waited.Load(),
	}
	return abi.Bytes(&s)
}

// setting is a field of struct audit_status that AUDIT_SET changes.
type setting struct {
	bit   uint32 // of mask
	name  string // in the record
	value func(s *auditStatus) uint32
	cell  func(s *status) *atomic.Uint32
	check func(value uint32) bool
}

// The settings before and after the process id, in the order in which Linux sets them.
var (
	firstSettings = []setting{
		{unix.AUDIT_STATUS_ENABLED, "audit_enabled", func(s *auditStatus) uint32 { return s.Enabled },
			func(s *status) *atomic.Uint32 { return &s.enabled }, func(v uint32) bool { return v <= enabledLocked }},
		{unix.AUDIT_STATUS_FAILURE, "audit_failure", func(s *auditStatus) uint32 { return s.Failure },
			func(s *status) *atomic.Uint32 { return &s.failure }, func(v uint32) bool { return v <= unix.AUDIT_FAIL_PANIC }},
	}
	lastSettings = []setting{
		{unix.AUDIT_STATUS_RATE_LIMIT, "audit_rate_limit", func(s *auditStatus) uint32 { return s.RateLimit },
			func(s *status) *atomic.Uint32 { return &s.rateLimit }, nil},
		{unix.AUDIT_STATUS_BACKLOG_LIMIT, "audit_backlog_limit", func(s *auditStatus) uint32 { return s.BacklogLimit },
			func(s *status) *atomic.Uint32 { return &s.backlogLimit }, nil},
		{unix.AUDIT_STATUS_BACKLOG_WAIT_TIME, "audit_backlog_wait_time", func(s *auditStatus) uint32 { return s.WaitTime },
			func(s *status) *atomic.Uint32 { return &s.backlogWait }, func(v uint32) bool { return v <= 10*defaultWait }},
	}
)

// set is AUDIT_SET. The result is an errno, or a positive number that the acknowledgement
// carries: the counter that was reset.
func (a *Audit) set(q *request) (int32, error) {
	var s auditStatus
	copy(abi.Bytes(&s), q.message.Payload)
	if err := a.apply(q.task, &s, firstSettings); err != nil {
		return 0, err
	}
	if s.Mask&unix.AUDIT_STATUS_PID != 0 {
		if err := a.setDaemon(q, int(int32(s.PID))); err != nil {
			return 0, err
		}
	}
	size := netlink.HeaderSize + len(q.message.Payload) // Linux counts the header here
	if s.Mask&unix.AUDIT_STATUS_BACKLOG_WAIT_TIME != 0 && size < len(abi.Bytes(&s)) {
		return 0, unix.EINVAL
	}
	if err := a.apply(q.task, &s, lastSettings); err != nil {
		return 0, err
	}
	switch s.Mask {
	case unix.AUDIT_STATUS_LOST:
		return a.resetCounter(q.task, "lost", &a.status.lost), nil
	case unix.AUDIT_STATUS_BACKLOG_WAIT_TIME_ACTUAL:
		return a.resetCounter(q.task, "backlog_wait_time_actual", &a.status.waited), nil
	}
	return 0, nil
}

func (a *Audit) resetCounter(t *task.Task, name string, cell *atomic.Uint32) int32 {
	old := cell.Swap(0)
	a.logSet(t, name, 0, old, true)
	return int32(old)
}

// apply changes the settings of a list that the mask names. Errors: EINVAL, EPERM if the
// configuration is locked.
func (a *Audit) apply(t *task.Task, s *auditStatus, list []setting) error {
	for i := range list {
		one := &list[i]
		if s.Mask&one.bit == 0 {
			continue
		}
		value := one.value(s)
		if one.check != nil && !one.check(value) {
			return unix.EINVAL
		}
		if err := a.change(t, one, value); err != nil {
			return err
		}
	}
	return nil
}

// change is audit_do_config_change.
func (a *Audit) change(t *task.Task, one *setting, value uint32) error {
	cell := one.cell(&a.status)
	old := cell.Load()
	allowed := a.status.enabled.Load() != enabledLocked
	if a.status.enabled.Load() != enabledOff {
		a.logSet(t, one.name, value, old, allowed)
	}
	if !allowed {
		return unix.EPERM
	}
	cell.Store(value)
	if one.bit == unix.AUDIT_STATUS_ENABLED {
		if value != enabledOff {
			a.ever.Store(true)
		}
		a.kernel.UpdateLevels()
	}
	return nil
}

// logSet writes the record of a change of the configuration.
func (a *Audit) logSet(t *task.Task, name string, value, old uint32, allowed bool) {
	r := a.begin(t, contextOf(t), unix.AUDIT_CONFIG_CHANGE)
	r.addf("op=set %s=%d old=%d ", name, value, old)
	a.addSession(r, t)
	r.addf(" res=%d", number(allowed))
	a.end(r)
}

// number returns 1 for true, 0 for false.
func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (a *Audit) daemonPID() int {
	if d := a.daemon.Load(); d != nil {
		return d.pid
	}
	return 0
}

// isDaemon reports whether the task is one of the daemon's: it is not audited.
func (a *Audit) isDaemon(t *task.Task) bool {
	d := a.daemon.Load()
	return d != nil && d.group == t.Group()
}

// setDaemon registers the caller's process as the daemon, or ends that if pid is 0. Errors:
// EINVAL for another process, EEXIST if there is a daemon that answers, EACCES if the
// caller is not the daemon.
func (a *Audit) setDaemon(q *request, pid int) error {
	own := int(q.task.ProcessID())
	if pid != 0 && pid != own {
		return unix.EINVAL
	}
	a.testDaemon(own)
	current := a.daemonPID()
	if current != 0 {
		var err error
		switch {
		case pid != 0:
			err = unix.EEXIST
		case own != current:
			err = unix.EACCES
		}
		if err != nil {
			a.logSet(q.task, "audit_pid", uint32(pid), uint32(current), false)
			return err
		}
	}
	if pid != 0 {
		q.acknowledge() // before the records that wait for a daemon
		a.daemon.Store(&daemon{group: q.task.Group(), pid: pid, port: q.sender.Port})
		a.watchSignals()
	}
	if a.status.enabled.Load() != enabledOff {
		a.logSet(q.task, "audit_pid", uint32(pid), uint32(current), true)
	}
	if pid == 0 {
		a.resetDaemon(nil)
		return nil
	}
	a.queue.start(a)
	return nil
}

// testDaemon sends the daemon a message, which fails if it has gone.
func (a *Audit) testDaemon(by int) {
	d := a.daemon.Load()
	if d == nil {
		return
	}
	payload := binary.LittleEndian.AppendUint32(nil, uint32(by))
	if a.unicast(d, &record{kind: unix.AUDIT_REPLACE, text: payload}) == unix.ECONNREFUSED {
		a.resetDaemon(d)
	}
}

// features is struct audit_features.
type features struct{ Version, Mask, Features, Lock uint32 }

// featureNames has the names of the features by bit.
var featureNames = [...]string{"only_unset_loginuid", "loginuid_immutable"}

func (a *Audit) hasFeature(bit int) bool { return a.status.features.Load()>>bit&1 != 0 }

func (a *Audit) featureReply() []byte {
	f := features{Version: unix.AUDIT_FEATURE_VERSION, Mask: ^uint32(0), Features: a.status.features.Load(), Lock: a.status.locks.Load()}
	return abi.Bytes(&f)
}

// setFeatures is AUDIT_SET_FEATURE. Errors: EINVAL, EPERM for a feature that is locked.
func (a *Audit) setFeatures(q *request) error {
	var f features
	if len(q.message.Payload) < len(abi.Bytes(&f)) {
		return unix.EINVAL
	}
	copy(abi.Bytes(&f), q.message.Payload)
	old, locked := a.status.features.Load(), a.status.locks.Load()
	for bit := range featureNames {
		mask := uint32(1) << bit & f.Mask
		if locked&mask != 0 && (old^f.Features)&mask != 0 {
			a.logFeature(q.task, bit, &f, false)
			return unix.EPERM
		}
	}
	for bit := range featureNames {
		mask := uint32(1) << bit & f.Mask
		if mask == 0 {
			continue
		}
		if (old^f.Features)&mask != 0 {
			a.logFeature(q.task, bit, &f, true)
		}
		a.status.features.Store(a.status.features.Load()&^mask | f.Features&mask)
		a.status.locks.Or(f.Lock & mask)
	}
	return nil
}

func (a *Audit) logFeature(t *task.Task, bit int, f *features, allowed bool) {
	if a.status.enabled.Load() == enabledOff {
		return
	}
	old, locked := a.status.features.Load()>>bit&1, a.status.locks.Load()>>bit&1
	r := a.begin(t, contextOf(t), unix.AUDIT_FEATURE_CHANGE)
	a.addTask(r, t)
	r.addf(" feature=%s old=%d new=%d old_lock=%d new_lock=%d res=%d", featureNames[bit],
		old, f.Features>>bit&1, locked, (f.Lock>>bit&1)|locked, number(allowed))
	a.end(r)
}
