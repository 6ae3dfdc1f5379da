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
func (t *Task) User() *User { return t.kernel.users.get(t.Credentials().UID) }

// Processes returns the number of tasks of this user, threads included.
func (u *User) Processes() int64 { return u.processes.Load() }

// userTable maps user ids to Users. An element is never removed, so a pointer to it
// stays valid.
type userTable struct {
	mu    sync.Mutex
	byUID map[uint32]*User
}

func (u *userTable) get(uid uint32) *User {
	u.mu.Lock()
	defer u.mu.Unlock()
	user := u.byUID[uid]
	if user == nil {
		if u.byUID == nil {
			u.byUID = make(map[uint32]*User)
		}
		user = new(User)
		u.byUID[uid] = user
	}
	return user
}
