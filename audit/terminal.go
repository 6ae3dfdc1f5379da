package audit

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/task"
)

// terminalInput is what a process has read from terminals and that was not recorded yet
// (Linux: struct tty_audit_buf). Its threads share it. A process whose input is recorded has
// at most inputBytes, which are admitted, and freed with the process.
type terminalInput struct {
	// mode is the mode of AUDIT_TTY_SET.
	mode atomic.Uint32

	mu        sync.Mutex // guards the fields below
	device    uint64
	canonical bool
	data      []byte
}

// Bits of terminalInput.mode (Linux: AUDIT_TTY_ENABLE, AUDIT_TTY_LOG_PASSWD).
const (
	inputEnabled   = 1
	inputPasswords = 2
)

// inputBytes is the greatest size of a record's data (Linux: N_TTY_BUF_SIZE).
const inputBytes = 4096

// terminalRead notes what a task has read from a terminal (Linux: tty_audit_add_data). Input
// without echo is a password.
func (a *Audit) terminalRead(e task.TerminalRead) {
	in := a.slot.Of(e.Task).input
	mode := in.mode.Load()
	if mode&inputEnabled == 0 || mode&inputPasswords == 0 && e.Canonical && !e.Echo {
		return
	}
	in.add(a, e)
}

func (in *terminalInput) add(a *Audit, e task.TerminalRead) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if device := e.Terminal.DeviceNumber(); in.device != device || in.canonical != e.Canonical {
		in.pushLocked(a, e.Task)
		in.device, in.canonical = device, e.Canonical
	}
	for data := e.Data; len(data) > 0; {
		if in.data == nil {
			if a.kernel.Memory().Admit(inputBytes) != nil {
				a.lose("out of memory in TTY auditing")
				return
			}
			in.data = make([]byte, 0, inputBytes)
		}
		n := min(len(data), inputBytes-len(in.data))
		in.data, data = append(in.data, data[:n]...), data[n:]
		if len(in.data) == inputBytes {
			in.pushLocked(a, e.Task)
		}
	}
}

// push writes the record of what a process has read (Linux: tty_audit_buf_push).
func (in *terminalInput) push(a *Audit, t *task.Task) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.pushLocked(a, t)
}

// pushLocked is push with in.mu held.
func (in *terminalInput) pushLocked(a *Audit, t *task.Task) {
	if len(in.data) == 0 {
		return
	}
	if a.status.enabled.Load() != enabledOff {
		uid, session := a.LoginUID(t)
		r := a.begin(t, nil, unix.AUDIT_TTY)
		r.addf("tty pid=%d uid=%d auid=%d ses=%d major=%d minor=%d comm=", t.TID(), t.Credentials().UID, uid, session,
			unix.Major(in.device), unix.Minor(in.device))
		r.untrusted(t.Comm())
		r.add(" data=" + hexadecimal(string(in.data)))
		a.end(r)
	}
	in.data = in.data[:0]
}

// exited is Exit of the subsystem: the last thread writes what is left.
func (a *Audit) exited(t *task.Task) {
	if in := a.slot.Of(t).input; in != nil && t.LastThread() {
		in.push(a, t)
	}
}
