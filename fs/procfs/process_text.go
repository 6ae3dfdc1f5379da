package procfs

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/mm"
)

// usage returns the memory usage of the process, and false for a process without an
// address space.
func (p *process) usage() (mm.Usage, bool) {
	space, _ := p.task.Image()
	if space == nil {
		return mm.Usage{}, false
	}
	return space.Usage(), true
}

// stat returns the contents of /proc/pid/stat: 52 fields on one line. The
// addresses and the exit code are 0 if the reader may not inspect the process
// (proc(5)).
func (p *process) stat(who identity) ([]byte, error) {
	i := p.task.Info()
	u, _ := p.usage()
	var heap mm.Heap
	if space, _ := p.task.Image(); space != nil {
		heap = space.Heap()
	}
	if p.checkAccess(who) != nil {
		i.ProgramInfo, i.ExitCode, heap = ProgramInfo{}, 0, mm.Heap{}
	}
	return fmtText(func(b *bytes.Buffer) {
		fmt.Fprintf(b, "%d (%s) %c %d %d %d %d %d 0", i.TID, i.Comm, i.State, i.ParentPID, i.ProcessGroup, i.Session, int32(i.Terminal), i.Foreground)
		fmt.Fprintf(b, " %d %d %d %d", i.MinorFaults, i.ChildMinorFaults, i.MajorFaults, i.ChildMajorFaults)
		fmt.Fprintf(b, " %d %d %d %d", ticks(i.User), ticks(i.System), ticks(i.ChildUser), ticks(i.ChildSystem))
		fmt.Fprintf(b, " %d %d %d 0 %d", i.KernelPriority-100, i.Nice, i.Threads, ticks(i.StartTime))
		fmt.Fprintf(b, " %d %d %d", u.Mapped*mm.PageSize, u.Resident(), i.Limits[unix.RLIMIT_RSS][0])
		fmt.Fprintf(b, " %d %d %d 0 0", i.StartCode, i.EndCode, i.StartStack)
		low := uint64(1<<31 - 1)
		fmt.Fprintf(b, " %d %d %d %d", i.Pending&low, i.Blocked&low, i.Ignored&low, i.Caught&low)
		fmt.Fprintf(b, " 0 0 0 %d %d %d %d 0 0 0 %d %d %d", i.ExitSignal, i.CPU, i.Priority, i.Policy, i.StartData, i.EndData, heap.Start)
		fmt.Fprintf(b, " %d %d %d %d %d\n", i.ArgStart, i.ArgEnd, i.EnvStart, i.EnvEnd, i.ExitCode)
	})
}

// schedstat returns the contents of /proc/pid/schedstat: time on a CPU and time waited for
// one, in nanoseconds, and how often it got one (Documentation/scheduler/sched-stats.rst).
func (p *process) schedstat(identity) ([]byte, error) {
	i := p.task.Info()
	return fmt.Appendf(nil, "%d %d %d\n", i.RunTime, i.Waited, i.Runs), nil
}

// sched returns the contents of /proc/pid/sched: the fields that exist here, in the layout of Linux
// without schedstats (proc_sched_show_task).
func (p *process) sched(identity) ([]byte, error) {
	i := p.task.Info()
	return fmtText(func(b *bytes.Buffer) { writeSched(b, &i) })
}

func writeSched(b *bytes.Buffer, i *TaskInfo) {
	fmt.Fprintf(b, "%s (%d, #threads: %d)\n%s\n", i.Comm, i.TID, i.Threads, strings.Repeat("-", 67))
	milliseconds := func(name string, ns int64) { fmt.Fprintf(b, "%-45s:%14d.%06d\n", name, ns/1e6, ns%1e6) }
	number := func(name string, v int64) { fmt.Fprintf(b, "%-45s:%21d\n", name, v) }
	s := &i.Scheduling
	milliseconds("se.exec_start", s.ExecStart)
	milliseconds("se.vruntime", s.VRuntime)
	milliseconds("se.sum_exec_runtime", i.RunTime)
	number("se.nr_migrations", s.Migrations)
	number("nr_switches", i.Voluntary+i.Involuntary)
	number("nr_voluntary_switches", i.Voluntary)
	number("nr_involuntary_switches", i.Involuntary)
	const loadResolution = 1 << 10 // scale_load
	number("se.load.weight", s.Weight*loadResolution)
	number("policy", int64(i.Policy))
	number("prio", int64(i.KernelPriority))
}

