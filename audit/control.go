package audit

import (
	"bytes"
	"encoding/binary"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/clock"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/fs/netlink"
	"slowpath/task"
	"slowpath/wait"
)

// request is one message of a program to the kernel.
type request struct {
	audit        *Audit
	task         *task.Task
	sender       netlink.Sender
	message      netlink.Message
	acknowledged bool // the acknowledgement was sent
	replies      [][]byte
	room         int // bytes that the replies may still take; negative if they took too much
}

// maxReplies bounds the replies to the messages of one send: a send may have thousands of
// messages, and each may ask for all rules.
const maxReplies = netlink.MaxWaiting

// acknowledge sends the acknowledgement now, if the program wants one.
func (q *request) acknowledge() {
	if q.message.Flags&unix.NLM_F_ACK != 0 && !q.acknowledged {
		q.acknowledged = true
		q.audit.family.Reply(q.sender.Port, q.message.Acknowledge(0, q.sender))
	}
}

// reply adds an answer with a copy of the payload, which follows the acknowledgement. Without room it is left out, and
// the request fails.
func (q *request) reply(kind, flags uint16, payload []byte) {
	q.room -= netlink.ReplySize(len(payload))
	if q.room < 0 {
		q.replies = nil
		return
	}
	q.replies = append(q.replies, netlink.Encode(kind, flags, q.message.Sequence, payload))
}

// receive is Receive of the netlink family (Linux: audit_receive).
func (a *Audit) receive(c fs.Caller, from netlink.Sender, p []byte) {
	t, is := c.(*task.Task)
	if !is {
		return
	}
	a.handleAll(t, from, p)
	a.penalize(t)
}

// handleAll handles the messages of one send.
func (a *Audit) handleAll(t *task.Task, from netlink.Sender, p []byte) {
	a.control.Lock()
	defer a.control.Unlock()
	a.handling.Store(t)
	defer a.handling.Store(nil)
	var replies [][]byte
	room := maxReplies
	for {
		m, rest, ok := netlink.Next(p)
		if !ok {
			break
		}
		q := &request{audit: a, task: t, sender: from, message: m, room: room}
		a.answer(q)
		if q.room >= 0 {
			replies, room = append(replies, q.replies...), q.room
		}
		p = rest
	}
	if len(replies) > 0 {
		a.family.Reply(from.Port, replies...)
	}
}

// answer handles a message and acknowledges it.
func (a *Audit) answer(q *request) {
	result, err := a.handle(q)
	if err == nil && q.room < 0 {
		err = unix.ENOMEM
	}
	if err != nil {
		errno, is := err.(unix.Errno)
		if !is {
			errno = unix.EIO
		}
		result = -int32(errno)
	}
	if result != 0 {
		a.family.Reply(q.sender.Port, q.message.Acknowledge(result, q.sender))
		return
	}
	q.acknowledge()
}

// penalize makes a sender that has filled the queue wait, now that it does not hold the lock.
func (a *Audit) penalize(t *task.Task) {
	if !a.hasRoom() {
		a.awaitRoom(t)
	}
}

// awaitRoom makes the task wait until the queue has room, or backlog_wait_time is over.
func (a *Audit) awaitRoom(t *task.Task) {
	start := clock.Monotonic()
	deadline := start + int64(a.status.backlogWait.Load())*clock.Second/ticks
	t.BlockKillable(&a.queue.space, wait.All, deadline, a.hasRoom)
	a.status.waited.Add(uint32((clock.Monotonic() - start) * ticks / clock.Second))
}

// isUserMessage reports whether the type is that of a message of a program for the log.
func isUserMessage(kind uint16) bool {
	return kind == unix.AUDIT_USER ||
		kind >= unix.AUDIT_FIRST_USER_MSG && kind <= unix.AUDIT_LAST_USER_MSG ||
		kind >= unix.AUDIT_FIRST_USER_MSG2 && kind <= unix.AUDIT_LAST_USER_MSG2
}

// handlers has the functions of the messages that need CAP_AUDIT_CONTROL.
var handlers map[uint16]func(a *Audit, q *request) (int32, error)

