package pipe

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/sysctl"
)

// pageSize is the unit of the limits of a user (pipe(7), /proc/sys/fs/pipe-*).
const pageSize = 4096

// leastCapacity is the capacity of a new pipe whose user is above the soft limit
// (PIPE_MIN_DEF_BUFFERS in Linux).
const leastCapacity = 2 * pageSize

// charge is the account of a pipe's capacity. The pipe's lock guards pages. It is
// nil while no end is open.
type charge struct {
	accounts *fs.Accounts
	settings *sysctl.Settings
	uid      uint32
	pages    int64
}

// above reports whether a number of pages exceeds a limit. A limit of 0 is no limit.
func above(pages, limit int64) bool { return limit != 0 && pages > limit }

// newCharge charges a new pipe to the caller's user and returns its capacity
// (Linux: alloc_pipe_info). Error: ENFILE above the hard limit.
func newCharge(m *fs.Mounts, c *cred.Credentials) (*charge, int, error) {
	ch := &charge{accounts: m.Accounts(), settings: m.Settings, uid: c.UID}
	capacity := int64(DefaultCapacity)
	if largest := ch.settings.PipeMaxSize.Get(); capacity > largest && !c.Has(cred.SysResource) {
		capacity = largest
	}
	held := ch.set(capacity)
	if above(held, ch.settings.PipeUserPagesSoft.Get()) && !c.ExemptFromUserLimits() {
		capacity = leastCapacity
		held = ch.set(capacity)
	}
	if above(held, ch.settings.PipeUserPagesHard.Get()) && !c.ExemptFromUserLimits() {
		ch.set(0)
		return nil, 0, unix.ENFILE
	}
	return ch, int(capacity), nil
}

// set changes the charge to a capacity, and returns the number of pages that the user
// holds after that.
func (ch *charge) set(capacity int64) int64 {
	if ch == nil {
		return 0
	}
	pages := capacity / pageSize
	held := ch.accounts.Charge(ch.uid, fs.PipePages, pages-ch.pages)
	ch.pages = pages
	return held
}

// forbids reports whether the caller may not make the pipe so large
// (pipe-max-size).
func (ch *charge) forbids(capacity int64, c *cred.Credentials) bool {
	return capacity > ch.settings.PipeMaxSize.Get() && !c.Has(cred.SysResource)
}

// grow changes the charge to a larger capacity. Error: EPERM if the user would be
// above a limit (Linux: pipe_set_size).
func (ch *charge) grow(capacity int64, c *cred.Credentials) error {
	old := ch.pages * pageSize
	held := ch.set(capacity)
	if !c.ExemptFromUserLimits() && (above(held, ch.settings.PipeUserPagesSoft.Get()) || above(held, ch.settings.PipeUserPagesHard.Get())) {
		ch.set(old)
		return unix.EPERM
	}
	return nil
}