// storeSched handles a write to /proc/pid/sched, which resets the schedstats of the thread. There are
// none, as on Linux with kernel.sched_schedstats=0.
func (p *process) storeSched(identity, string) error { return nil }

// statm returns the contents of /proc/pid/statm: sizes in pages.
func (p *process) statm(identity) ([]byte, error) {
	u, _ := p.usage()
	return fmt.Appendf(nil, "%d %d %d %d 0 %d 0\n", u.Mapped, u.Resident(), u.File+u.Shared, u.Exec, u.Data+u.Stack), nil
}

// io returns the contents of /proc/pid/io. EACCES: the reader may not inspect the
// process. No write is cancelled, because files are not written back later.
func (p *process) io(who identity) ([]byte, error) {
	if err := p.checkAccess(who); err != nil {
		return nil, err
	}
	const blockSize = 512
	i := p.task.Info()
	return fmt.Appendf(nil, "rchar: %d\nwchar: %d\nsyscr: %d\nsyscw: %d\nread_bytes: %d\nwrite_bytes: %d\ncancelled_write_bytes: 0\n",
		i.ReadBytes, i.WriteBytes, i.ReadCalls, i.WriteCalls, i.BlocksIn*blockSize, i.BlocksOut*blockSize), nil
}

// stateNames has the names of the states (proc(5), /proc/pid/status).
var stateNames = map[byte]string{
	'R': "running", 'S': "sleeping", 'D': "disk sleep", 'T': "stopped", 't': "tracing stop", 'Z': "zombie", 'X': "dead",
}

// status returns the contents of /proc/pid/status.
func (p *process) status(identity) ([]byte, error) {
	i := p.task.Info()
	return fmtText(func(b *bytes.Buffer) {
		fmt.Fprintf(b, "Name:\t%s\n", i.Comm)
		if umask, ok := p.task.Umask(); ok {
			fmt.Fprintf(b, "Umask:\t%04o\n", umask)
		}
		fmt.Fprintf(b, "State:\t%c (%s)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n", i.State, stateNames[i.State], i.PID, i.TID, i.ParentPID, i.TracerPID)
		writeIdentity(b, &i)
		fmt.Fprintf(b, "FDSize:\t%d\n", p.task.DescriptorTableSize())
		writeGroups(b, &i)
		if u, ok := p.usage(); ok {
			writeUsage(b, u)
		}
		fmt.Fprintf(b, "Threads:\t%d\nSigQ:\t%d/%d\n", i.Threads, i.QueuedSignals, i.QueuedLimit)
		fmt.Fprintf(b, "SigPnd:\t%016x\nShdPnd:\t%016x\nSigBlk:\t%016x\nSigIgn:\t%016x\nSigCgt:\t%016x\n", i.Pending, i.SharedPending, i.Blocked, i.Ignored, i.Caught)
		writeCapabilities(b, &i)
		fmt.Fprintf(b, "Cpus_allowed:\t%x\nCpus_allowed_list:\t%s\n", i.Affinity, cpuList(i.Affinity))
		fmt.Fprintf(b, "voluntary_ctxt_switches:\t%d\nnonvoluntary_ctxt_switches:\t%d\n", i.Voluntary, i.Involuntary)
	})
}

