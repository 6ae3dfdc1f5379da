// Package eventfd implements event counters (eventfd(2)).
package eventfd

import (
	"math"
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs"
	"slowpath/wait"
)

// counter implements fs.FileOperations for an event file.
type counter struct {
	fs.FileBase
	queue     wait.Queue
	semaphore bool

	mu    sync.Mutex
	value uint64
}

// maximum is the largest value. A write that would exceed it returns EAGAIN.
const maximum = math.MaxUint64 - 1

// size is the number of bytes that a read or write moves. A smaller buffer is
// EINVAL.
const size = 8

// New opens an event file. flags may have EFD_SEMAPHORE and EFD_NONBLOCK.
func New(m *fs.Mounts, initial uint32, flags int) *fs.File {
	c := &counter{value: uint64(initial), semaphore: flags&unix.EFD_SEMAPHORE != 0}
	return m.NewAnonymous("eventfd", flags, c)
}

// Read implements fs.FileOperations. Errors: EAGAIN if the counter is 0, EINVAL
// for less than 8 bytes.
func (c *counter) Read(_ *fs.File, dst fs.Sink, _ int64) (int, error) {
	if dst.Remaining() < size {
		return 0, unix.EINVAL
	}
	c.mu.Lock()
	value := c.value
	if value == 0 {
		c.mu.Unlock()
		return 0, unix.EAGAIN
	}
	if c.semaphore {
		value = 1
	}
	c.value -= value
	c.mu.Unlock()
	c.queue.Wake(wait.Writable)
	return fs.PutRecord(dst, abi.Bytes(&value))
}

// Write implements fs.FileOperations. Errors: EAGAIN without room, EINVAL for
// less than 8 bytes and for the value 2^64-1.
func (c *counter) Write(_ *fs.File, src fs.Source, _ int64) (int, int64, error) {
	if src.Remaining() < size {
		return 0, 0, unix.EINVAL
	}
	var add uint64
	if _, err := src.Get(abi.Bytes(&add)); err != nil {
		return 0, 0, err
	}
	if add == math.MaxUint64 {
		return 0, 0, unix.EINVAL
	}
	if !c.add(add) {
		fs.Unget(src, size)
		return 0, 0, unix.EAGAIN
	}
	c.queue.Wake(wait.Readable) // also for 0, which EPOLLET reports if the counter is not 0
	return size, 0, nil
}

// add adds n to the counter, and reports whether there was room for it.
func (c *counter) add(n uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > maximum-c.value {
		return false
	}
	c.value += n
	return true
}

// Readiness implements fs.FileOperations.
func (c *counter) Readiness() wait.Events {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ready wait.Events
	if c.value > 0 {
		ready |= wait.Readable
	}
	if c.value < maximum {
		ready |= wait.Writable
	}
	return ready
}

// Queue implements fs.FileOperations.
func (c *counter) Queue() *wait.Queue { return &c.queue }
