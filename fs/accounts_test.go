package fs

import "testing"

func TestAccountsForgetUserWithoutHoldings(t *testing.T) {
	var a Accounts
	if got := a.Charge(7, PipePages, 16); got != 16 {
		t.Fatalf("the user holds %d pages, want 16", got)
	}
	if got := a.Charge(7, EpollWatches, 2); got != 2 {
		t.Fatalf("the user holds %d watches, want 2", got)
	}
	a.Charge(7, EpollWatches, -2)
	if len(a.users) != 1 {
		t.Error("the account was dropped while the user holds pages")
	}
	a.Charge(7, PipePages, -16)
	if a.Held(7, PipePages); len(a.users) != 0 {
		t.Error("the account of a user who holds nothing was kept")
	}
}
