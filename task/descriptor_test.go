package task

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/mm"
	"slowpath/signal"
	"slowpath/wait"
)

func TestPIDFDSignalsAndReportsExit(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		a := CloneArgs{Flags: unix.CLONE_PIDFD, PIDFD: scratch, ExitSignal: unix.SIGCHLD}
		pid := w.clone(t, a, w.sleepForever)
		number, _ := t.LoadUint32(scratch)
		file, err := t.FDs.Get(int(number))
		if err != nil {
			w.T.Errorf("CLONE_PIDFD stored descriptor %d: %v", number, err)
			return
		}
		if file.Readiness() != 0 {
			w.T.Error("the pidfd is readable while the process runs")
		}
		if onExec, _ := t.FDs.GetExecAction(int(number)); onExec == fs.KeepOnExec {
			w.T.Error("the pidfd is not close-on-exec")
		}
		g, err := t.GroupOfPIDFD(int(number))
		if err != nil || g.PID() != pid {
			w.T.Errorf("GroupOfPIDFD returned %v, %v", g, err)
		}
		if err := t.SignalGroup(g, unix.SIGTERM, nil); err != nil {
			w.T.Errorf("pidfd_send_signal: %v", err)
		}
		t.Block(file.Queue(), wait.Readable, 0, func() bool { return file.Readiness()&wait.In != 0 })
		if result := w.wait(t, pid, 0); result.Status != SignalStatus(unix.SIGTERM) {
			w.T.Errorf("the child %v", result.Status)
		}
		if err := t.SignalGroup(g, 0, nil); err != unix.ESRCH {
			w.T.Errorf("pidfd_send_signal to an exited process: %v, want ESRCH", err)
		}
		file.DecRef()
		if _, err := t.OpenPID(9999, 0); err != unix.ESRCH {
			w.T.Errorf("pidfd_open of a missing process: %v, want ESRCH", err)
		}
	})
}

func TestSignalFDReadsSignalsOfItsSet(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		set := signal.SetOf(unix.SIGUSR1, unix.SIGCHLD)
		t.SetBlocked(set | signal.SetOf(unix.SIGUSR2))
		fd, err := t.SignalFD(-1, set, 0)
		if err != nil {
			w.T.Errorf("signalfd: %v", err)
			return
		}
		file, _ := t.FDs.Get(fd)
		defer file.DecRef()
		read := func(size int) (int, []byte, error) {
			sink := fs.NewBytesSink(make([]byte, size))
			n, err := file.Read(sink)
			return n, sink.Bytes(), err
		}
		if _, _, err := read(1024); err != unix.EAGAIN {
			w.T.Errorf("read without a signal: %v, want EAGAIN", err)
		}
		if _, _, err := read(100); err != unix.EINVAL {
			w.T.Errorf("read of 100 bytes: %v, want EINVAL", err)
		}
		t.Kill(t.PID(), unix.SIGUSR2)
		t.Kill(t.PID(), unix.SIGUSR1)
		if file.Readiness()&wait.In == 0 {
			w.T.Error("the signalfd is not readable")
		}
		n, bytes, err := read(1024)
		if n != SignalFDInfoSize || err != nil || bytes[0] != byte(unix.SIGUSR1) || bytes[12] != byte(t.PID()) {
			w.T.Errorf("read %d bytes % x, %v", n, bytes[:min(n, 20)], err)
		}
		if _, err := t.SignalFD(fd, signal.SetOf(unix.SIGUSR2), 0); err != nil {
			w.T.Errorf("signalfd with a new set: %v", err)
		}
		if n, _, err := read(1024); n != SignalFDInfoSize || err != nil {
			w.T.Errorf("read after the change: %d bytes, %v", n, err)
		}
	})
}

func TestOOMKillsTheLargestProcess(t *testing.T) {
	w := newWorld(t)
	status := w.process(func(t *Task) {
		small := w.fork(t, w.sleepForever)
		large := w.fork(t, func(t *Task) {
			const size = 1 << 30
			at, err := t.MM.Mmap(mm.MapRequest{
				Length: size, Prot: mm.ProtRead | mm.ProtWrite,
				Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE,
			})
			if err != nil {
				w.T.Errorf("mmap: %v", err)
			}
			for page := uint64(0); page < size && !t.Killed(); page += mm.PageSize {
				t.CopyOut(at+page, []byte{1})
			}
			w.returnToUser(t)
		})
		if result := w.wait(t, large, 0); result.Status != SignalStatus(unix.SIGKILL) {
			w.T.Errorf("the large process %v, want SIGKILL", result.Status)
		}
		if _, ended := w.k.GroupByID(small).Exited(); ended {
			w.T.Error("the small process was killed too")
		}
		t.Kill(small, unix.SIGKILL)
		w.wait(t, small, 0)
	})
	if status != 0 {
		t.Errorf("the parent %v", status)
	}
}

func TestProcessDescriptorNamesItsProcess(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		release := make(chan bool)
		child := w.fork(t, func(*Task) { <-release })
		fd, err := t.OpenPID(child, 0)
		if err != nil {
			w.T.Errorf("pidfd_open: %v", err)
		}
		file, err := t.FDs.Get(fd)
		if err != nil {
			w.T.Error(err)
			return
		}
		defer file.DecRef()
		text := func() string { return file.Operations().(fs.Describer).Describe() }
		if got, want := text(), fmt.Sprintf("Pid:\t%d\nNSpid:\t%d\n", child, child); got != want {
			w.T.Errorf("fdinfo has %q, want %q", got, want)
		}
		close(release)
		w.wait(t, child, 0)
		if got, want := text(), "Pid:\t-1\nNSpid:\t-1\n"; got != want {
			w.T.Errorf("after the wait fdinfo has %q, want %q", got, want)
		}
	})
}
