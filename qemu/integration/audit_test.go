package integration

import "testing"

// TestAuditPairsWhileRulesChange adds and deletes audit rules while four CPUs execute
// system calls.
func TestAuditPairsWhileRulesChange(t *testing.T) {
	check(t, onSlowpath(t, "", "--timeout", "5m", "--smp", "4", program("auditrules")), result{out: "events are paired\n"})
}
