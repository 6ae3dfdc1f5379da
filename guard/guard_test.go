package guard

import (
	"log"
	"strings"
	"sync"
	"testing"
	"time"
)

// lines receives what is written to the log.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// tryPanic calls f and ends its panic.
func tryPanic(f func()) {
	defer func() { recover() }()
	f()
}

func TestPanicReleasesHeldLock(t *testing.T) {
	var m sync.Mutex
	tryPanic(func() {
		held := Lock(&m)
		defer held.Release()
		panic("bug")
	})
	if !m.TryLock() {
		t.Error("the lock is held after a panic")
	}
	m.Unlock()
	var rw sync.RWMutex
	tryPanic(func() {
		held := RLock(&rw)
		defer held.Release()
		panic("bug")
	})
	if !rw.TryLock() {
		t.Error("the lock is held for reading after a panic")
	}
	rw.Unlock()
	tryPanic(func() { With(&m, func() { panic("bug") }) })
	if !m.TryLock() {
		t.Error("With holds the lock after a panic")
	}
}

func TestReleaseReleasesOnce(t *testing.T) {
	var m sync.Mutex
	func() {
		held := Lock(&m)
		defer held.Release()
		held.Release()
		m.Lock() // another holder
	}()
	if m.TryLock() {
		t.Error("the deferred Release has released a lock that it does not hold")
	}
}

func TestPanicInTimerIsLogged(t *testing.T) {
	logged := make(lines, 1)
	old := log.Writer()
	log.SetOutput(logged)
	defer log.SetOutput(old)
	AfterFunc(time.Microsecond, func() { panic("bug in a timer") })
	if line := <-logged; !strings.Contains(line, "bug in a timer") {
		t.Errorf("the log is %q", line)
	}
}
