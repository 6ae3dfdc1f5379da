package task

import "testing"

// TestUserTableForgetsUsersWithoutTasksAndSignals: a program with CAP_SETUID can use
// every user id, one after another.
func TestUserTableForgetsUsersWithoutTasksAndSignals(t *testing.T) {
	var table userTable
	table.addTasks(7, 1)
	if !table.get(8).Signals.Charge(1) {
		t.Fatal("the first signal is refused")
	}
	for uid := uint32(1000); uid < 20_000; uid++ {
		table.addTasks(uid, 1)
		table.addTasks(uid, -1)
	}
	if n := len(table.byUID); n > 2*leastSweep {
		t.Errorf("the table has %d users, want at most %d", n, 2*leastSweep)
	}
	if n := table.get(7).Processes(); n != 1 {
		t.Errorf("user 7 has %d tasks, want 1", n)
	}
	if n := table.get(8).Signals.Queued(); n != 1 {
		t.Errorf("user 8 has %d queued signals, want 1", n)
	}
}
