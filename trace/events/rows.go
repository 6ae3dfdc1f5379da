package events

import (
	"fmt"
	"math/bits"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/mm"
	"slowpath/task"
	"slowpath/trace/hist"
)

// row is an event.
type row struct {
	system, name string
	fields       []field
	// text prints a record: a format of printf with the fields in their order.
	text string
	// printFormat is what the file format shows, if it is not text with its fields.
	printFormat string
	// shows has the fields whose value is not printed as a number.
	shows map[string]func(uint64) string
	// connect makes a tracepoint call the event, and returns the function that ends that.
	connect func(k *kernel, e *event) (disconnect func())
}

// Fields and texts that several events have (Linux: DECLARE_EVENT_CLASS).
var (
	processFields = []field{comm("comm"), pid("pid"), integer("prio")}
	wakeupFields  = []field{comm("comm"), pid("pid"), integer("prio"), integer("target_cpu")}
	vectorFields  = []field{integer("vector")}
)

const (
	processText = "comm=%s pid=%d prio=%d"
	wakeupText  = "comm=%s pid=%d prio=%d target_cpu=%03d"
	vectorText  = "vector=%d"
)

// rows are the events, in the order of Linux's files.
var rows = []row{
	{system: "irq_vectors", name: "local_timer_entry", fields: vectorFields, text: vectorText, connect: onVector(amd64.VectorTimer, begins)},
	{system: "irq_vectors", name: "local_timer_exit", fields: vectorFields, text: vectorText, connect: onVector(amd64.VectorTimer, ends)},
	{system: "irq_vectors", name: "reschedule_entry", fields: vectorFields, text: vectorText, connect: onVector(amd64.VectorIPI, begins)},
	{system: "irq_vectors", name: "reschedule_exit", fields: vectorFields, text: vectorText, connect: onVector(amd64.VectorIPI, ends)},
	{
		system: "exceptions", name: "page_fault_user",
		fields:      []field{word("address"), word("ip"), word("error_code")},
		text:        "address=0x%lx ip=0x%lx error_code=0x%lx",
		printFormat: `"address=%ps ip=%ps error_code=0x%lx", (void *)REC->address, (void *)REC->ip, REC->error_code`,
		connect: func(k *kernel, e *event) func() {
			return k.Tasks.Tracepoints.PageFault.Register(func(p task.PageFault) {
				e.emit(p.Task, p.Frame, number(p.Address), number(p.Frame.RIP), number(p.Error))
			})
		},
	},
	{
		system: "exceptions", name: "page_fault_kernel",
		fields:      []field{word("address"), word("ip"), word("error_code")},
		text:        "address=0x%lx ip=%s error_code=0x%lx",
		printFormat: `"address=%ps ip=%ps error_code=0x%lx", (void *)REC->address, (void *)REC->ip, REC->error_code`,
		shows:       map[string]func(uint64) string{"ip": func(pc uint64) string { name, _, _ := hist.Symbol(pc - 1); return name }},
		connect: func(k *kernel, e *event) func() {
			return k.Tasks.Memory().CopyFaults.Register(func(f mm.CopyFault) {
				e.emit(k.current(), nil, number(f.Address), number(f.PC), number(copyError(f)))
			})
		},
	},
	{
		system: "task", name: "task_newtask",
		fields: []field{pid("pid"), comm("comm"), word("clone_flags"), short("oom_score_adj")},
		text:   "pid=%d comm=%s clone_flags=%lx oom_score_adj=%hd",
		connect: onFork(func(e *event, f task.Forked) {
			adjust := f.Child.Group().OOMAdjust.Load()
			e.emit(f.Parent, f.Parent.Frame, number(f.Child.TID()), name(f.Child.Comm()), number(f.Arguments.Flags), number(adjust))
		}),
	},
	{
		system: "task", name: "task_rename",
		fields: []field{pid("pid"), comm("oldcomm"), comm("newcomm"), short("oom_score_adj")},
		text:   "pid=%d oldcomm=%s newcomm=%s oom_score_adj=%hd",
		connect: func(k *kernel, e *event) func() {
			return k.Tasks.Tracepoints.Renamed.Register(func(r task.Renamed) {
				e.emit(k.current(), nil, number(r.Task.TID()), name(r.Task.Comm()), name(r.Name), number(r.Task.Group().OOMAdjust.Load()))
			})
		},
	},
	{
		system: "signal", name: "signal_generate",
		fields: []field{
			integer("sig"), integer("errno"), integer("code"), comm("comm"), pid("pid"), integer("group"), integer("result"),
		},
		text: "sig=%d errno=%d code=%d comm=%s pid=%d grp=%d res=%d",
		printFormat: `"sig=%d errno=%d code=%d comm=%s pid=%d grp=%d res=%d", REC->sig, REC->errno, REC->code, ` +
			`REC->comm, REC->pid, REC->group, REC->result`,
		connect: func(k *kernel, e *event) func() {
			return k.Tasks.Tracepoints.SignalGenerated.Register(func(s task.SignalGenerated) {
				group := 0
				if s.Group {
					group = 1
				}
				e.emit(k.current(), nil, number(s.Signal), number(s.Info.Errno), number(s.Info.Code),
					name(s.Target.Comm()), number(s.Target.TID()), number(group), number(int(s.Result)))
			})
		},
	},
	{
		system: "signal", name: "signal_deliver",
		fields: []field{integer("sig"), integer("errno"), integer("code"), word("sa_handler"), word("sa_flags")},
		text:   "sig=%d errno=%d code=%d sa_handler=%lx sa_flags=%lx",
		connect: func(k *kernel, e *event) func() {
			return k.Tasks.Tracepoints.SignalDelivered.Register(func(s task.SignalDelivered) {
				e.emit(s.Task, s.Task.Frame, number(int(s.Info.Signo)), number(s.Info.Errno), number(s.Info.Code),
					number(s.Action.Handler), number(s.Action.Flags))
			})
		},
	},
	{
		system: "sched", name: "sched_process_fork",
		fields: []field{comm("parent_comm"), pid("parent_pid"), comm("child_comm"), pid("child_pid")},
		text:   "comm=%s pid=%d child_comm=%s child_pid=%d",
		connect: onFork(func(e *event, f task.Forked) {
			e.emit(f.Parent, f.Parent.Frame, name(f.Parent.Comm()), number(f.Parent.TID()), name(f.Child.Comm()), number(f.Child.TID()))
		}),
	},
	{
		system: "sched", name: "sched_process_exec",
		fields: []field{text("filename"), pid("pid"), pid("old_pid")},
		text:   "filename=%s pid=%d old_pid=%d",
		connect: func(k *kernel, e *event) func() {
			return k.Tasks.Tracepoints.Executed.Register(func(x task.Executed) {
				e.emit(x.Task, x.Task.Frame, name(x.Path), number(x.Task.TID()), number(x.OldTID))
			})
		},
	},
	{
		system: "sched", name: "sched_process_wait", fields: processFields, text: processText,
		connect: func(k *kernel, e *event) func() {
			return k.Tasks.Tracepoints.Waiting.Register(func(w task.Waiting) {
				e.emit(w.Task, w.Task.Frame, name(w.Task.Comm()), number(w.PID), priorityOf(w.Task))
			})
		},
	},
	{
		system: "sched", name: "sched_process_exit", fields: processFields, text: processText,
		connect: func(k *kernel, e *event) func() {
			return k.Tasks.Tracepoints.Exiting.Register(func(t *task.Task) {
				e.emit(t, t.Frame, name(t.Comm()), number(t.TID()), priorityOf(t))
			})
		},
	},
	{
		system: "sched", name: "sched_process_free", fields: processFields, text: processText,
		connect: func(k *kernel, e *event) func() {
			return k.Tasks.Tracepoints.Freed.Register(func(t *task.Task) {
				e.emit(k.current(), nil, name(t.Comm()), number(t.TID()), priorityOf(t))
			})
		},
	},
	{
		system: "sched", name: "sched_migrate_task",
		fields: []field{comm("comm"), pid("pid"), integer("prio"), integer("orig_cpu"), integer("dest_cpu")},
		text:   "comm=%s pid=%d prio=%d orig_cpu=%d dest_cpu=%d",
		connect: func(k *kernel, e *event) func() {
			return k.Tasks.Tracepoints.Migrated.Register(func(m task.Migrated) {
				e.emit(m.Task, nil, name(m.Task.Comm()), number(m.Task.TID()), priorityOf(m.Task), number(m.From), number(m.To))
			})
		},
	},
	{
		system: "sched", name: "sched_stat_runtime",
		fields: []field{comm("comm"), pid("pid"), u64("runtime"), u64("vruntime")},
		text:   "comm=%s pid=%d runtime=%Lu [ns] vruntime=%Lu [ns]",
		printFormat: `"comm=%s pid=%d runtime=%Lu [ns] vruntime=%Lu [ns]", REC->comm, REC->pid, ` +
			`(unsigned long long)REC->runtime, (unsigned long long)REC->vruntime`,
		connect: connectRuntime,
	},
	{
		system: "sched", name: "sched_switch",
		fields: []field{
			comm("prev_comm"), pid("prev_pid"), integer("prev_prio"), long("prev_state"),
			comm("next_comm"), pid("next_pid"), integer("next_prio"),
		},
		text:        "prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s ==> next_comm=%s next_pid=%d next_prio=%d",
		printFormat: switchFormat,
		shows:       map[string]func(uint64) string{"prev_state": stateText},
		connect:     connectSwitches,
	},
	{
		system: "sched", name: "sched_wakeup_new", fields: wakeupFields, text: wakeupText,
		connect: onFork(func(e *event, f task.Forked) { e.wakeup(f.Parent, f.Child) }),
	},
	{system: "sched", name: "sched_waking", fields: wakeupFields, text: wakeupText, connect: connectWakeups},
	{system: "sched", name: "sched_wakeup", fields: wakeupFields, text: wakeupText, connect: connectWakeups},
	{
		system: "slowpath", name: "exit",
		fields: []field{
			half("kind"), integer("number"), half("owed"), half("served"), word("duration"), integer("cpu"), half("iret"),
		},
		text:        "kind=%s number=%d owed=%s served=%s duration=%ld cpu=%d by=%s",
		printFormat: visitFormat(),
		shows: map[string]func(uint64) string{
			"kind": kindText, "owed": dutiesText, "served": dutiesText, "iret": exitText,
		},
		connect: connectVisits,
	},
}

