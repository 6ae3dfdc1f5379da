package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/task"
	"slowpath/wait"
)

// again reports whether an error is EAGAIN, in fewer instructions than a comparison of
// interfaces takes.
func again(err error) bool {
	errno, ok := err.(unix.Errno)
	return ok && errno == unix.EAGAIN
}

// transfer calls try. If try returns EAGAIN, transfer sleeps on the file's wait
// queue until one of events happens, and calls it again. In non-blocking mode
// it returns EAGAIN instead. The file operations themselves never sleep: this
// loop turns them into blocking calls such as read(2).
//
// Errors: those of try; EAGAIN in non-blocking mode; ERESTARTSYS at a signal.
func transfer(t *task.Task, f *fs.File, events wait.Events, try func() (int, error)) (uint64, error) {
	n, err := try()
	if !again(err) || f.NonBlocking() {
		return uint64(n), err
	}
	return retry(t, f, events, 0, try)
}

// retry is the slow path of transfer: it sleeps on the file's wait queue before
// each call of try. deadline is a time of clock.Monotonic, 0 for none. A wait
// that reaches the deadline returns EAGAIN (socket(7), SO_RCVTIMEO).
func retry(t *task.Task, f *fs.File, events wait.Events, deadline int64, try func() (int, error)) (uint64, error) {
	var n int
	var err error
	blockErr := t.Block(f.Queue(), events, deadline, func() bool {
		n, err = try()
		return !again(err)
	})
	switch blockErr {
	case nil:
		return uint64(n), err
	case unix.ETIMEDOUT:
		return 0, unix.EAGAIN
	}
	return 0, blockErr
}
