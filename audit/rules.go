package audit

import (
	"math"
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/entry"
	"slowpath/fs"
	"slowpath/task"
)

// ruleSet is all rules. It is immutable.
type ruleSet struct {
	// lists has the rules by list, in their order.
	lists [unix.AUDIT_NR_FILTERS][]*rule
	// syscalls are the rules of the list "exit"; byCall are those of them without inode,
	// by call, and inodes those with it.
	syscalls []*rule
	byCall   [entry.Calls][]*rule
	inodes   []*rule
	// early has the rules of byCall for a call whose rules can be asked at its entry, nil for
	// other calls.
	early [entry.Calls][]*rule
	// counted is the number of rules for which the calls' contexts are filled
	// (audit_n_rules), and signals that of those that name a call of the class signal.
	counted, signals int
	// byPID has the rules for one process by its id, and personal the others that have a
	// field pid=.
	byPID    map[uint32][]*rule
	personal []*rule
	// files: a rule needs the directories above the names of a call.
	files bool
	// low and high are the priorities of the last rule that was appended and prepended.
	low, high uint64
}

// maxRules bounds the rules. A rule is some hundred bytes to 6 KiB.
const maxRules = 4096

// newRuleSet returns a set without rules.
func newRuleSet() *ruleSet { return &ruleSet{low: math.MaxUint64 / 2, high: math.MaxUint64/2 - 1} }

// replaced returns the set with other rules in a list.
func (s *ruleSet) replaced(list uint32, rules []*rule) *ruleSet {
	next := &ruleSet{lists: s.lists, low: s.low, high: s.high}
	next.lists[list] = rules
	next.byPID = make(map[uint32][]*rule)
	for _, rules := range next.lists {
		for _, r := range rules {
			next.index(r)
		}
	}
	next.indexEarly()
	return next
}

func (s *ruleSet) index(r *rule) {
	switch r.list {
	case unix.AUDIT_FILTER_USER, unix.AUDIT_FILTER_EXCLUDE, unix.AUDIT_FILTER_FS:
	default:
		s.counted++
	}
	if r.namesSignals() {
		s.signals++
	}
	if r.list != unix.AUDIT_FILTER_EXIT {
		return
	}
	s.syscalls = append(s.syscalls, r)
	s.indexPID(r)
	s.files = s.files || r.has(unix.AUDIT_DIR)
	if r.inode {
		s.inodes = append(s.inodes, r)
		return
	}
	for nr := range s.byCall {
		if r.names(uint32(nr)) {
			s.byCall[nr] = append(s.byCall[nr], r)
		}
	}
}

// indexEarly computes early. A rule can be asked at the entry of a call if it has a field that
// does not match then and cannot change during the call.
func (s *ruleSet) indexEarly() {
	if len(s.inodes) > 0 {
		return
	}
	atExit := func(r *rule) bool { return r.quick.kind != unix.AUDIT_UID && r.quick.kind != unix.AUDIT_PID }
	for nr, rules := range s.byCall {
		if !slices.ContainsFunc(rules, atExit) && !slices.Contains(recording, nr) && !slices.Contains(changesUser, nr) {
			s.early[nr] = rules
		}
	}
}

// changesUser are the calls that can change the user id of their task.
var changesUser = []int{
	unix.SYS_SETUID, unix.SYS_SETREUID, unix.SYS_SETRESUID, unix.SYS_SETFSUID, unix.SYS_EXECVE, unix.SYS_EXECVEAT,
	unix.SYS_UNSHARE, unix.SYS_SETNS,
}

// namesSignals reports whether the rule names a call that sends signals.
func (r *rule) namesSignals() bool {
	return r.isOfABI(entry.X86_64) && slices.ContainsFunc(classes[unix.AUDIT_CLASS_SIGNAL], r.names) ||
		r.isOfABI(entry.I386) && slices.ContainsFunc(classes[unix.AUDIT_CLASS_SIGNAL_32], r.names)
}

func (s *ruleSet) size() (n int) {
	for _, list := range s.lists {
		n += len(list)
	}
	return n
}

// find returns the position of a rule, or -1.
func (s *ruleSet) find(r *rule) int { return slices.IndexFunc(s.lists[r.list], r.same) }

// with returns the set with one more rule.
func (s *ruleSet) with(r *rule) *ruleSet {
	at := len(s.lists[r.list])
	if r.prepend {
		at = 0
	}
	next := s.replaced(r.list, slices.Insert(slices.Clone(s.lists[r.list]), at, r))
	switch {
	case !r.isOfExit():
		r.priority = math.MaxUint64
	case r.prepend:
		next.high++
		r.priority = next.high
	default:
		next.low--
		r.priority = next.low
	}
	return next
}

// without returns the set without the rule at a position.
func (s *ruleSet) without(list uint32, at int) *ruleSet {
	return s.replaced(list, slices.Delete(slices.Clone(s.lists[list]), at, at+1))
}