func init() {
	without := func(f func(a *Audit, q *request) error) func(a *Audit, q *request) (int32, error) {
		return func(a *Audit, q *request) (int32, error) { return 0, f(a, q) }
	}
	handlers = map[uint16]func(a *Audit, q *request) (int32, error){
		unix.AUDIT_GET: without(func(a *Audit, q *request) error { q.reply(unix.AUDIT_GET, 0, a.statusReply()); return nil }),
		unix.AUDIT_SET: (*Audit).set,
		unix.AUDIT_GET_FEATURE: without(func(a *Audit, q *request) error {
			q.reply(unix.AUDIT_GET_FEATURE, 0, a.featureReply())
			return nil
		}),
		unix.AUDIT_SET_FEATURE: without((*Audit).setFeatures),
		unix.AUDIT_LIST_RULES:  without((*Audit).listRules),
		unix.AUDIT_ADD_RULE:    without((*Audit).changeRules),
		unix.AUDIT_DEL_RULE:    without((*Audit).changeRules),
		unix.AUDIT_SIGNAL_INFO: without((*Audit).signalInfo),
		unix.AUDIT_TTY_GET:     without((*Audit).terminalMode),
		unix.AUDIT_TTY_SET:     without((*Audit).setTerminalMode),
		unix.AUDIT_TRIM:        without((*Audit).trim),
		unix.AUDIT_MAKE_EQUIV:  without((*Audit).makeEquivalent),
	}
}

// handle checks the caller's rights and handles a message. Errors: EPERM, EINVAL for an
// unknown type, EOPNOTSUPP for an old one, and those of the message.
func (a *Audit) handle(q *request) (int32, error) {
	c, kind := q.task.Credentials(), q.message.Type
	if isUserMessage(kind) {
		if !c.Has(cred.AuditWrite) {
			return 0, unix.EPERM
		}
		return 0, a.userMessage(q)
	}
	handler := handlers[kind]
	switch {
	case kind == unix.AUDIT_LIST, kind == unix.AUDIT_ADD, kind == unix.AUDIT_DEL:
		return 0, unix.EOPNOTSUPP // whatever the rights of the caller
	case handler == nil:
		return 0, unix.EINVAL
	case !c.Has(cred.AuditControl):
		return 0, unix.EPERM
	}
	return handler(a, q)
}

// beginUser begins a record about a request (Linux: audit_log_common_recv_msg).
func (a *Audit) beginUser(t *task.Task, x *context, kind uint16) *record {
	if a.status.enabled.Load() == enabledOff && kind != unix.AUDIT_USER_AVC {
		return nil
	}
	r := a.begin(t, x, kind)
	r.addf("pid=%d uid=%d ", t.ProcessID(), t.Credentials().UID)
	a.addSession(r, t)
	return r
}

// userMessage logs a message of a program. Errors: EINVAL if it has no text, EPERM for typed
// input of a process whose input is not recorded.
func (a *Audit) userMessage(q *request) error {
	kind, text := q.message.Type, q.message.Payload
	if a.status.enabled.Load() == enabledOff && kind != unix.AUDIT_USER_AVC {
		return nil
	}
	if len(text) < 2 {
		return unix.EINVAL
	}
	if !a.filterMessage(q.task, kind, unix.AUDIT_FILTER_USER) {
		return nil
	}
	if kind == unix.AUDIT_USER_TTY {
		input := a.slot.Of(q.task).input
		if input.mode.Load()&inputEnabled == 0 {
			return unix.EPERM
		}
		input.push(a, q.task)
	}
	r := a.beginUser(q.task, nil, kind)
	if kind == unix.AUDIT_USER_TTY {
		r.add(" data=")
		r.untrusted(string(bytes.TrimSuffix(text, []byte{0})))
	} else {
		text = text[:len(text)-1] // Linux replaces the last byte by the NUL
		if end := bytes.IndexByte(text, 0); end >= 0 {
			text = text[:end]
		}
		r.addf(" msg='%s'", text[:min(len(text), unix.AUDIT_MESSAGE_TEXT_MAX)])
	}
	a.end(r)
	return nil
}

// trim is AUDIT_TRIM. EPERM if the configuration is locked.
func (a *Audit) trim(q *request) error {
	if a.status.enabled.Load() == enabledLocked {
		return unix.EPERM
	}
	for t := range a.rules.Load().trees() {
		t.trim(q.task)
	}
	r := a.beginUser(q.task, contextOf(q.task), unix.AUDIT_CONFIG_CHANGE)
	r.add(" op=trim res=1")
	a.end(r)
	return nil
}

