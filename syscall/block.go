package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/task"
	"slowpath/wait"
)

// transfer tries an operation on a file until it does not return EAGAIN, and
// sleeps in between, unless the file is in non-blocking mode: that is how the
// files below, which never wait, become read(2) and write(2). events are those
// that can end the wait.
//
// Errors: those of the operation; EAGAIN in non-blocking mode; ERESTARTSYS at
// a signal.
func transfer(t *task.Task, f *fs.File, events wait.Events, try func() (int, error)) (uint64, error) {
	n, err := try()
	if err != unix.EAGAIN || f.NonBlocking() {
		return uint64(n), err
	}
	return retry(t, f, events, 0, try)
}

// retry is transfer's slow half: sleep on the file's queue and try again. The
// deadline is a time of clock.Monotonic, 0 for none; it ends in EAGAIN
// (socket(7), SO_RCVTIMEO).
func retry(t *task.Task, f *fs.File, events wait.Events, deadline int64, try func() (int, error)) (uint64, error) {
	var n int
	var err error
	blockErr := t.Block(f.Queue(), events, deadline, func() bool {
		n, err = try()
		return err != unix.EAGAIN
	})
	switch blockErr {
	case nil:
		return uint64(n), err
	case unix.ETIMEDOUT:
		return 0, unix.EAGAIN
	}
	return 0, blockErr
}
