package task

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slowpath/entry"
)

// reason is a subsystem that wants SYSCALL_TRACE while it is on.
type reason struct {
	on atomic.Bool
	// afterRead is called after the reason was read and before the result is
	// used.
	afterRead func()
}

func (r *reason) subsystem() Subsystem {
	return Subsystem{
		Name: "reason",
		Levels: func(*Task) entry.Flag {
			on := r.on.Load()
			if r.afterRead != nil {
				r.afterRead()
			}
			if on {
				return entry.SyscallTrace
			}
			return 0
		},
	}
}

// owesTrace reports whether SYSCALL_TRACE is raised for the task.
func owesTrace(t *Task) bool { return entry.Pending(&t.Frame.ThreadFlags)&entry.SyscallTrace != 0 }

// updateWithoutLock is UpdateLevels without its lock. The test must detect the lost
// update.
func updateWithoutLock(t *Task) {
	want := t.kernel.Levels()
	for _, levels := range t.kernel.subsystems.levels {
		want |= levels(t)
	}
	entry.Raise(&t.Frame.ThreadFlags, want)
	entry.Lower(&t.Frame.ThreadFlags, levelDuties&^want)
}

// TestConcurrentUpdateLevelsLoseNoReason forces the interleaving that loses an
// update without the lock: one goroutine has read all reasons as off, and another
// then switches one on and updates the levels.
func TestConcurrentUpdateLevelsLoseNoReason(t *testing.T) {
	for name, c := range map[string]struct {
		update   func(*Task)
		survives bool
	}{
		"UpdateLevels":            {(*Task).UpdateLevels, true},
		"mutant without the lock": {updateWithoutLock, false},
	} {
		t.Run(name, func(t *testing.T) {
			var first, second reason
			w := newWorld(t, first.subsystem(), second.subsystem())
			w.process(func(task *Task) {
				otherDone := make(chan struct{})
				var paused atomic.Bool
				second.afterRead = func() {
					if !paused.Swap(true) {
						go func() {
							defer close(otherDone)
							second.on.Store(true)
							c.update(task)
						}()
						select {
						case <-otherDone: // update takes no lock
						case <-time.After(20 * time.Millisecond):
						}
					}
				}
				c.update(task) // the first reason is off
				<-otherDone
				if got := owesTrace(task); got != c.survives {
					w.T.Errorf("the task owes SYSCALL_TRACE: %t, want %t", got, c.survives)
				}
			})
		})
	}
}

func TestLevelsAreTheUnionOfTheirReasons(t *testing.T) {
	var first, second reason
	w := newWorld(t, first.subsystem(), second.subsystem())
	w.process(func(task *Task) {
		entry.Raise(&task.Frame.ThreadFlags, entry.NotifyResume) // not a level: it must stay raised
		for state := range 8 {
			first.on.Store(state&1 != 0)
			second.on.Store(state&2 != 0)
			task.UpdateLevels()
			if state&4 != 0 {
				w.k.RaiseForAll(entry.SyscallTrace)
			} else {
				w.k.LowerForAll(entry.SyscallTrace)
			}
			if got, want := owesTrace(task), state != 0; got != want {
				w.T.Errorf("reasons %03b: the task owes SYSCALL_TRACE: %t, want %t", state, got, want)
			}
			if entry.Pending(&task.Frame.ThreadFlags)&entry.NotifyResume == 0 {
				w.T.Fatal("UpdateLevels cleared a duty that is not a level")
			}
		}
		w.k.LowerForAll(entry.SyscallTrace)
	})
}

// TestConcurrentSwitchesLoseNoLevel switches three reasons for the same duty
// concurrently: those of two subsystems and the kernel-wide one.
func TestConcurrentSwitchesLoseNoLevel(t *testing.T) {
	var first, second reason
	w := newWorld(t, first.subsystem(), second.subsystem())
	w.process(func(task *Task) {
		for round := range 500 {
			var wait sync.WaitGroup
			final := round % 8
			set := func(r *reason, on bool) func() {
				return func() { r.on.Store(on); task.UpdateLevels() }
			}
			setAll := func(on bool) func() {
				if on {
					return func() { w.k.RaiseForAll(entry.SyscallTrace) }
				}
				return func() { w.k.LowerForAll(entry.SyscallTrace) }
			}
			for i, makeSwitch := range []func(on bool) func(){
				func(on bool) func() { return set(&first, on) },
				func(on bool) func() { return set(&second, on) },
				setAll,
			} {
				wait.Add(1)
				go func() {
					defer wait.Done()
					on := final>>i&1 != 0
					makeSwitch(!on)()
					makeSwitch(on)()
				}()
			}
			wait.Wait()
			if got, want := owesTrace(task), final != 0; got != want {
				w.T.Fatalf("reasons %03b: the task owes SYSCALL_TRACE: %t, want %t", final, got, want)
			}
		}
		w.k.LowerForAll(entry.SyscallTrace)
	})
}

func TestKernelWideLevelIncludesNewTasks(t *testing.T) {
	w := newWorld(t)
	w.process(func(task *Task) {
		var stop atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			for !stop.Load() {
				w.k.RaiseForAll(entry.SyscallTrace)
				for _, g := range w.k.Groups() {
					for _, t := range g.Threads() {
						if !owesTrace(t) {
							w.T.Errorf("%s does not owe the kernel-wide duty", t)
						}
					}
				}
				w.k.LowerForAll(entry.SyscallTrace)
			}
		}()
		for range 200 {
			w.wait(task, w.fork(task, func(t *Task) { exit(t, 0) }), 0)
		}
		stop.Store(true)
		<-done
	})
}
