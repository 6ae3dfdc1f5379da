package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/task"
	"slowpath/wait"
)

// await calls operation until it returns something else than EAGAIN, sleeping
// on q in between: what transfer is for a file, for waits on something else
// than its data. ERESTARTSYS at a signal.
func await(t *task.Task, q *wait.Queue, events wait.Events, operation func() error) error {
	err := operation()
	if err != unix.EAGAIN {
		return err
	}
	blocked := t.Block(q, events, 0, func() bool {
		err = operation()
		return err != unix.EAGAIN
	})
	if blocked != nil {
		return blocked
	}
	return err
}

// Besides the direction that is waited for, these end a wait for data.
const ends = wait.Err | wait.Hup | wait.RdHup

// readFile reads into dst with operation, waiting if the file blocks.
func readFile(t *task.Task, f *fs.File, operation func() (int, error)) (uint64, error) {
	controlled, isTerminal := f.Operations().(fs.JobControlled)
	return transfer(t, f, wait.Readable|ends, func() (int, error) {
		if isTerminal {
			if err := controlled.BeforeRead(t); err != nil {
				return 0, err
			}
		}
		return operation()
	})
}

// writeFile writes src with operation, waiting if the file blocks. Streams are
// waited for until all is written. A broken pipe sends SIGPIPE.
func writeFile(t *task.Task, f *fs.File, src fs.Source, operation func() (int, error)) (uint64, error) {
	if controlled, isTerminal := f.Operations().(fs.JobControlled); isTerminal {
		if err := controlled.BeforeWrite(t); err != nil {
			return 0, err
		}
	}
	_, stream := f.Operations().(fs.Stream)
	total := 0
	for {
		n, err := transfer(t, f, wait.Writable|ends, operation)
		total += int(n)
		if err == unix.EPIPE {
			brokenPipe(t)
		}
		if err != nil && total > 0 {
			return uint64(total), nil
		}
		if err != nil || !stream || n == 0 || src.Remaining() == 0 {
			return uint64(total), err
		}
	}
}

// brokenPipe sends SIGPIPE to the task that writes where nobody reads.
func brokenPipe(t *task.Task) { t.Signal(signalOf(unix.SIGPIPE)) }

// opened waits until open(2) of a fifo has found its partner. It drops the
// caller's reference if that does not happen.
func opened(t *task.Task, f *fs.File) error {
	err := await(t, f.Queue(), wait.All, f.Opened)
	if err != nil {
		f.DecRef()
	}
	return err
}
