package task

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs"
	"slowpath/guard"
	"slowpath/signal"
	"slowpath/wait"
)

// signalFD implements the file of signalfd(2). A read takes the signals of set that
// are pending for the process or for the thread that created the file.
type signalFD struct {
	fs.FileBase
	task *Task
	set  atomic.Uint64
}

// SignalFDInfoSize is the size of struct signalfd_siginfo in bytes (signalfd(2)).
const SignalFDInfoSize = 128

// Read implements fs.FileOperations. It reads as many signals as fit into dst.
// EINVAL if dst is too small for one signal, EAGAIN if none is pending.
func (s *signalFD) Read(_ *fs.File, dst fs.Sink, _ int64) (int, error) {
	if dst.Remaining() < SignalFDInfoSize {
		return 0, unix.EINVAL
	}
	done := 0
	for dst.Remaining() >= SignalFDInfoSize {
		info, ok := s.take()
		if !ok {
			break
		}
		siginfo := signalfdSiginfo(&info)
		n, err := dst.Put(abi.Bytes(&siginfo))
		done += n
		if err != nil {
			return fs.Moved(done, err)
		}
	}
	if done == 0 {
		return 0, unix.EAGAIN
	}
	return done, nil
}

// take removes the next signal of the set from the pending queues.
func (s *signalFD) take() (signal.Info, bool) {
	g := s.task.group
	locked := guard.Lock(&g.mu)
	defer locked.Release()
	var info signal.Info
	queue := s.task.dequeue(^signal.Set(s.set.Load()), &info)
	locked.Release()
	if queue == nil {
		return signal.Info{}, false
	}
	g.Timers.signalTaken(&info)
	return info, true
}

// Readiness implements fs.FileOperations.
func (s *signalFD) Readiness() wait.Events {
	if all, _ := s.task.Pending(); all&signal.Set(s.set.Load()) != 0 {
		return wait.Readable
	}
	return 0
}

// Queue implements fs.FileOperations.
func (s *signalFD) Queue() *wait.Queue { return s.task.group.SignalsPosted() }

// signalfdSiginfo returns the struct signalfd_siginfo of a signal
// (signalfd(2)).
func signalfdSiginfo(info *signal.Info) abi.SignalfdSiginfo {
	s := abi.SignalfdSiginfo{Signo: uint32(info.Signo), Errno: info.Errno, Code: info.Code}
	switch {
	case info.Code == signal.SI_TIMER:
		s.TID, s.Overrun = uint32(info.TimerID()), uint32(info.Overrun())
		s.Ptr, s.Int = info.Value(), int32(info.Value())
		return s
	case info.Code > 0 && signal.Synchronous.Has(info.Signo):
		s.Addr = info.Address()
		return s
	}
	s.PID, s.UID = uint32(info.PID()), info.UID()
	if info.Signo == unix.SIGCHLD {
		s.Status = info.Status()
	}
	if info.Code == signal.SI_QUEUE {
		s.Ptr, s.Int = info.Value(), int32(info.Value())
	}
	return s
}

// SignalFD is signalfd4(2). If fd is -1, it creates a file for the signals of set
// and returns its descriptor. Otherwise it changes the set of the file fd. Only the
// task's own goroutine calls it. Errors: EBADF, EINVAL if fd is no signalfd, EMFILE.
func (t *Task) SignalFD(fd int, set signal.Set, flags int) (int, error) {
	set &^= signal.Unblockable
	if fd != -1 {
		return t.changeSignalFD(fd, set)
	}
	s := &signalFD{task: t}
	s.set.Store(uint64(set))
	file := t.FS.Mounts().NewAnonymous("signalfd", flags, s)
	fd, err := t.FDs.Install(file, 0, t.DescriptorLimit(), flags&unix.O_CLOEXEC != 0)
	if err != nil {
		file.DecRef()
	}
	return fd, err
}

// changeSignalFD changes the set of an existing file, and wakes its readers.
func (t *Task) changeSignalFD(fd int, set signal.Set) (int, error) {
	file, err := t.FDs.Get(fd)
	if err != nil {
		return 0, err
	}
	defer file.DecRef()
	s, ok := file.Operations().(*signalFD)
	if !ok {
		return 0, unix.EINVAL
	}
	s.set.Store(uint64(set))
	s.task.group.posted.Wake(waitReadable)
	return fd, nil
}
