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

// SetOvercommit sets the policy. It fails with EINVAL for an unknown one.
func (m *Memory) SetOvercommit(policy int) error {
	if policy < OvercommitHeuristic || policy > OvercommitNever {
		return unix.EINVAL
	}
	m.settings.OvercommitMemory.Set(int64(policy))
	return nil
}

// Overcommit returns the policy.
func (m *Memory) Overcommit() int { return int(m.settings.OvercommitMemory.Get()) }

// CommitLimit returns how many pages may be committed under OvercommitNever:
// overcommit_kbytes, or overcommit_ratio percent of physical memory. There is no
// swap to add (proc(5)).
func (m *Memory) CommitLimit() int64 {
	if kib := m.settings.OvercommitKBytes.Get(); kib != 0 {
		return kib / (PageSize / 1024)
	}
	return int64(m.total) * m.settings.OvercommitRatio.Get() / 100
}

// maxMapCount returns the maximum number of areas of an address space.
func (m *Memory) maxMapCount() int { return int(m.settings.MaxMapCount.Get()) }

// minAddress returns the lowest address of a mapping with MAP_FIXED.
func (m *Memory) minAddress() uint64 {
	return max(uint64(m.settings.MmapMinAddr.Get()), MinAddress)
}

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
