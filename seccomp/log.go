package seccomp

import (
	"slowpath/signal"
	"slowpath/task"
)

// request says whether the filter has SECCOMP_FILTER_FLAG_LOG.
type request bool

const requested request = true

// logAction makes audit write a record if the action of the verdict is in actions_logged,
// and for other actions than kill and log only if the filter has requested it.
func logAction(t *task.Task, nr int32, s signal.Signal, verdict uint32, r request) {
	a := actionOf(verdict)
	switch a {
	case retAllow:
		return
	case retTrap, retErrno, retTrace, retUserNotify:
		if r != requested {
			return
		}
	}
	bit := a.bit()
	if bit < 0 {
		bit = retKillProcess.bit()
	}
	k := t.Kernel()
	if k.Settings().SeccompLogged.Get()>>bit&1 == 0 {
		return
	}
	if p := &k.Tracepoints.SeccompLogged; p.Active() {
		p.Call(task.SeccompLogged{Task: t, Number: nr, Signal: s, Action: uint32(a)})
	}
}
