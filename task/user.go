package task

import (
	"sync"
	"sync/atomic"

	"slowpath/signal"
)

// User counts the tasks (RLIMIT_NPROC) and the queued signals
// (RLIMIT_SIGPENDING) of one real user id.
type User struct {
	Signals   signal.Account
	processes atomic.Int64
}

// User returns the counts of the task's real user id.
func (t *Task) User() *User { return t.user.Load() }

// Processes returns the number of tasks of this user, threads included.
func (u *User) Processes() int64 { return u.processes.Load() }

// userTable maps user ids to Users. A program may use every id, so elements without
// tasks and queued signals are removed when the table has doubled. An element that get
// returned for the user of a task stays in the table while the task has that user.
type userTable struct {
	mu      sync.Mutex
	byUID   map[uint32]*User
	sweepAt int // the size at which unused elements are removed
}

// leastSweep is the least size of the table at which unused elements are removed.
const leastSweep = 64

// get returns the counts of a user. It does not sleep.
func (u *userTable) get(uid uint32) *User {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.element(uid)
}

// addTasks adds n, which may be negative, to the number of tasks of a user, and returns
// the counts of the user.
func (u *userTable) addTasks(uid uint32, n int64) *User {
	u.mu.Lock()
	defer u.mu.Unlock()
	user := u.element(uid)
	user.processes.Add(n)
	return user
}

// element is get with the table locked.
func (u *userTable) element(uid uint32) *User {
	if user := u.byUID[uid]; user != nil {
		return user
	}
	if len(u.byUID) >= u.sweepAt {
		u.sweep()
	}
	user := new(User)
	u.byUID[uid] = user
	return user
}

// sweep removes the unused elements. The table is locked.
func (u *userTable) sweep() {
	used := make(map[uint32]*User)
	for uid, user := range u.byUID {
		if user.processes.Load() != 0 || user.Signals.Queued() != 0 {
			used[uid] = user
		}
	}
	u.byUID, u.sweepAt = used, max(leastSweep, 2*len(used))
}
