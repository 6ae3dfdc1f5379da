package task

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAttachWaitsForExec: nobody attaches between the computation of the new credentials
// in execve(2) and the moment at which they apply.
func TestAttachWaitsForExec(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		tracee := w.k.TaskByID(w.fork(t, w.sleepForever))
		end := tracee.group.execGuard()
		result := make(chan error, 1)
		tracer := w.fork(t, func(tracer *Task) { result <- tracer.Attach(tracee, Attachment{Seize: true}) })
		select {
		case err := <-result:
			w.T.Errorf("the process was attached to during execve: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		end()
		if err := <-result; err != nil {
			w.T.Errorf("Attach after execve: %v", err)
		}
		w.wait(t, tracer, 0)
		tracee.group.Kill()
		w.wait(t, tracee.TID(), 0)
	})
}

// TestSignalEndsTheWaitOfAttach: a tracer that waits for an execve can be interrupted.
func TestSignalEndsTheWaitOfAttach(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		tracee := w.k.TaskByID(w.fork(t, w.sleepForever))
		end := tracee.group.execGuard()
		tracer := w.fork(t, func(tracer *Task) { tracer.Attach(tracee, Attachment{}) })
		w.k.TaskByID(tracer).group.Kill()
		if result := w.wait(t, tracer, 0); result.Status != SignalStatus(unix.SIGKILL) {
			w.T.Errorf("the tracer %v", result.Status)
		}
		end()
		tracee.group.Kill()
		w.wait(t, tracee.TID(), 0)
	})
}
