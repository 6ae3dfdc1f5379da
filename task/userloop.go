package task

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/entry"
)

// The methods below implement entry.Task. The user loop calls them.

// TakeCPU implements entry.Task. It pins the runtime's thread to the CPU that the scheduler
// has chosen. The task was preempted or has moved to another CPU, so a
// restartable sequence must be aborted. If it has slept in a system call and is still on
// the same CPU, there is nothing to do: a sequence must not make calls (rseq(2)).
//
// On a CPU without a tick it also enters user mode. EnterUser never enters user mode there by
// itself, so each entry passes here.
func (t *Task) TakeCPU() (event int) {
	f := t.Frame
	last := f.LastCPU()
	forgotten := t.noHZ.Load() && f.StateCPU() == last // no other program has run: see amd64.ForgetUser
	for !amd64.TakeCPU(f) {
		t.kernel.config.Pin(f.Affinity())
	}
	if now := f.LastCPU(); now != last && t.hasRun {
		t.migrated(last, now)
	}
	t.hasRun = true
	if !forgotten && f.OrigRAX == amd64.NotInSyscall || f.LastCPU() != last {
		t.RaiseRSeq()
	}
	if t.kernel.config.EnterNoHZ == nil {
		return amd64.EventHandover
	}
	return t.enterNoHZ()
}

// AfterInterrupt implements entry.Task. After the tick and at the deadlines of the scheduler
// it does the scheduler's work, which may raise NEED_RESCHED. A kick and an IPI need no work.
func (t *Task) AfterInterrupt() {
	if f := t.Frame; f.TakeResched() {
		t.ChargeTicks(int(t.Visit.Number))
		return
	}
	if t.kernel.Tracepoints.Interrupted.Active() {
		t.interrupted(Interrupted{Task: t, Vector: int(t.Visit.Number)})
		t.interrupted(Interrupted{Task: t, Vector: int(t.Visit.Number), Served: true})
	}
}

// interrupted calls the tracepoint of an interrupt of user mode.
func (t *Task) interrupted(i Interrupted) { t.kernel.Tracepoints.Interrupted.Call(i) }

// migrated calls the tracepoint of a task that has changed the CPU.
func (t *Task) migrated(from, to int) {
	if p := &t.kernel.Tracepoints.Migrated; p.Active() {
		p.Call(Migrated{t, from, to})
	}
}

// ReadWord implements entry.Task.
func (t *Task) ReadWord(address uint64) (uint32, bool) {
	var b [4]byte
	if t.CopyIn(address, b[:]) != nil {
		return 0, false
	}
	return binary.LittleEndian.Uint32(b[:]), true
}

// Stuck implements entry.Task: the duties are reported by name, and the process
// is killed.
func (t *Task) Stuck(duties entry.Flag) {
	t.kernel.Logf("The duties %v of %s are raised again however often they are served, so it is killed.", duties, t)
	t.ExitGroup(SignalStatus(unix.SIGKILL))
}
