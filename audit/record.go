package audit

import (
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/fs"
	"slowpath/task"
)

// record is a record that is being written, or that waits in a queue (Linux: struct
// audit_buffer). The methods do nothing for nil, the record that must not be written.
type record struct {
	kind uint16
	text []byte
}

// add appends a text.
func (r *record) add(text string) {
	if r != nil {
		r.text = append(r.text, text...)
	}
}

// addf appends a formatted text.
func (r *record) addf(format string, arguments ...any) {
	if r != nil {
		r.text = fmt.Appendf(r.text, format, arguments...)
	}
}

// untrusted appends a text that a program chose (Linux: audit_log_untrustedstring).
func (r *record) untrusted(text string) { r.add(untrusted(text)) }

// untrusted quotes a text that a program chose, or encodes it in hexadecimal digits if it
// has other characters than visible ASCII.
func untrusted(text string) string {
	if special(text) {
		return hexadecimal(text)
	}
	return `"` + text + `"`
}

// hexadecimal encodes a text in hexadecimal digits.
func hexadecimal(text string) string { return strings.ToUpper(hex.EncodeToString([]byte(text))) }

// special reports whether the text has other characters than visible ASCII.
func special(text string) bool {
	for i := range len(text) {
		if c := text[i]; c == '"' || c < 0x21 || c > 0x7e {
			return true
		}
	}
	return false
}

// String returns the text of a record as in the log.
func (r *record) String() string { return fmt.Sprintf("type=%d %s", r.kind, r.text) }

// recordBytes is about what a record takes of the heap besides its text.
const recordBytes = 512

// begin begins a record of a task, or of the kernel if t is nil (Linux: audit_log_start).
// x is the context whose call the record belongs to, or nil. It returns nil if the record
// must not be written: a rule of the list "exclude" matches, or the queue stays full. It
// may sleep.
func (a *Audit) begin(t *task.Task, x *context, kind uint16) *record {
	if !a.initialized() || !a.filterMessage(t, kind, unix.AUDIT_FILTER_EXCLUDE) || !a.awaitQueue(t) {
		return nil
	}
	if a.kernel.Memory().Admit(recordBytes) != nil {
		a.lose("out of memory in audit_log_start")
		return nil
	}
	r := &record{kind: kind, text: make([]byte, 0, 256)}
	at, serial := a.stamp(x)
	r.addf("audit(%d.%03d:%d): ", at/clock.Second, at%clock.Second/clock.Millisecond, serial)
	return r
}

// stamp returns the time and the serial number of a record: those of the call of the
// context, if it is in one. The call is then recorded too.
func (a *Audit) stamp(x *context) (at int64, serial uint32) {
	if x == nil || x.phase == idle {
		return a.kernel.Wall().Now(), a.serial.Add(1)
	}
	return x.stamp()
}

// awaitQueue waits for room in the queue, and reports whether there is. The daemon and the
// task whose message is being handled do not wait.
func (a *Audit) awaitQueue(t *task.Task) bool {
	if a.hasRoom() || t != nil && (a.isDaemon(t) || a.handling.Load() == t) {
		return true
	}
	if t != nil && a.status.backlogWait.Load() != 0 {
		a.awaitRoom(t)
	}
	if a.hasRoom() {
		return true
	}
	if a.rate.allow(a.status.rateLimit.Load()) && a.print.allow(a.kernel) {
		a.kernel.Logf("audit: audit_backlog=%d > audit_backlog_limit=%d", a.queue.length(), a.status.backlogLimit.Load())
	}
	a.lose("backlog limit exceeded")
	return false
}

// hasRoom reports whether the queue is within the backlog limit.
func (a *Audit) hasRoom() bool {
	limit := a.status.backlogLimit.Load()
	return limit == 0 || a.queue.length() <= int(limit)
}

// end puts a finished record into the queue (Linux: audit_log_end). It does not sleep.
func (a *Audit) end(r *record) {
	if r == nil {
		return
	}
	if !a.rate.allow(a.status.rateLimit.Load()) {
		a.lose("rate limit exceeded")
		return
	}
	a.queue.put(&a.queue.waiting, r, 0)
	a.queue.start(a)
}

// addSession appends the login user and the session.
func (a *Audit) addSession(r *record, t *task.Task) {
	if r == nil {
		return
	}
	uid, session := a.LoginUID(t)
	r.addf("auid=%d ses=%d", uid, session)
}

// addTask appends what is known of a task (Linux: audit_log_task_info).
func (a *Audit) addTask(r *record, t *task.Task) {
	if r == nil {
		return
	}
	c := t.Credentials()
	uid, session := a.LoginUID(t)
	r.addf(" ppid=%d pid=%d auid=%d uid=%d gid=%d euid=%d suid=%d fsuid=%d egid=%d sgid=%d fsgid=%d tty=%s ses=%d",
		t.ParentPID(), t.ProcessID(), uid, c.UID, c.GID, c.EUID, c.SUID, c.FSUID, c.EGID, c.SGID, c.FSGID, terminalName(t), session)
	a.addProgram(r, t)
}

// addProgram appends the name of the task and the path of its program.
func (a *Audit) addProgram(r *record, t *task.Task) {
	if r == nil {
		return
	}
	r.add(" comm=")
	r.untrusted(t.Comm())
	p := t.Program()
	if p == nil {
		r.add(" exe=(null)")
		return
	}
	r.add(" exe=")
	r.untrusted(p.Path)
}

// addShortTask appends what the records of signals have of a task (Linux: audit_log_task).
func (a *Audit) addShortTask(r *record, t *task.Task) {
	if r == nil {
		return
	}
	c := t.Credentials()
	uid, session := a.LoginUID(t)
	r.addf("auid=%d uid=%d gid=%d ses=%d pid=%d", uid, c.UID, c.GID, session, t.ProcessID())
	a.addProgram(r, t)
}

// terminalName returns the name of a task's controlling terminal (Linux: tty_name).
func terminalName(t *task.Task) string {
	terminal, _ := t.Group().ControllingTerminal()
	if terminal == nil {
		return "(none)"
	}
	return terminalNameOf(terminal)
}

func terminalNameOf(terminal fs.Terminal) string {
	const (
		consoles, serial = 4, 64  // the major number of tty0 and ttyS0, and the minor number of the latter
		slaves, last     = 136, 8 // the first major number of pts, and their count
	)
	number := terminal.DeviceNumber()
	major, minor := unix.Major(number), unix.Minor(number)
	switch {
	case major >= slaves && major < slaves+last:
		return fmt.Sprintf("pts%d", (major-slaves)<<8|minor)
	case major == consoles && minor >= serial:
		return fmt.Sprintf("ttyS%d", minor-serial)
	case major == consoles:
		return fmt.Sprintf("tty%d", minor)
	}
	return "console"
}
