package seccomp

import (
	"encoding/hex"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/signal"
	"slowpath/task"
)

// request says whether the filter has SECCOMP_FILTER_FLAG_LOG.
type request bool

const requested request = true

// unset is an id that was not set: the login user and the session of audit records.
const unset = ^uint32(0)

// logAction writes an audit record if the action of the verdict is in actions_logged,
// and for other actions than kill and log only if the filter has requested it. The
// line is that of Linux's audit_seccomp without an audit daemon.
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
	const auditSeccomp = 1326
	now := k.Wall().Now()
	c := t.Credentials()
	path := ""
	if p := t.Program(); p != nil {
		path = p.Path
	}
	k.Logf("audit: type=%d audit(%d.%03d:%d): auid=%d uid=%d gid=%d ses=%d pid=%d comm=%s exe=%s sig=%d arch=%x syscall=%d compat=0 ip=%#x code=%#x",
		auditSeccomp, now/1e9, now%1e9/1e6, k.NextAuditSerial(), unset, c.UID, c.GID, unset, t.TID(),
		untrusted(t.Comm()), untrusted(path), int(s), uint32(unix.AUDIT_ARCH_X86_64), nr, t.Frame.RIP, uint32(a))
}

// untrusted quotes a string that a program chose, or encodes it in hexadecimal digits
// if it has other characters than visible ASCII (Linux: audit_log_untrustedstring).
func untrusted(s string) string {
	special := func(r rune) bool { return r == '"' || r < 0x21 || r > 0x7e }
	if strings.IndexFunc(s, special) >= 0 {
		return strings.ToUpper(hex.EncodeToString([]byte(s)))
	}
	return `"` + s + `"`
}
