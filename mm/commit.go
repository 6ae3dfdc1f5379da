package mm

import "golang.org/x/sys/unix"

// The overcommit policies of /proc/sys/vm/overcommit_memory (proc(5)).
const (
	// OvercommitHeuristic refuses only requests larger than physical memory.
	OvercommitHeuristic = 0
	// OvercommitAlways refuses nothing.
	OvercommitAlways = 1
	// OvercommitNever refuses requests that would exceed CommitLimit.
	OvercommitNever = 2
)

// OvercommitRatio is CommitLimit in percent of physical memory. There is no swap
// to add (proc(5), /proc/sys/vm/overcommit_ratio).
const OvercommitRatio = 50

// SetOvercommit sets the policy. It fails with EINVAL for an unknown one.
func (m *Memory) SetOvercommit(policy int) error {
	if policy < OvercommitHeuristic || policy > OvercommitNever {
		return unix.EINVAL
	}
	m.overcommit.Store(int32(policy))
	return nil
}

// Overcommit returns the policy.
func (m *Memory) Overcommit() int { return int(m.overcommit.Load()) }

// CommitLimit returns how many pages may be committed under OvercommitNever.
func (m *Memory) CommitLimit() int64 { return int64(m.total) * OvercommitRatio / 100 }

// mayCommit returns ENOMEM if the policy does not allow committing that many
// additional pages (mm/util.c, __vm_enough_memory).
func (m *Memory) mayCommit(pages int64) error {
	switch m.Overcommit() {
	case OvercommitHeuristic:
		if pages > int64(m.total) {
			return unix.ENOMEM
		}
	case OvercommitNever:
		if m.committed.Load()+pages > m.CommitLimit() {
			return unix.ENOMEM
		}
	}
	return nil
}
