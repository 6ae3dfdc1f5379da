package hostkernel

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// auditRule returns a struct audit_rule_data with one field, for random system calls.
func auditRule(r *rand.Rand) []byte {
	const mask, field, value, flags, size = 12, 268, 524, 780, 1040
	p := make([]byte, size)
	put := func(at int, value uint32) { binary.LittleEndian.PutUint32(p[at:], value) }
	lists := []uint32{unix.AUDIT_FILTER_EXIT, unix.AUDIT_FILTER_EXIT, unix.AUDIT_FILTER_EXIT, unix.AUDIT_FILTER_TASK, unix.AUDIT_FILTER_EXCLUDE}
	fields := [][3]uint32{
		{unix.AUDIT_UID, unix.AUDIT_NOT_EQUAL, 99}, {unix.AUDIT_UID, unix.AUDIT_EQUAL, 99}, {unix.AUDIT_PID, unix.AUDIT_EQUAL, uint32(r.IntN(6))},
		{unix.AUDIT_LOGINUID, unix.AUDIT_EQUAL, 0}, {unix.AUDIT_GID, unix.AUDIT_GREATER_THAN, 0},
	}
	put(0, lists[r.IntN(len(lists))]|uint32(r.IntN(2))*unix.AUDIT_FILTER_PREPEND)
	put(4, uint32(r.IntN(2))*unix.AUDIT_ALWAYS)
	put(8, 1)
	for i := range 16 {
		put(mask+4*i, r.Uint32())
	}
	f := fields[r.IntN(len(fields))]
	if r.IntN(2) == 0 && p[0]&0xf == unix.AUDIT_FILTER_EXIT {
		more := [][3]uint32{{unix.AUDIT_EXIT, unix.AUDIT_LESS_THAN, 0x80000000}, {unix.AUDIT_PERM, unix.AUDIT_EQUAL, 15}, {unix.AUDIT_OBJ_UID, unix.AUDIT_EQUAL, 0}}
		f = more[r.IntN(len(more))]
	}
	put(field, f[0])
	put(flags, f[1])
	put(value, f[2])
	return p
}

// changingRules adds and deletes rules until stopped.
func changingRules(t *testing.T, seed uint64) func(k *Kernel, stopped func() bool) {
	return func(k *Kernel, stopped func() bool) {
		r := rand.New(rand.NewPCG(seed, 3))
		for !stopped() {
			var added [][]byte
			for range 1 + r.IntN(6) {
				if rule := auditRule(r); k.audit.AddRule(rule) == nil {
					added = append(added, rule)
				}
			}
			time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond)
			for _, rule := range added {
				if err := k.audit.DeleteRule(rule); err != nil {
					t.Errorf("deleting a rule: %v", err)
				}
			}
		}
	}
}

// TestAuditRulesChangeDuringRandomPrograms adds and deletes rules while random programs
// run. Each call whose entry audit has seen must have an exit: a handler that finds the
// context of a call before panics, and the user loop closes each pair.
func TestAuditRulesChangeDuringRandomPrograms(t *testing.T) {
	runBeside(t, func(c *Config, seed uint64) { c.Audit, c.Beside = true, changingRules(t, seed) }, nil)
}
