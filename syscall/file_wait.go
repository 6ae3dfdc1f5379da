package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/task"
	"slowpath/wait"
)

// await calls operation until it returns something other than EAGAIN, and
// sleeps on q between the calls. For a file's data use transfer. Errors: those
// of operation; ERESTARTSYS at a signal.
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

// ends are the events that end a wait for data, whatever its direction.
const ends = wait.Err | wait.Hup | wait.RdHup

// readFile reads by operation. It waits for data unless f is in non-blocking
// mode.
func readFile(t *task.Task, f *fs.File, operation func() (int, error)) (uint64, error) {
	if controlled, isTerminal := f.Operations().(fs.JobControlled); isTerminal {
		return readTerminal(t, f, controlled, operation)
	}
	n, err := transfer(t, f, wait.Readable|ends, operation)
	t.Accounting.CountRead(n)
	return n, err
}

// readTerminal is readFile for a terminal, which may stop the task before each operation.
func readTerminal(t *task.Task, f *fs.File, controlled fs.JobControlled, operation func() (int, error)) (uint64, error) {
	n, err := transfer(t, f, wait.Readable|ends, func() (int, error) {
		if err := controlled.BeforeRead(t); err != nil {
			return 0, err
		}
		return operation()
	})
	t.Accounting.CountRead(n)
	return n, err
}

// writeFile writes src by operation. It waits for room unless f is in
// non-blocking mode. A write to a stream continues until all of src is written.
// EPIPE also sends SIGPIPE.
func writeFile(t *task.Task, f *fs.File, src fs.Source, operation func() (int, error)) (uint64, error) {
	n, err := writeAll(t, f, src, operation)
	t.Accounting.CountWrite(n)
	return n, err
}

// writeAll is writeFile that does not count the call.
func writeAll(t *task.Task, f *fs.File, src fs.Source, operation func() (int, error)) (uint64, error) {
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

// brokenPipe sends SIGPIPE to t, which has written to a pipe or socket that has
// no reader.
func brokenPipe(t *task.Task) { t.Signal(signalOf(unix.SIGPIPE)) }

// awaitOpened waits until the other end of a FIFO is open (fifo(7)). Other
// files are open immediately. On an error it drops the caller's reference.
func awaitOpened(t *task.Task, f *fs.File) error {
	err := await(t, f.Queue(), wait.All, f.Opened)
	if err != nil {
		f.DecRef()
	}
	return err
}
