package audit

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/task"
)

// subject is what a rule is asked about.
type subject struct {
	audit *Audit
	task  *task.Task
	call  *context // nil for a rule of the list "task"
	// creator is the parent of a new task, which has no id yet, and nil otherwise.
	creator *task.Task
	name    *nameRecord // set for a rule that is asked for each name
}

// matches reports whether all fields of the rule match (Linux: audit_filter_rules). A rule
// of a lower priority than the one that has matched before does not.
func (s *subject) matches(r *rule) bool {
	if s.call != nil && r.priority <= s.call.priority {
		return false
	}
	for i := range r.fields {
		if !s.matchesField(&r.fields[i]) {
			return false
		}
	}
	if s.call != nil {
		if r.key != nil {
			s.call.key = r.key
		}
		s.call.priority = r.priority
	}
	return true
}

// matchesField compares one field. The kinds that most rules have come first.
func (s *subject) matchesField(f *field) bool {
	t, x := s.task, s.call
	switch f.kind {
	case unix.AUDIT_UID:
		return f.op.compare(t.Credentials().UID, f.value)
	case unix.AUDIT_ARCH:
		return x != nil && f.op.compare(x.call.ABI.AuditArch(), f.value)
	case unix.AUDIT_FILTERKEY:
		return true
	case unix.AUDIT_LOGINUID:
		uid, _ := s.audit.LoginUID(t)
		return f.op.compare(uid, f.value)
	case unix.AUDIT_LOGINUID_SET:
		uid, _ := s.audit.LoginUID(t)
		return f.op.compare(uint32(number(uid != unset)), f.value)
	case unix.AUDIT_PID:
		return f.op.compare(s.pid(), f.value)
	case unix.AUDIT_PPID:
		return x != nil && f.op.compare(uint32(t.ParentPID()), f.value)
	case unix.AUDIT_EXIT:
		return x != nil && x.returned != notReturned && f.op.compare(uint32(x.result), f.value)
	case unix.AUDIT_SUCCESS:
		return x != nil && x.returned != notReturned && s.matchesSuccess(f)
	case unix.AUDIT_ARG0, unix.AUDIT_ARG1, unix.AUDIT_ARG2, unix.AUDIT_ARG3:
		return x != nil && f.op.compare(uint32(x.call.Args[f.kind-unix.AUDIT_ARG0]), f.value)
	case unix.AUDIT_PERM:
		return x.accesses(f.value) == (f.op == equal)
	case unix.AUDIT_EXE:
		return s.runs(f.text) == (f.op == equal)
	case unix.AUDIT_SESSIONID:
		_, session := s.audit.LoginUID(t)
		return f.op.compare(session, f.value)
	case unix.AUDIT_PERS:
		return f.op.compare(t.Personality(^uint32(0)), f.value)
	}
	if get := credentialFields[f.kind]; get != nil {
		return s.matchesCredential(f, get(t.Credentials()))
	}
	return s.matchesFiles(f)
}

// pid returns the process id. That of a new task is its creator's, as on Linux, or 0 for
// the first task.
func (s *subject) pid() uint32 {
	switch {
	case s.creator != nil:
		return uint32(s.creator.ProcessID())
	case s.task.TID() == 0:
		return 0
	}
	return uint32(s.task.ProcessID())
}

// matchesSuccess compares success=.
func (s *subject) matchesSuccess(f *field) bool {
	wanted := failed
	if f.value != 0 {
		wanted = succeeded
	}
	return f.op.compare(uint32(s.call.returned), uint32(wanted))
}

// credentialFields has the other fields that compare an id of the task.
var credentialFields = map[uint32]func(c *cred.Credentials) uint32{
	unix.AUDIT_EUID: func(c *cred.Credentials) uint32 { return c.EUID }, unix.AUDIT_SUID: func(c *cred.Credentials) uint32 { return c.SUID },
	unix.AUDIT_FSUID: func(c *cred.Credentials) uint32 { return c.FSUID }, unix.AUDIT_GID: func(c *cred.Credentials) uint32 { return c.GID },
	unix.AUDIT_EGID: func(c *cred.Credentials) uint32 { return c.EGID }, unix.AUDIT_SGID: func(c *cred.Credentials) uint32 { return c.SGID },
	unix.AUDIT_FSGID: func(c *cred.Credentials) uint32 { return c.FSGID },
}

// matchesCredential compares an id. gid= and egid= also mean the supplementary groups.
func (s *subject) matchesCredential(f *field, id uint32) bool {
	result := f.op.compare(id, f.value)
	if f.kind != unix.AUDIT_GID && f.kind != unix.AUDIT_EGID {
		return result
	}
	member := slices.Contains(s.task.Credentials().Groups, f.value)
	switch f.op {
	case equal:
		return result || member
	case notEqual:
		return result && !member
	}
	return result
}

