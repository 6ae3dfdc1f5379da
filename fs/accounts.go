package fs

import "sync"

// Resource is a kind of kernel memory of which each user may hold a limited amount,
// in all processes together.
type Resource uint8

// The resources.
const (
	PipePages     Resource = iota // capacity of pipes, in pages (pipe(7), pipe-user-pages-soft)
	EpollWatches                  // interests (epoll(7), max_user_watches)
	FilesInFlight                 // descriptors sent and not received yet (unix(7), ETOOMANYREFS)
	PerfPages                     // pages of the buffers of perf events (perf_event_open(2), perf_event_mlock_kb)
	resources
)

// Accounts count what each user holds. The user is that of the creator, until the
// object is freed. The zero value counts nothing yet. It is safe for concurrent use.
// No method sleeps.
type Accounts struct {
	mu    sync.Mutex
	users map[uint32]*[resources]int64 // by user id; none if all counts are 0
}

type accountsKey struct{}

// Accounts returns the accounts of the namespace.
func (m *Mounts) Accounts() *Accounts {
	return m.Service(accountsKey{}, func() any { return &Accounts{} }).(*Accounts)
}

// Charge adds n, which may be negative, to what the user holds, and returns the
// sum.
func (a *Accounts) Charge(uid uint32, r Resource, n int64) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	held := a.users[uid]
	if held == nil {
		if a.users == nil {
			a.users = make(map[uint32]*[resources]int64)
		}
		held = new([resources]int64)
		a.users[uid] = held
	}
	held[r] += n
	sum := held[r]
	if *held == ([resources]int64{}) {
		delete(a.users, uid)
	}
	return sum
}

// Held returns what the user holds.
func (a *Accounts) Held(uid uint32, r Resource) int64 { return a.Charge(uid, r, 0) }
