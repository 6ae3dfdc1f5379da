package amd64

import "testing"

// TestSelectorOf32BitUserCodeIsEmpty holds that no user can enter compatibility
// mode by a far jump: SYSCALL there has no landing, so it would run ring 0 at
// address 0.
func TestSelectorOf32BitUserCodeIsEmpty(t *testing.T) {
	buildTables()
	if d := gdt[User32CS/8]; d != 0 {
		t.Errorf("the descriptor of selector %#x is %#x, want none", User32CS, d)
	}
}
