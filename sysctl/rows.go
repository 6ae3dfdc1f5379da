package sysctl

import (
	"math"
	"math/bits"

	"golang.org/x/sys/unix"
)

// Limits of some settings.
const (
	// MaxThreads is the greatest threads-max (FUTEX_TID_MASK).
	MaxThreads = 0x3fffffff
	// maxCorePattern is the greatest length of core_pattern (CORENAME_MAX_SIZE).
	maxCorePattern = 127
	// maxCallChain is the greatest perf_event_max_stack.
	maxCallChain = 640 * 1024
	// taintBits is the number of TAINT_ bits in Linux 6.1.
	taintBits = 19
	// maxNrOpen is the greatest nr_open: the descriptors of a table fit into an
	// int (Linux: sysctl_nr_open_max).
	minNrOpen, maxNrOpen = 64, 0x7fffffc0
	// minPipeSize is a page; the largest size of a pipe is 2 GiB.
	minPipeSize, maxPipeSize = 4096, 1 << 31

	capSysRawIO = 17
	capSysAdmin = 21
)

// Rows returns the files of the settings.
func (s *Settings) Rows() []Row {
	const maxInt = math.MaxInt32
	return []Row{
		{Name: "kernel/tainted", Mode: 0o644, Capability: capSysAdmin, Value: s.tainted()},
		{Name: "kernel/core_pattern", Mode: 0o644, Value: text(&s.CorePattern, maxCorePattern)},
		Setting("kernel/core_uses_pid", &s.CoreUsesPID, math.MinInt32, maxInt),
		Setting("kernel/randomize_va_space", &s.RandomizeVASpace, math.MinInt32, maxInt),
		Setting("kernel/threads-max", &s.ThreadsMax, 1, MaxThreads),
		{Name: "kernel/dmesg_restrict", Mode: 0o644, Capability: capSysAdmin, Value: number(&s.DMesgRestrict, 0, 1)},
		Setting("kernel/perf_event_paranoid", &s.PerfEventParanoid, math.MinInt32, maxInt),
		Setting("kernel/perf_event_mlock_kb", &s.PerfEventMlockKB, math.MinInt32, maxInt),
		Setting("kernel/perf_event_max_sample_rate", &s.PerfEventMaxSampleRate, 1, maxInt),
		Setting("kernel/perf_event_max_stack", &s.PerfEventMaxStack, 0, maxCallChain),
		Setting("kernel/perf_event_max_contexts_per_stack", &s.PerfEventMaxContexts, 0, 1000),
		Setting("kernel/overflowuid", &s.KernelOverflowUID, 0, math.MaxUint16),
		Setting("kernel/overflowgid", &s.KernelOverflowGID, 0, math.MaxUint16),
		{Name: "kernel/sched_rr_timeslice_ms", Mode: 0o644, Value: s.timeslice()},
		{Name: "kernel/sched_rt_period_us", Mode: 0o644, Value: Integer{
			Get: s.SchedRTPeriodUS.Get, Min: 0, Max: maxInt,
			Set: func(v int64) error { return s.setRealtime(v, s.SchedRTRuntimeUS.Get()) },
		}},
		{Name: "kernel/sched_rt_runtime_us", Mode: 0o644, Value: Integer{
			Get: s.SchedRTRuntimeUS.Get, Min: math.MinInt32, Max: maxInt,
			Set: func(v int64) error { return s.setRealtime(s.SchedRTPeriodUS.Get(), v) },
		}},

		{Name: "kernel/sched_deadline_period_min_us", Mode: 0o644, Value: unsignedInt(&s.SchedDeadlinePeriodMinUS)},
		{Name: "kernel/sched_deadline_period_max_us", Mode: 0o644, Value: unsignedInt(&s.SchedDeadlinePeriodMaxUS)},

		{Name: "fs/file-max", Mode: 0o644, Value: unsigned(&s.FileMax, 0)},
		Setting("fs/nr_open", &s.NrOpen, minNrOpen, maxNrOpen),
		{Name: "fs/pipe-max-size", Mode: 0o644, Value: s.pipeSize()},
		{Name: "fs/pipe-user-pages-soft", Mode: 0o644, Value: unsigned(&s.PipeUserPagesSoft, 0)},
		{Name: "fs/pipe-user-pages-hard", Mode: 0o644, Value: unsigned(&s.PipeUserPagesHard, 0)},
		Setting("fs/mount-max", &s.MountMax, 1, maxInt),
		{Name: "fs/protected_hardlinks", Mode: 0o600, Value: number(&s.ProtectedHardlinks, 0, 1)},
		{Name: "fs/protected_symlinks", Mode: 0o600, Value: number(&s.ProtectedSymlinks, 0, 1)},
		{Name: "fs/protected_fifos", Mode: 0o600, Value: number(&s.ProtectedFIFOs, 0, 2)},
		{Name: "fs/protected_regular", Mode: 0o600, Value: number(&s.ProtectedRegular, 0, 2)},
		Setting("fs/overflowuid", &s.OverflowUID, 0, math.MaxUint16),
		Setting("fs/overflowgid", &s.OverflowGID, 0, math.MaxUint16),
		Setting("fs/suid_dumpable", &s.SuidDumpable, 0, 2),

		Setting("vm/overcommit_memory", &s.OvercommitMemory, 0, 2),
		{Name: "vm/overcommit_ratio", Mode: 0o644, Value: Integer{
			Get: s.OvercommitRatio.Get, Min: math.MinInt32, Max: maxInt,
			Set: func(v int64) error { s.OvercommitRatio.Set(v); s.OvercommitKBytes.Set(0); return nil },
		}},
		{Name: "vm/overcommit_kbytes", Mode: 0o644, Value: Integer{
			Get: s.OvercommitKBytes.Get, Max: math.MaxInt64, Unsigned: true,
			Set: func(v int64) error { s.OvercommitKBytes.Set(v); s.OvercommitRatio.Set(0); return nil },
		}},
		Setting("vm/max_map_count", &s.MaxMapCount, 0, maxInt),
		{Name: "vm/mmap_min_addr", Mode: 0o644, Capability: capSysRawIO, Value: unsigned(&s.MmapMinAddr, 0)},
		Setting("vm/min_free_kbytes", &s.MinFreeKBytes, 0, maxInt),

		Setting("net/core/somaxconn", &s.SoMaxConn, 0, maxInt),
	}
}

