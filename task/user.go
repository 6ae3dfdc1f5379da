package task

import (
	"sync"
	"sync/atomic"

	"slowpath/signal"
)

// User counts what the tasks of one real user id hold against their limits:
// processes (RLIMIT_NPROC) and queued signals (RLIMIT_SIGPENDING).
type User struct {
	Signals   signal.Account
	processes atomic.Int64
}

// User returns the counts of the user that the task's real user id names.
func (t *Task) User() *User { return t.kernel.users.get(t.Credentials().UID) }

// Processes returns the number of tasks of this user, threads included.
func (u *User) Processes() int64 { return u.processes.Load() }

// userTable finds the User of a user id. Users are few and stay: an entry is
// never removed, so nobody holds a stale one.
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
