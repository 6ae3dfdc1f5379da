package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/fs"
	"slowpath/signal"
	"slowpath/task"
	"slowpath/wait"
)

// watched is one file of a poll(2) or select(2).
type watched struct {
	file   *fs.File // nil if the descriptor is not open
	want   wait.Events
	ready  wait.Events
	waiter *wait.Waiter
}

// look updates ready and reports whether an event is set.
func (w *watched) look() bool {
	if w.file == nil {
		return w.ready != 0
	}
	w.ready = w.file.Readiness() & (w.want | wait.Always | wait.Nval)
	return w.ready != 0
}

// poll waits until at least one of the files is ready, and returns the number
// of ready files. At the deadline it returns 0. deadline is that of task.Block;
// noWait returns immediately. Errors: ERESTARTNOHAND at a signal, ENOMEM.
func poll(t *task.Task, files []watched, deadline int64) (uint64, error) {
	look := func() bool {
		any := false
		for i := range files {
			if files[i].look() {
				any = true
			}
		}
		return any
	}
	if !look() && deadline >= 0 {
		if err := addWaiters(t, files); err != nil {
			return 0, err
		}
		err := t.SleepWithin(deadline, t.PollSlack(deadline), look)
		for i := range files {
			files[i].remove()
		}
		if err == abi.ERESTARTSYS {
			return 0, abi.ERESTARTNOHAND
		}
	}
	count := uint64(0)
	for i := range files {
		if files[i].ready != 0 {
			count++
		}
	}
	return count, nil
}

// addWaiters puts the task on the wait queues of the files. Error: ENOMEM.
func addWaiters(t *task.Task, files []watched) error {
	memory, size := t.Kernel().Memory(), int64(len(files))*waiterBytes
	if err := memory.Reserve(size); err != nil {
		return err
	}
	defer memory.Unreserve(size)
	for i := range files {
		files[i].add(t)
	}
	return nil
}

func (w *watched) add(t *task.Task) {
	if w.file == nil || w.file.Queue() == nil {
		return
	}
	w.waiter = t.Waiter(w.want | wait.Always)
	w.file.Queue().Add(w.waiter)
}

func (w *watched) remove() {
	if w.waiter != nil {
		w.file.Queue().Remove(w.waiter)
	}
}

// release drops the references to the files.
func release(files []watched) {
	for i := range files {
		if files[i].file != nil {
			files[i].file.DecRef()
		}
	}
}

// pollBytes is about what one descriptor of a poll needs of the kernel's heap before it
// waits, and waiterBytes what it needs while it waits.
const (
	pollBytes   = 64
	waiterBytes = 96
)

// readPollfds reads the array of poll(2) and looks up its files.
func readPollfds(t *task.Task, address, count uint64) ([]watched, []unix.PollFd, error) {
	if count > t.Group().Limits.Soft(unix.RLIMIT_NOFILE) {
		return nil, nil, unix.EINVAL
	}
	size := int64(count) * pollBytes
	if err := t.Kernel().Memory().Reserve(size); err != nil {
		return nil, nil, err
	}
	defer t.Kernel().Memory().Unreserve(size)
	array := make([]unix.PollFd, count)
	if err := abi.CopyInSlice(t, address, array); err != nil {
		return nil, nil, err
	}
	files := make([]watched, count)
	for i, p := range array {
		files[i].want = wait.Events(uint16(p.Events))
		if p.Fd < 0 {
			continue
		}
		file, err := t.FDs.GetPath(int(p.Fd))
		if err != nil || file.PathOnly() {
			files[i].ready = wait.Nval
		}
		files[i].file = file
	}
	return files, array, nil
}

func pollFDs(t *task.Task, address, count uint64, deadline int64) (uint64, error) {
	files, array, err := readPollfds(t, address, count)
	if err != nil {
		return 0, err
	}
	defer release(files)
	ready, err := poll(t, files, deadline)
	if err != nil {
		return 0, err
	}
	for i := range files {
		array[i].Revents = int16(files[i].ready)
	}
	return ready, abi.CopyOutSlice(t, address, array)
}

// noWait is the deadline of a poll that does not sleep.
const noWait = -1

// deadlineIn returns the deadline that is ns nanoseconds from now: noWait if ns
// is 0, and 0, no deadline, if the sum overflows.
func deadlineIn(ns int64) int64 {
	if ns == 0 {
		return noWait
	}
	now := clock.Monotonic()
	if ns > 1<<63-1-now {
		return 0
	}
	return now + ns
}

func sysPoll(t *task.Task, a *amd64.Args) (uint64, error) {
	deadline := int64(0)
	if ms := int32(a[2]); ms >= 0 {
		deadline = deadlineIn(int64(ms) * clock.Millisecond)
	}
	return pollFDs(t, a[0], uint64(uint32(a[1])), deadline)
}

// readTimeout reads a relative struct timespec and returns it as a deadline. A
// null pointer means no deadline. Errors: EFAULT, EINVAL.
func readTimeout(t *task.Task, address uint64) (int64, error) {
	if address == 0 {
		return 0, nil
	}
	v, err := copyInTimespec(t, address)
	if err != nil {
		return 0, err
	}
	if v.Sec < 0 || v.Nsec < 0 || v.Nsec >= second {
		return 0, unix.EINVAL
	}
	return deadlineIn(clampedTime(v)), nil
}

// timeLeft returns the nanoseconds until a deadline, or 0 without a deadline.
func timeLeft(deadline int64) int64 {
	if deadline <= 0 {
		return 0
	}
	return max(0, deadline-clock.Monotonic())
}

// storeLeft stores the remaining time in the timeout argument of ppoll(2) or
// select(2), as Linux does. Like Linux it ignores a fault.
func storeLeft[T unix.Timespec | unix.Timeval](t *task.Task, address uint64, left T, copyOut func(*task.Task, uint64, T) error) {
	if address != 0 {
		copyOut(t, address, left)
	}
}

// signalSetSize is the size of the kernel's sigset_t.
const signalSetSize = 8

// withMask runs operation with the signal mask at address, if there is one
// (ppoll(2), pselect(2), epoll_pwait(2)).
func withMask(t *task.Task, address, size uint64, operation func() (uint64, error)) (uint64, error) {
	if address == 0 {
		return operation()
	}
	if size != signalSetSize {
		return 0, unix.EINVAL
	}
	set, err := abi.CopyIn[signal.Set](t, address)
	if err != nil {
		return 0, err
	}
	t.BlockTemporarily(set)
	n, err := operation()
	t.RestoreBlocked(err == abi.ERESTARTNOHAND || err == unix.EINTR)
	return n, err
}

func sysPpoll(t *task.Task, a *amd64.Args) (uint64, error) {
	deadline, err := readTimeout(t, a[2])
	if err != nil {
		return 0, err
	}
	n, err := withMask(t, a[3], a[4], func() (uint64, error) { return pollFDs(t, a[0], uint64(uint32(a[1])), deadline) })
	storeLeft(t, a[2], unix.NsecToTimespec(timeLeft(deadline)), copyOutTimespec)
	return n, err
}