// matchesFiles compares a field about the names of the call.
func (s *subject) matchesFiles(f *field) bool {
	x := s.call
	switch f.kind {
	case unix.AUDIT_DIR:
		return x != nil && f.tree.hasAny(x.above)
	case unix.AUDIT_WATCH:
		return s.name != nil && x.watches(s.name, f.text)
	case unix.AUDIT_FILETYPE:
		kind := f.value
		found := x != nil && x.anyName(func(n *nameRecord) bool { return n.known && n.file.Type() == kind&unix.S_IFMT })
		return found == (f.op == equal)
	case unix.AUDIT_FIELD_COMPARE:
		return s.compareIDs(f)
	case unix.AUDIT_SADDR_FAM:
		const familyBytes = 2 // of sa_family
		return x != nil && len(x.address) >= familyBytes && f.op.compare(uint32(binary.LittleEndian.Uint16(x.address)), f.value)
	}
	get := fileFields[f.kind]
	if get == nil {
		return false // it needs a security module, which this kernel does not have
	}
	match := func(n *nameRecord) bool {
		for _, value := range get(n) {
			if f.op.compare(value, f.value) {
				return true
			}
		}
		return false
	}
	if s.name != nil {
		return match(s.name)
	}
	return x != nil && x.anyName(match)
}

// fileFields has the fields that compare attributes of the files of a call.
var fileFields = map[uint32]func(n *nameRecord) []uint32{
	unix.AUDIT_INODE: func(n *nameRecord) []uint32 { return []uint32{uint32(n.inode())} },
	unix.AUDIT_DEVMAJOR: func(n *nameRecord) []uint32 {
		return []uint32{unix.Major(n.file.Device), unix.Major(n.file.Rdev)}
	},
	unix.AUDIT_DEVMINOR: func(n *nameRecord) []uint32 {
		return []uint32{unix.Minor(n.file.Device), unix.Minor(n.file.Rdev)}
	},
	unix.AUDIT_OBJ_UID: func(n *nameRecord) []uint32 { return []uint32{n.file.UID} },
	unix.AUDIT_OBJ_GID: func(n *nameRecord) []uint32 { return []uint32{n.file.GID} },
}

// pair names two ids that AUDIT_FIELD_COMPARE compares. object is set if the second one is
// that of a file of the call.
type pair struct {
	left, right func(s *subject) uint32
	object      func(n *nameRecord) uint32
}

// pairs has the comparisons by number.
var pairs = func() map[uint32]pair {
	c := func(get func(c *cred.Credentials) uint32) func(s *subject) uint32 {
		return func(s *subject) uint32 { return get(s.task.Credentials()) }
	}
	uid, euid := c(func(c *cred.Credentials) uint32 { return c.UID }), c(credentialFields[unix.AUDIT_EUID])
	suid, fsuid := c(credentialFields[unix.AUDIT_SUID]), c(credentialFields[unix.AUDIT_FSUID])
	gid, egid := c(credentialFields[unix.AUDIT_GID]), c(credentialFields[unix.AUDIT_EGID])
	sgid, fsgid := c(credentialFields[unix.AUDIT_SGID]), c(credentialFields[unix.AUDIT_FSGID])
	auid := func(s *subject) uint32 { login, _ := s.audit.LoginUID(s.task); return login }
	ofUser := func(n *nameRecord) uint32 { return n.file.UID }
	ofGroup := func(n *nameRecord) uint32 { return n.file.GID }
	return map[uint32]pair{
		unix.AUDIT_COMPARE_UID_TO_OBJ_UID: {left: uid, object: ofUser}, unix.AUDIT_COMPARE_GID_TO_OBJ_GID: {left: gid, object: ofGroup},
		unix.AUDIT_COMPARE_EUID_TO_OBJ_UID: {left: euid, object: ofUser}, unix.AUDIT_COMPARE_EGID_TO_OBJ_GID: {left: egid, object: ofGroup},
		unix.AUDIT_COMPARE_AUID_TO_OBJ_UID: {left: auid, object: ofUser}, unix.AUDIT_COMPARE_SUID_TO_OBJ_UID: {left: suid, object: ofUser},
		unix.AUDIT_COMPARE_SGID_TO_OBJ_GID: {left: sgid, object: ofGroup}, unix.AUDIT_COMPARE_FSUID_TO_OBJ_UID: {left: fsuid, object: ofUser},
		unix.AUDIT_COMPARE_FSGID_TO_OBJ_GID: {left: fsgid, object: ofGroup},
		unix.AUDIT_COMPARE_UID_TO_AUID:      {left: uid, right: auid}, unix.AUDIT_COMPARE_UID_TO_EUID: {left: uid, right: euid},
		unix.AUDIT_COMPARE_UID_TO_FSUID: {left: uid, right: fsuid}, unix.AUDIT_COMPARE_UID_TO_SUID: {left: uid, right: suid},
		unix.AUDIT_COMPARE_AUID_TO_FSUID: {left: auid, right: fsuid}, unix.AUDIT_COMPARE_AUID_TO_SUID: {left: auid, right: suid},
		unix.AUDIT_COMPARE_AUID_TO_EUID: {left: auid, right: euid}, unix.AUDIT_COMPARE_EUID_TO_SUID: {left: euid, right: suid},
		unix.AUDIT_COMPARE_EUID_TO_FSUID: {left: euid, right: fsuid}, unix.AUDIT_COMPARE_SUID_TO_FSUID: {left: suid, right: fsuid},
		unix.AUDIT_COMPARE_GID_TO_EGID: {left: gid, right: egid}, unix.AUDIT_COMPARE_GID_TO_FSGID: {left: gid, right: fsgid},
		unix.AUDIT_COMPARE_GID_TO_SGID: {left: gid, right: sgid}, unix.AUDIT_COMPARE_EGID_TO_FSGID: {left: egid, right: fsgid},
		unix.AUDIT_COMPARE_EGID_TO_SGID: {left: egid, right: sgid}, unix.AUDIT_COMPARE_SGID_TO_FSGID: {left: sgid, right: fsgid},
	}
}()