// changeRules is AUDIT_ADD_RULE and AUDIT_DEL_RULE. Errors: EINVAL, EPERM if the
// configuration is locked, EEXIST, ENOENT, ENOMEM, and those of a walk to a path.
func (a *Audit) changeRules(q *request) error {
	if len(q.message.Payload) < ruleSize {
		return unix.EINVAL
	}
	add := q.message.Type == unix.AUDIT_ADD_RULE
	name, change := "remove_rule", a.deleteRule
	if add {
		name, change = "add_rule", a.addRule
	}
	if a.status.enabled.Load() == enabledLocked {
		r := a.beginUser(q.task, contextOf(q.task), unix.AUDIT_CONFIG_CHANGE)
		r.addf(" op=%s audit_enabled=%d res=0", name, enabledLocked)
		a.end(r)
		return unix.EPERM
	}
	r, err := parseRule(q.message.Payload)
	if err == nil {
		err = a.checkPaths(q.task, r)
	}
	if err == nil && add {
		err = a.plantTrees(q.task, r)
	}
	if err != nil {
		return err
	}
	err = change(r)
	a.logRule(q.task, name, r, err)
	return err
}

// checkPaths looks up what the paths of a rule need: the directory of path= and exe=, and
// that of dir=. Errors: those of path_resolution(7).
func (a *Audit) checkPaths(t *task.Task, r *rule) error {
	for i := range r.fields {
		f := &r.fields[i]
		name := f.text
		switch f.kind {
		case unix.AUDIT_WATCH, unix.AUDIT_EXE:
			name = parentOf(name)
		case unix.AUDIT_DIR:
		default:
			continue
		}
		if _, err := (fs.At{Caller: quiet{t}, Name: name, Follow: true}).Lookup(); err != nil {
			return err
		}
	}
	return nil
}

// quiet is a task whose names are not recorded.
type quiet struct{ *task.Task }

// NameWatcher implements fs.Caller.
func (quiet) NameWatcher() fs.NameWatcher { return nil }

// addRule adds a rule. The lock of the requests is held.
func (a *Audit) addRule(r *rule) error {
	rules := a.rules.Load()
	if rules.find(r) >= 0 {
		return unix.EEXIST
	}
	const indexBytes = 2 * 24 * entry.Calls
	if rules.size() >= maxRules || a.kernel.Memory().Admit(int64(ruleSize+indexBytes)) != nil {
		return unix.ENOMEM
	}
	a.setRules(rules.with(r))
	return nil
}

// deleteRule deletes the rule that is equal to r.
func (a *Audit) deleteRule(r *rule) error {
	rules := a.rules.Load()
	at := rules.find(r)
	if at < 0 {
		return unix.ENOENT
	}
	a.setRules(rules.without(r.list, at))
	return nil
}

// AddRule adds a rule for the kernel itself: a struct audit_rule_data with its strings. No
// right is checked, and no record is written. Errors: EINVAL, EEXIST, ENOMEM. It may sleep.
func (a *Audit) AddRule(p []byte) error { return a.changeOwn(p, a.addRule) }

// DeleteRule undoes AddRule. Errors: EINVAL, ENOENT.
func (a *Audit) DeleteRule(p []byte) error { return a.changeOwn(p, a.deleteRule) }

func (a *Audit) changeOwn(p []byte, change func(r *rule) error) error {
	if len(p) < ruleSize {
		return unix.EINVAL
	}
	r, err := parseRule(p)
	if err != nil {
		return err
	}
	a.control.Lock()
	defer a.control.Unlock()
	return change(r)
}

// setRules publishes the rules, and what follows from them for the tasks.
func (a *Audit) setRules(s *ruleSet) {
	a.rules.Store(s)
	a.watchSignals()
	a.computeAdmission()
	a.kernel.UpdateLevels()
}

// logRule writes the record of a change of the rules.
func (a *Audit) logRule(t *task.Task, operation string, rule *rule, err error) {
	if a.status.enabled.Load() == enabledOff {
		return
	}
	r := a.begin(t, contextOf(t), unix.AUDIT_CONFIG_CHANGE)
	a.addSession(r, t)
	r.addf(" op=%s", operation)
	r.addKey(rule.key)
	r.addf(" list=%d res=%d", rule.list, number(err == nil))
	a.end(r)
}

// addKey appends the key of a rule, nil for none.
func (r *record) addKey(key *string) {
	if key == nil {
		r.add(" key=(null)")
		return
	}
	r.add(" key=")
	r.untrusted(*key)
}

// listRules is AUDIT_LIST_RULES.
func (a *Audit) listRules(q *request) error {
	for _, list := range a.rules.Load().lists {
		for _, r := range list {
			q.reply(unix.AUDIT_LIST_RULES, unix.NLM_F_MULTI, r.data())
		}
	}
	q.reply(unix.NLMSG_DONE, unix.NLM_F_MULTI, nil)
	return nil
}
