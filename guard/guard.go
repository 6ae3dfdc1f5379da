// Package guard limits what a panic does. A panic in a system call ends the process that
// made the call, and the kernel continues. So the locks that the call holds must be
// released, and a panic in a timer's function must not end the kernel.
package guard

import (
	"log"
	"runtime/debug"
	"sync"
	"time"
)

// Held is a lock that its holder has taken. Use it where the lock is released before the
// end of the function: defer Release, and call Release earlier too. Then a panic in
// between releases the lock. Where the lock is held until the end, defer Unlock does the
// same. A Held must not be copied.
type Held struct{ locker sync.Locker }

// Lock takes m.
func Lock(m sync.Locker) Held {
	Point()
	m.Lock()
	return Held{m}
}

// RLock takes m for reading.
func RLock(m *sync.RWMutex) Held {
	Point()
	m.RLock()
	return Held{m.RLocker()}
}

// Release releases the lock, unless it was released.
func (h *Held) Release() {
	if l := h.locker; l != nil {
		h.locker = nil
		l.Unlock()
	}
}

// With calls f with m held.
func With(m sync.Locker, f func()) {
	m.Lock()
	defer m.Unlock()
	Point()
	f()
}

// AfterFunc is time.AfterFunc for a function that the kernel must survive: if f panics,
// the panic is logged.
func AfterFunc(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() {
		defer Contain("a timer's function")
		f()
	})
}

// Contain ends a panic and logs it. what names the code that panicked. It must be
// deferred. A goroutine that the kernel starts for a program defers it first, because a
// panic in a goroutine without it ends the kernel.
func Contain(what string) {
	if v := recover(); v != nil {
		log.Printf("A bug in the kernel: %s panicked: %v\n%s", what, v, debug.Stack())
	}
}