// compareIDs is AUDIT_FIELD_COMPARE. Only equal and notEqual are valid.
func (s *subject) compareIDs(f *field) bool {
	p, known := pairs[f.value]
	if !known {
		return false
	}
	left := p.left(s)
	if p.object == nil {
		return f.op.compare(left, p.right(s))
	}
	match := func(n *nameRecord) bool { return f.op.compare(left, p.object(n)) }
	return s.name != nil && match(s.name) || s.call != nil && s.call.anyName(match)
}

// runs reports whether the task's program is the file with a path.
func (s *subject) runs(path string) bool {
	p := s.task.Program()
	if p == nil || !p.File.Valid() {
		return false
	}
	id, ok := lookUp(s.task, path)
	return ok && id == idOf(p.File.Inode())
}

// fileID identifies a file.
type fileID struct{ device, inode uint64 }

func idOf(i fs.Inode) fileID {
	a := i.Attributes()
	return idIn(&a)
}

func idIn(a *fs.Attributes) fileID { return fileID{a.Device, a.Inode} }

// lookUp returns the file with a path. It may sleep.
func lookUp(t *task.Task, path string) (fileID, bool) {
	if t.FS == nil {
		return fileID{}, false
	}
	p, err := (fs.At{Caller: quiet{t}, Name: path, Follow: true}).Lookup()
	if err != nil {
		return fileID{}, false
	}
	return idOf(p.Inode()), true
}

// filterMessage asks the rules of the list "exclude" or "user" whether a record of the
// type may be written (Linux: audit_filter). t is nil for a record of the kernel.
func (a *Audit) filterMessage(t *task.Task, kind uint16, list uint32) bool {
	rules := a.rules.Load().lists[list]
	if len(rules) == 0 {
		return true
	}
	s := &subject{audit: a, task: t}
	for _, r := range rules {
		matched, known := s.matchesMessage(r, kind)
		if !known {
			return true
		}
		if matched {
			return r.action != unix.AUDIT_NEVER && list != unix.AUDIT_FILTER_EXCLUDE
		}
	}
	return true
}

// messageFields are the fields that the lists "exclude" and "user" compare. A rule with
// another one ends the search.
var messageFields = []uint32{
	unix.AUDIT_PID, unix.AUDIT_UID, unix.AUDIT_GID, unix.AUDIT_LOGINUID, unix.AUDIT_LOGINUID_SET, unix.AUDIT_MSGTYPE, unix.AUDIT_EXE,
	unix.AUDIT_SUBJ_USER, unix.AUDIT_SUBJ_ROLE, unix.AUDIT_SUBJ_TYPE, unix.AUDIT_SUBJ_SEN, unix.AUDIT_SUBJ_CLR,
}

// matchesMessage compares a rule of these lists. known is false if the rule has a field
// that they do not compare. pid= is the thread's id here.
func (s *subject) matchesMessage(r *rule, kind uint16) (matched, known bool) {
	for i := range r.fields {
		f := &r.fields[i]
		if !slices.Contains(messageFields, f.kind) {
			return false, false
		}
		var result bool
		switch {
		case f.kind == unix.AUDIT_MSGTYPE:
			result = f.op.compare(uint32(kind), f.value)
		case s.task == nil:
		case f.kind == unix.AUDIT_PID:
			result = f.op.compare(uint32(s.task.TID()), f.value)
		case f.kind == unix.AUDIT_GID:
			result = f.op.compare(s.task.Credentials().GID, f.value)
		default:
			result = s.matchesField(f)
		}
		if !result {
			return false, true
		}
	}
	return len(r.fields) > 0, true
}

// filterTask asks the rules of the list "task" about a new task (Linux: audit_filter_task).
// creator is its parent, or nil.
func (a *Audit) filterTask(t, creator *task.Task) (stage, *string) {
	s := &subject{audit: a, task: t, creator: creator}
	for _, r := range a.rules.Load().lists[unix.AUDIT_FILTER_TASK] {
		if !s.matches(r) {
			continue
		}
		if r.action == unix.AUDIT_NEVER {
			return withoutContext, nil
		}
		return stageRecord, r.key
	}
	return stageBuild, nil
}