func writeIdentity(b *bytes.Buffer, i *TaskInfo) {
	if c := i.Credentials; c != nil {
		fmt.Fprintf(b, "Uid:\t%d\t%d\t%d\t%d\nGid:\t%d\t%d\t%d\t%d\n", c.UID, c.EUID, c.SUID, c.FSUID, c.GID, c.EGID, c.SGID, c.FSGID)
	}
}

func writeGroups(b *bytes.Buffer, i *TaskInfo) {
	b.WriteString("Groups:\t")
	if i.Credentials != nil {
		for _, g := range i.Credentials.Groups {
			fmt.Fprintf(b, "%d ", g)
		}
	}
	fmt.Fprintf(b, "\nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", i.PID, i.TID, i.ProcessGroup, i.Session)
}

func writeUsage(b *bytes.Buffer, u mm.Usage) {
	for _, line := range []struct {
		name  string
		pages int64
	}{
		{"VmPeak", u.PeakMapped}, {"VmSize", u.Mapped}, {"VmLck", u.Locked}, {"VmPin", 0}, {"VmHWM", u.PeakResident},
		{"VmRSS", u.Resident()}, {"RssAnon", u.Anonymous}, {"RssFile", u.File}, {"RssShmem", u.Shared},
		{"VmData", u.Data}, {"VmStk", u.Stack}, {"VmExe", u.Exec}, {"VmSwap", 0},
	} {
		fmt.Fprintf(b, "%s:\t%8d kB\n", line.name, kib(line.pages))
	}
}

func writeCapabilities(b *bytes.Buffer, i *TaskInfo) {
	if c := i.Credentials; c != nil {
		fmt.Fprintf(b, "CapInh:\t%016x\nCapPrm:\t%016x\nCapEff:\t%016x\nCapBnd:\t%016x\nCapAmb:\t%016x\n",
			uint64(c.Inheritable), uint64(c.Permitted), uint64(c.Effective), uint64(c.Bounding), uint64(c.Ambient))
	}
	noNewPrivileges := 0
	if i.NoNewPrivileges {
		noNewPrivileges = 1
	}
	fmt.Fprintf(b, "NoNewPrivs:\t%d\nSeccomp:\t%d\nSeccomp_filters:\t%d\n", noNewPrivileges, i.SeccompMode, i.SeccompFilters)
}

// cpuList formats a set of CPUs as ranges, such as "0-2,5" (cpuset(7), List
// format).
func cpuList(set uint64) string {
	var b bytes.Buffer
	for first := 0; first < 64; first++ {
		if set&(1<<first) == 0 {
			continue
		}
		last := first
		for last < 63 && set&(1<<(last+1)) != 0 {
			last++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%d", first)
		if last > first {
			fmt.Fprintf(&b, "-%d", last)
		}
		first = last
	}
	return b.String()
}

// limitNames has the names and units of the lines of /proc/pid/limits, by
// RLIMIT_ number.
var limitNames = [16][2]string{
	{"Max cpu time", "seconds"}, {"Max file size", "bytes"}, {"Max data size", "bytes"}, {"Max stack size", "bytes"},
	{"Max core file size", "bytes"}, {"Max resident set", "bytes"}, {"Max processes", "processes"}, {"Max open files", "files"},
	{"Max locked memory", "bytes"}, {"Max address space", "bytes"}, {"Max file locks", "locks"}, {"Max pending signals", "signals"},
	{"Max msgqueue size", "bytes"}, {"Max nice priority", ""}, {"Max realtime priority", ""}, {"Max realtime timeout", "us"},
}

func writeLimits(b *bytes.Buffer, i *TaskInfo) {
	value := func(v uint64) string {
		if v == unix.RLIM_INFINITY {
			return "unlimited"
		}
		return fmt.Sprint(v)
	}
	fmt.Fprintf(b, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units")
	for n, name := range limitNames {
		fmt.Fprintf(b, "%-25s %-20s %-20s %-10s\n", name[0], value(i.Limits[n][0]), value(i.Limits[n][1]), name[1])
	}
}
