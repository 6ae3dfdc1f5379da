package audit

import (
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/entry"
	"slowpath/task"
)

// coreSignal writes the record of a signal that ends a process with a core dump (Linux:
// audit_core_dumps). It may sleep.
func (a *Audit) coreSignal(e task.CoreSignal) {
	if a.status.enabled.Load() == enabledOff || e.Signal == unix.SIGQUIT {
		return
	}
	r := a.begin(e.Task, contextOf(e.Task), unix.AUDIT_ANOM_ABEND)
	a.addShortTask(r, e.Task)
	r.addf(" sig=%d res=1", e.Signal)
	a.end(r)
}

// seccompLogged writes the record of a verdict of a filter (Linux: audit_seccomp), also if
// audit is off. It may sleep.
func (a *Audit) seccompLogged(e task.SeccompLogged) {
	t := e.Task
	r := a.begin(t, contextOf(t), unix.AUDIT_SECCOMP)
	a.addShortTask(r, t)
	r.addf(" sig=%d arch=%x syscall=%d compat=%d ip=0x%x code=0x%x", e.Signal, t.CallABI().AuditArch(), e.Number, number(t.CallABI() == entry.I386), t.Frame.RIP, e.Action)
	a.end(r)
}

// lastSender is who has sent the daemon a signal last (AUDIT_SIGNAL_INFO).
type lastSender struct {
	mu       sync.Mutex
	known    bool
	uid, pid uint32
}

func (s *lastSender) get() (uid, pid uint32, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uid, s.pid, s.known
}

// watchSignals registers signalSent while it is needed: every kill(2) pays for it.
func (a *Audit) watchSignals() {
	a.signals.mu.Lock()
	defer a.signals.mu.Unlock()
	needed := a.daemon.Load() != nil || a.rules.Load().signals != 0
	switch {
	case needed && a.signals.unregister == nil:
		a.signals.unregister = a.kernel.Tracepoints.SignalSent.Register(a.signalSent)
	case !needed && a.signals.unregister != nil:
		a.signals.unregister()
		a.signals.unregister = nil
	}
}

// signalWatch is the registration of signalSent, nil if there is none.
type signalWatch struct {
	mu         sync.Mutex
	unregister func()
}

// signalSent is called when a task asks to send a signal to another. It notes who stops
// the daemon, and the target for the record of the call (Linux: audit_signal_info). The
// kernel's lock may be held: it does not sleep.
func (a *Audit) signalSent(e task.SignalSent) {
	if d := a.daemon.Load(); d != nil && d.group == e.Target.Group() {
		switch e.Signal {
		case unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2:
			a.noteSender(e.Sender)
		}
	}
	x := contextOf(e.Sender)
	if x == nil || !x.collects() || a.rules.Load().signals == 0 {
		return
	}
	x.addTarget(e.Target)
}

func (a *Audit) noteSender(t *task.Task) {
	uid, _ := a.LoginUID(t)
	if uid == unset {
		uid = t.Credentials().UID
	}
	a.sender.mu.Lock()
	defer a.sender.mu.Unlock()
	a.sender.known, a.sender.uid, a.sender.pid = true, uid, uint32(t.ProcessID())
}

// maxTargets bounds the targets of one call.
const maxTargets = 1024

func (x *context) addTarget(t *task.Task) {
	if len(x.targets) == maxTargets {
		return
	}
	uid, session := x.audit.LoginUID(t)
	x.touched = true
	x.targets = append(x.targets, target{
		pid: uint32(t.ProcessID()), uid: t.Credentials().UID, login: uid, session: session, comm: t.Comm(),
	})
}

// signalInfo is AUDIT_SIGNAL_INFO (struct audit_sig_info without a security context).
func (a *Audit) signalInfo(q *request) error {
	info := struct{ UID, PID uint32 }{^uint32(0), ^uint32(0)}
	if uid, pid, known := a.sender.get(); known {
		info.UID, info.PID = uid, pid
	}
	q.reply(unix.AUDIT_SIGNAL_INFO, 0, abi.Bytes(&info))
	return nil
}
