// Package audit implements Linux's audit (auditd(8), auditctl(8), Linux 6.1's
// kernel/audit.c, auditfilter.c and auditsc.c): rules that a privileged program sends over a
// netlink socket decide which system calls are recorded.
//
// The duty SYSCALL_AUDIT stores a call at its entry, in the context of the task
// (context.go), and its exit asks the rules (match.go). If one of them says so, records are
// written: the call, the names that it has used, and an end of event (report.go). Records
// go into a queue (queue.go). A goroutine that lives as long as the queue is not empty
// sends them to the daemon that has registered itself, and to the members of the multicast
// group; without a daemon they go to the kernel's log.
//
// The level is raised for all tasks with a context while audit is enabled. The admission
// of a task has the calls that no rule names, which then are not observed at all.
//
// As on Linux, a task gets a context when it is made, and only if audit was enabled at any
// time before: the processes that exist before "auditctl -e 1" are never audited, unless
// the kernel was started with audit=1.
//
// Who is charged: a rule needs CAP_AUDIT_CONTROL, and its memory is admitted. The queues
// are bounded by the backlog limit, or, if that is 0, by the admission of each record. The
// names of a call beyond fewNames are admitted. All of it belongs to the kernel, or to the
// context, which the end of the call clears.
package audit