func text(t *Text, longest int) String {
	return String{Get: t.Get, Set: func(v string) error { t.Set(v); return nil }, Max: longest}
}

// unsigned is an unsigned long without an upper limit.
func unsigned(i *Int, least int64) Integer {
	v := number(i, least, math.MaxInt64)
	v.Unsigned = true
	return v
}

// unsignedInt is an unsigned int without limits.
func unsignedInt(i *Int) Integer {
	v := number(i, 0, math.MaxUint32)
	v.Unsigned = true
	return v
}

// tainted is a set of bits to which a write adds (Linux: proc_taint).
func (s *Settings) tainted() Integer {
	return Integer{Get: s.Tainted.Get, Max: math.MaxInt64, Unsigned: true, Set: func(v int64) error {
		s.Tainted.value.Or(v & (1<<taintBits - 1))
		return nil
	}}
}

// defaultTimeslice is sched_rr_timeslice_ms at boot, in milliseconds.
const defaultTimeslice = 100

// timeslice is the time slice of SCHED_RR. A value that is not positive restores
// the default (sched(7)).
func (s *Settings) timeslice() Integer {
	v := number(&s.SchedRRTimesliceMS, math.MinInt32, math.MaxInt32)
	v.Set = func(ms int64) error {
		if ms <= 0 {
			ms = defaultTimeslice
		}
		if err := s.scheduling(ms, s.SchedRTPeriodUS.Get(), s.SchedRTRuntimeUS.Get()); err != nil {
			return err
		}
		s.SchedRRTimesliceMS.Set(ms)
		return nil
	}
	return v
}

// setRealtime sets the share of time of real-time tasks (sched(7)): EINVAL for a
// period of 0, and for a runtime longer than the period or below -1; EBUSY if SCHED_DEADLINE
// tasks have reserved more.
func (s *Settings) setRealtime(period, runtime int64) error {
	const unlimited = -1
	if period <= 0 || runtime < unlimited || runtime > period {
		return unix.EINVAL
	}
	if err := s.scheduling(s.SchedRRTimesliceMS.Get(), period, runtime); err != nil {
		return err
	}
	s.SchedRTPeriodUS.Set(period)
	s.SchedRTRuntimeUS.Set(runtime)
	return nil
}

// scheduling calls OnScheduling.
func (s *Settings) scheduling(sliceMS, periodUS, runtimeUS int64) error {
	if s.OnScheduling == nil {
		return nil
	}
	return s.OnScheduling(sliceMS, periodUS, runtimeUS)
}

// pipeSize is pipe-max-size, which is rounded up to a power of two and to a page
// (Linux: round_pipe_size).
func (s *Settings) pipeSize() Integer {
	return Integer{Get: s.PipeMaxSize.Get, Max: maxPipeSize, Set: func(v int64) error {
		v = max(v, minPipeSize)
		s.PipeMaxSize.Set(1 << bits.Len64(uint64(v-1)))
		return nil
	}}
}