// copyError returns the error code of a page fault of the kernel (SDM vol. 3A, 4.7).
func copyError(f mm.CopyFault) (code uint64) {
	if f.Present {
		code |= amd64.FaultPresent
	}
	if f.Write {
		code |= amd64.FaultWrite
	}
	return code
}

// onFork returns a connect function for an event of a new task.
func onFork(record func(e *event, f task.Forked)) func(k *kernel, e *event) func() {
	return func(k *kernel, e *event) func() {
		return k.Tasks.Tracepoints.Forked.Register(func(f task.Forked) { record(e, f) })
	}
}

// phase says which call of Tracepoints.Interrupted is meant.
type phase bool

const (
	begins phase = false
	ends   phase = true
)

// onVector returns a connect function for the entry of an interrupt of user mode, or for its
// exit, which is when the task has done what the interrupt requires. Interrupts of the kernel
// and of idle CPUs are not shown.
func onVector(vector int, p phase) func(k *kernel, e *event) func() {
	return func(k *kernel, e *event) func() {
		return k.Tasks.Tracepoints.Interrupted.Register(func(i task.Interrupted) {
			if i.Vector == vector && i.Served == bool(p) {
				e.emit(i.Task, i.Task.Frame, number(i.Vector))
			}
		})
	}
}

// connectVisits connects slowpath:exit to the visits that the recorder keeps.
func connectVisits(k *kernel, e *event) (disconnect func()) {
	return k.Visits.Ended.Register(func(v *entry.Visit) {
		t := k.Tasks.TaskByID(int(v.Task))
		if t == nil {
			return
		}
		iret := 0
		if v.ByIRET {
			iret = 1
		}
		e.emit(t, t.Frame, number(v.Kind), number(v.Number), number(v.Owed), number(v.Served),
			number(nanoseconds(v.End-v.Begin)), number(v.CPU), number(iret))
	})
}

