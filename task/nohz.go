package task

import (
	"slowpath/arch/amd64"
	"slowpath/entry"
)

// noHZSubsystem raises NOHZ for a task on a CPU of nohz_full=.
var noHZSubsystem = Subsystem{
	Name: "nohz",
	Levels: func(t *Task) entry.Flag {
		if t.noHZ.Load() {
			return entry.NoHZ
		}
		return 0
	},
}

// NoHZHandlers returns the handlers of NOHZ, which charge the time of each call.
func NoHZHandlers() entry.Handlers[*Task] {
	return entry.Handlers[*Task]{
		Flag: entry.NoHZ,
		Entry: func(t *Task, _ *entry.Call) entry.Verdict {
			t.Accounting.CPU.LeaveUser()
			return entry.Proceed
		},
		Exit: func(t *Task, _ *entry.Call) { t.Accounting.CPU.ChargeKernel() },
	}
}

// enterNoHZ enters user mode if the task is on a CPU of nohz_full=, and returns the event that
// ends it. Otherwise it returns amd64.EventHandover. The time is charged on both sides, so that
// user mode and the kernel are divided exactly at each crossing.
func (t *Task) enterNoHZ() (event int) {
	f := t.Frame
	cpu := f.LastCPU()
	if !amd64.IsNoHZ(cpu) {
		t.leaveNoHZ()
		return amd64.EventHandover
	}
	if !t.noHZ.Load() {
		t.noHZ.Store(true)
		t.UpdateLevels()
	}
	t.chooseTick(cpu)
	t.Accounting.CPU.LeaveKernel()
	event = t.kernel.config.EnterNoHZ(f)
	t.Accounting.CPU.LeaveUser()
	return event
}

// leaveNoHZ ends what enterNoHZ has begun on another CPU.
func (t *Task) leaveNoHZ() {
	if t.noHZ.Load() {
		t.noHZ.Store(false)
		t.Accounting.CPU.EndExact()
		t.UpdateLevels()
	}
}

// chooseTick gives the CPU a tick if the process has a limit or a timer of CPU time (Linux:
// TICK_DEP_BIT_POSIX_TIMER).
func (t *Task) chooseTick(cpu int) {
	if !t.group.watchesCPUTime() {
		amd64.RefuseTick(cpu)
		return
	}
	if amd64.WantTick(cpu) {
		amd64.InterruptThisCPU()
	}
}
