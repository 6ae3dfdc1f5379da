package guard

import (
	"bytes"
	"log"
	"strings"
	"sync"
	"testing"
	"time"
)

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
		m.Lock() // somebody else's
	}()
	if m.TryLock() {
		t.Error("the deferred Release has released a lock that it does not hold")
	}
}

func TestPanicInTimerIsLogged(t *testing.T) {
	var text bytes.Buffer
	old := log.Writer()
	log.SetOutput(&text)
	done := make(chan bool)
	AfterFunc(time.Microsecond, func() {
		defer close(done)
		panic("bug in a timer")
	})
	<-done
	time.Sleep(10 * time.Millisecond)
	log.SetOutput(old)
	if !strings.Contains(text.String(), "bug in a timer") {
		t.Errorf("the log is %q", text.String())
	}
}