// makeEquivalent is AUDIT_MAKE_EQUIV: the rules about directories above the first path also
// watch what is at the second one. Errors: EPERM if the configuration is locked, EINVAL,
// ENAMETOOLONG, and those of path_resolution(7).
func (a *Audit) makeEquivalent(q *request) error {
	if a.status.enabled.Load() == enabledLocked {
		return unix.EPERM
	}
	old, next, err := equivalentPaths(q.message.Payload)
	if err != nil {
		return err
	}
	err = a.addEquivalent(q.task, old, next)
	r := a.beginUser(q.task, contextOf(q.task), unix.AUDIT_CONFIG_CHANGE)
	r.add(" op=make_equiv old=")
	r.untrusted(old)
	r.add(" new=")
	r.untrusted(next)
	r.addf(" res=%d", number(err == nil))
	a.end(r)
	return err
}

// equivalentPaths returns the paths of a message: their lengths, and then their texts.
func equivalentPaths(p []byte) (old, next string, err error) {
	const headBytes = 8
	if len(p) < headBytes {
		return "", "", unix.EINVAL
	}
	lengths, texts := [2]uint32{binary.LittleEndian.Uint32(p), binary.LittleEndian.Uint32(p[4:])}, p[headBytes:]
	var paths [2]string
	for i, length := range lengths {
		switch {
		case length == 0 || uint64(length) > uint64(len(texts)):
			return "", "", unix.EINVAL
		case length > unix.PathMax:
			return "", "", unix.ENAMETOOLONG
		}
		paths[i], _, _ = strings.Cut(string(texts[:length]), "\x00")
		texts = texts[length:]
	}
	return paths[0], paths[1], nil
}

// terminalStatus is struct audit_tty_status.
type terminalStatus struct{ Enabled, LogPasswords uint32 }

func terminalStatusOf(mode uint32) terminalStatus {
	return terminalStatus{mode & inputEnabled, mode / inputPasswords & 1}
}

// terminalMode is AUDIT_TTY_GET.
func (a *Audit) terminalMode(q *request) error {
	s := terminalStatusOf(a.slot.Of(q.task).input.mode.Load())
	q.reply(unix.AUDIT_TTY_GET, 0, abi.Bytes(&s))
	return nil
}

// setTerminalMode is AUDIT_TTY_SET: what the process and its later children read from
// terminals is recorded. EINVAL.
func (a *Audit) setTerminalMode(q *request) (err error) {
	var s terminalStatus
	copy(abi.Bytes(&s), q.message.Payload)
	cell := &a.slot.Of(q.task).input.mode
	old := cell.Load()
	if s.Enabled > 1 || s.LogPasswords > 1 {
		err = unix.EINVAL
	} else {
		a.terminals.Do(func() { a.kernel.Tracepoints.TerminalRead.Register(a.terminalRead) })
		cell.Store(s.Enabled*inputEnabled | s.LogPasswords*inputPasswords)
	}
	was := terminalStatusOf(old)
	r := a.beginUser(q.task, contextOf(q.task), unix.AUDIT_CONFIG_CHANGE)
	r.addf(" op=tty_set old-enabled=%d new-enabled=%d old-log_passwd=%d new-log_passwd=%d res=%d",
		was.Enabled, s.Enabled, was.LogPasswords, s.LogPasswords, number(err == nil))
	a.end(r)
	return err
}

// joins is Join of the netlink family: CAP_AUDIT_READ allows to read the records.
func (a *Audit) joins(c fs.Caller, group int) (err error) {
	if !c.Credentials().Has(cred.AuditRead) {
		err = unix.EPERM
	}
	a.logListener(c, group, "connect", err)
	return err
}

// leaves is Left of the netlink family. The record is about the task that closes the socket,
// as on Linux, and not about the one that has joined: that one may run, or have exited.
func (a *Audit) leaves(group int) {
	if t := a.kernel.Current(); t != nil {
		a.logListener(t, group, "disconnect", nil)
	}
}

func (a *Audit) logListener(c fs.Caller, group int, operation string, err error) {
	t, is := c.(*task.Task)
	if !is || a.status.enabled.Load() == enabledOff {
		return
	}
	uid, session := a.LoginUID(t)
	r := a.begin(t, contextOf(t), unix.AUDIT_EVENT_LISTENER)
	r.addf("pid=%d uid=%d auid=%d tty=%s ses=%d", t.TID(), t.Credentials().UID, uid, terminalName(t), session)
	a.addProgram(r, t)
	r.addf(" nl-mcgrp=%d op=%s res=%d", group, operation, number(err == nil))
	a.end(r)
}