// nanoseconds converts a number of TSC ticks.
func nanoseconds(ticks uint64) uint64 {
	_, scale, _ := amd64.ClockParameters()
	high, low := bits.Mul64(ticks, scale)
	return high<<32 | low>>32
}

func kindText(n uint64) string {
	if n > uint64(entry.ByDuty) {
		return fmt.Sprintf("0x%x", n) // the record may have been written by a program
	}
	return entry.Kind(n).String()
}

func dutiesText(n uint64) string { return entry.Flag(n).String() }

func exitText(n uint64) string {
	if n != 0 {
		return "IRETQ"
	}
	return "SYSRET"
}

// visitFormat returns the print format of slowpath:exit.
func visitFormat() string {
	duties := ""
	for _, d := range entry.Duties() {
		duties += fmt.Sprintf(`, { 0x%x, "%v" }`, uint32(d.Flag), d.Flag)
	}
	kinds := ""
	for kind := entry.BySyscall; kind <= entry.ByDuty; kind++ {
		kinds += fmt.Sprintf(`, { %d, "%v" }`, kind, kind)
	}
	return `"kind=%s number=%d owed=%s served=%s duration=%lu cpu=%d by=%s", __print_symbolic(REC->kind` + kinds + `), REC->number, ` +
		`REC->owed ? __print_flags(REC->owed, "|"` + duties + `) : "0", REC->served ? __print_flags(REC->served, "|"` + duties + `) : "0", ` +
		`REC->duration, REC->cpu, REC->iret ? "IRETQ" : "SYSRET"`
}

// switchFormat is the print format of sched_switch.
const switchFormat = `"prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s%s ==> next_comm=%s next_pid=%d next_prio=%d", REC->prev_comm, REC->prev_pid, REC->prev_prio, (REC->prev_state & ((((0x00000000 | 0x00000001 | 0x00000002 | 0x00000004 | 0x00000008 | 0x00000010 | 0x00000020 | 0x00000040) + 1) << 1) - 1)) ? __print_flags(REC->prev_state & ((((0x00000000 | 0x00000001 | 0x00000002 | 0x00000004 | 0x00000008 | 0x00000010 | 0x00000020 | 0x00000040) + 1) << 1) - 1), "|", { 0x00000001, "S" }, { 0x00000002, "D" }, { 0x00000004, "T" }, { 0x00000008, "t" }, { 0x00000010, "X" }, { 0x00000020, "Z" }, { 0x00000040, "P" }, { 0x00000080, "I" }) : "R", REC->prev_state & (((0x00000000 | 0x00000001 | 0x00000002 | 0x00000004 | 0x00000008 | 0x00000010 | 0x00000020 | 0x00000040) + 1) << 1) ? "+" : "", REC->next_comm, REC->next_pid, REC->next_prio`
