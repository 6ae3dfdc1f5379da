package core

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/entry"
	"slowpath/fs"
	"slowpath/fs/procfs"
	"slowpath/syscall"
	"slowpath/task"
	"slowpath/trace"
	"slowpath/trace/calls"
	"slowpath/trace/events"
	"slowpath/trace/probes"
	"slowpath/trace/tracefs"
	"slowpath/uprobe"
)

// NewTrace returns the registry of trace events, with those of system calls. cpu returns
// the number of the CPU that runs the caller, and now is trace.Config.Now. Error: ENOMEM.
func NewTrace(k *task.Kernel, seen *calls.Calls, cpu func() int, tsc trace.TSC) (*trace.Registry, error) {
	r, err := trace.NewRegistry(trace.Config{
		CPUs: k.CPUs(), CPU: cpu, TSC: tsc, Memory: k.Memory(), Realtime: k.Wall().Now, Release: syscall.Release,
		CallName: func(number uint64) string { return callNames()[number] },
	})
	if err != nil {
		return nil, err
	}
	return r, seen.AddEvents(r, callRows())
}

// callNames has the names of the system calls as Linux's trace events know them.
var callNames = sync.OnceValue(func() map[uint64]string {
	names := make(map[uint64]string)
	for _, p := range syscall.Prototypes() {
		names[uint64(p.Number)] = "sys_" + p.Name
	}
	return names
})

// callRows are the system calls that have trace events.
var callRows = sync.OnceValue(func() (rows []calls.Row) {
	for _, p := range syscall.Prototypes() {
		row := calls.Row{Number: p.Number, Name: p.Name}
		for _, one := range p.Parameters {
			row.Parameters = append(row.Parameters, calls.Parameter(one))
		}
		rows = append(rows, row)
	}
	return rows
})

// AddEvents adds the trace events of tasks, the scheduler, exceptions and interrupts to a
// registry. Error: ENOMEM.
func AddEvents(k *task.Kernel, r *trace.Registry, visits *entry.Recorder, cpu func() int) error {
	// A task leaves the lists of traced threads when it is freed: its exit is still traced.
	k.Tracepoints.Freed.Register(func(t *task.Task) { r.Exited(t.TID()) })
	return events.Register(events.Config{Tasks: k, Events: r, Visits: visits, CPU: cpu})
}

// traceSubsystem makes the lists of traced threads follow fork and exec. AddEvents makes
// them follow exit.
func traceSubsystem(r *trace.Registry) task.Subsystem {
	return task.Subsystem{
		Name:    "trace",
		Publish: func(parent, child *task.Task, _ *task.CloneArgs) { r.Forked(parent.TID(), child.TID()) },
		Executed: func(t *task.Task, oldTID int) {
			if tid := t.TID(); tid != oldTID {
				r.Forked(oldTID, tid)
				r.Exited(oldTID)
			}
		},
	}
}

// MountTracing mounts tracefs, with the events of the uprobes u, on /sys/kernel/tracing, and on /sys/kernel/debug/tracing
// with a debugfs that has nothing else. Both exist once: another mount shows the same
// files. It returns the definitions of uprobe_events.
func MountTracing(root fs.KernelCaller, k *task.Kernel, r *trace.Registry, u *uprobe.Probes) (*probes.Set, error) {
	set := probes.New(u, r, k.Memory())
	files, debug := tracefs.New(r, k.Memory(), set.Rows()...), procfs.NewDebugfs()
	mounts := root.Context.Mounts()
	for _, m := range []struct {
		point, name string
		files       fs.Filesystem
	}{
		{"/sys/kernel/tracing", "tracefs", files},
		{"/sys/kernel/debug", "debugfs", debug},
		{"/sys/kernel/debug/tracing", "tracefs", files},
	} {
		mounts.Register(m.name, func(string) (fs.Filesystem, error) { return m.files, nil })
		if err := at(root, m.point).MountAt(m.files, m.name, unix.MS_RELATIME); err != nil {
			return nil, fmt.Errorf("%s cannot be mounted: %w", m.point, err)
		}
	}
	return set, nil
}
