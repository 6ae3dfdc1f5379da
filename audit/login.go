package audit

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/task"
)

// The bits of audit's features (AUDIT_FEATURE_ONLY_UNSET_LOGINUID and so on).
const (
	onlyUnsetLogin = unix.AUDIT_FEATURE_ONLY_UNSET_LOGINUID
	immutableLogin = unix.AUDIT_FEATURE_LOGINUID_IMMUTABLE
)

// SetLoginUID sets the loginuid of a task, and begins a new session unless uid is -1
// (Linux: audit_set_loginuid). Only the task's own goroutine calls it. EPERM.
func (a *Audit) SetLoginUID(t *task.Task, uid uint32) error {
	oldUID, oldSession := a.LoginUID(t)
	err := a.mayLogin(t, oldUID, uid)
	session := unset
	if err == nil {
		if uid != unset {
			if session = a.sessions.Add(1); session == unset {
				session = a.sessions.Add(1)
			}
		}
		s := a.slot.Of(t)
		s.session.Store(^session)
		s.login.Store(^uid)
	}
	a.logLogin(t, oldUID, uid, oldSession, session, err)
	return err
}

func (a *Audit) mayLogin(t *task.Task, old, uid uint32) error {
	if old == unset {
		return nil
	}
	if a.hasFeature(immutableLogin) || !t.Credentials().Has(cred.AuditControl) ||
		a.hasFeature(onlyUnsetLogin) && uid != unset {
		return unix.EPERM
	}
	return nil
}

func (a *Audit) logLogin(t *task.Task, oldUID, uid, oldSession, session uint32, err error) {
	if a.status.enabled.Load() == enabledOff {
		return
	}
	r := a.begin(t, contextOf(t), unix.AUDIT_LOGIN)
	r.addf("pid=%d uid=%d old-auid=%d auid=%d tty=%s old-ses=%d ses=%d res=%d", t.ProcessID(), t.Credentials().UID,
		oldUID, uid, terminalName(t), oldSession, session, number(err == nil))
	a.end(r)
}
