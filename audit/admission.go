package audit

import (
	"golang.org/x/sys/unix"

	"slowpath/entry"
)

// The admissions of tasks: a task needs no observation of a call that no rule for it names.
// A change of the rules computes them for each task, so the rules that do not depend on the
// task are evaluated once (common), and those for one process are found by its id. What is
// left is one short loop for each task and each rule with another comparison of pid=.

// indexPID adds a rule of the list "exit" to the lists of rules that depend on the process.
func (s *ruleSet) indexPID(r *rule) {
	for i := range r.fields {
		if f := &r.fields[i]; f.kind == unix.AUDIT_PID && f.op == equal {
			s.byPID[f.value] = append(s.byPID[f.value], r)
			return
		}
	}
	if r.has(unix.AUDIT_PID) {
		s.personal = append(s.personal, r)
	}
}

// isOfABI reports whether the rule can match calls of an ABI.
func (r *rule) isOfABI(abi entry.ABI) bool {
	for i := range r.fields {
		if f := &r.fields[i]; f.kind == unix.AUDIT_ARCH && !f.op.compare(abi.AuditArch(), f.value) {
			return false
		}
	}
	return true
}

// common returns the admission of the tasks that no rule with pid= can match.
func (s *ruleSet) common() *entry.Admission {
	a := &entry.Admission{Flag: entry.SyscallAudit}
	for i := range a.Calls {
		a.Calls[i], a.Calls32[i] = ^uint64(0), ^uint64(0)
	}
	for _, r := range s.syscalls {
		if !r.has(unix.AUDIT_PID) {
			r.observe(a)
		}
	}
	for _, nr := range recording {
		a.Calls[nr/64] &^= 1 << (nr % 64)
	}
	for _, nr := range recording32 {
		a.Calls32[nr/64] &^= 1 << (nr % 64)
	}
	return a
}

// observe takes the calls that the rule names out of an admission.
func (r *rule) observe(a *entry.Admission) {
	wide, narrow := r.isOfABI(entry.X86_64), r.isOfABI(entry.I386)
	for i := range a.Calls {
		named := uint64(r.mask[2*i]) | uint64(r.mask[2*i+1])<<32
		if wide {
			a.Calls[i] &^= named
		}
		if narrow {
			a.Calls32[i] &^= named
		}
	}
}

// admissionOf returns the admission of a process: common without the calls that the rules for
// the process name. It is common itself if there are none.
func (s *ruleSet) admissionOf(common *entry.Admission, pid uint32) *entry.Admission {
	own := *common
	for _, rules := range [...][]*rule{s.byPID[pid], s.personal} {
		for _, r := range rules {
			if r.mayMatch(pid) {
				r.observe(&own)
			}
		}
	}
	if own.Calls == common.Calls && own.Calls32 == common.Calls32 {
		return common
	}
	return &own
}
