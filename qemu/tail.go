package qemu

import (
	"io"
	"sync"
)

// tail is a writer that keeps the last bytes written to it.
type tail struct {
	mu   sync.Mutex
	keep int
	data []byte
}

var _ io.Writer = (*tail)(nil)

func newTail(keep int) *tail { return &tail{keep: keep} }

// Write appends p and drops the oldest bytes. It never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	// Cutting at twice the size bounds the cost of copying per byte written.
	if len(t.data) > 2*t.keep {
		t.data = append(t.data[:0], t.data[len(t.data)-t.keep:]...)
	}
	return len(p), nil
}

// String returns the bytes that are kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.data[max(0, len(t.data)-t.keep):])
}
