// Package sysctl holds the kernel's settings that /proc/sys shows and changes
// (proc(5), sysctl(8)). Settings has the values; the packages that obey a value
// read it from there. Row describes one file of /proc/sys: its name, its mode, and
// how its text is formatted and parsed. A new file is a new row, in Settings.Rows or
// in a list of the package that owns the value.
package sysctl

import "sync/atomic"

// Int is a setting with an integer value. It is safe for concurrent use, and its
// methods do not sleep.
type Int struct{ value atomic.Int64 }

// Get returns the value.
func (i *Int) Get() int64 { return i.value.Load() }

// Set stores the value. Limits are checked by the row of the setting.
func (i *Int) Set(value int64) { i.value.Store(value) }

// Text is a setting with a string value. It is safe for concurrent use.
type Text struct{ value atomic.Pointer[string] }

// Get returns the value, empty at first.
func (t *Text) Get() string {
	if p := t.value.Load(); p != nil {
		return *p
	}
	return ""
}

// Set stores the value.
func (t *Text) Set(value string) { t.value.Store(&value) }

// Settings are the values that are not owned by another object. The name of a field
// is the name of the file in /proc/sys.
type Settings struct {
	// kernel
	Tainted            Int // TAINT_ bits; a write adds bits
	RandomizeVASpace   Int // 0 none, 1 without the heap, 2 all
	ThreadsMax         Int // tasks; 0 until task.New has computed it
	CoreUsesPID        Int
	CorePattern        Text
	SchedRRTimesliceMS Int // milliseconds
	SchedRTPeriodUS    Int // microseconds
	SchedRTRuntimeUS   Int // microseconds; -1 for no limit
	// The shortest and longest period of SCHED_DEADLINE, in microseconds.
	SchedDeadlinePeriodMinUS, SchedDeadlinePeriodMaxUS Int
	// OnScheduling is called with new values of SchedRRTimesliceMS, SchedRTPeriodUS and
	// SchedRTRuntimeUS before they are stored. Its error is the result of the write. It is
	// set before the first write, or nil.
	OnScheduling  func(sliceMS, periodUS, runtimeUS int64) error
	DMesgRestrict Int
	SeccompLogged Int // a bit for each action of package seccomp
	// perf_event_open(2)
	PerfEventParanoid      Int // what programs without CAP_PERFMON may measure
	PerfEventMlockKB       Int // KiB of buffers of one user, for each CPU
	PerfEventMaxSampleRate Int // samples in a second
	PerfEventMaxStack      Int // frames of a call chain
	PerfEventMaxContexts   Int // contexts of a call chain
	// The ids for calls with ids of 16 bits, which do not exist here.
	KernelOverflowUID, KernelOverflowGID Int

	// fs
	FileMax            Int // open files
	NrOpen             Int // the largest RLIMIT_NOFILE
	PipeMaxSize        Int // bytes
	PipeUserPagesSoft  Int // pages of one user in pipes; 0 for no limit
	PipeUserPagesHard  Int
	MountMax           Int // mounts in the namespace
	ProtectedHardlinks Int
	ProtectedSymlinks  Int
	ProtectedFIFOs     Int
	ProtectedRegular   Int
	// The ids for file systems and calls with ids of 16 bits, which do not exist here.
	OverflowUID, OverflowGID Int
	SuidDumpable             Int // the dumpable value of programs with more privileges

	// vm
	OvercommitMemory Int // policy
	OvercommitRatio  Int // percent; used if OvercommitKBytes is 0
	OvercommitKBytes Int
	MaxMapCount      Int // areas of an address space
	MmapMinAddr      Int
	MinFreeKBytes    Int // KiB that user memory must leave free

	// net/core
	SoMaxConn Int
}

// Defaults returns settings with the values that Linux 6.1 has at boot.
// MinFreeKBytes, FileMax and ThreadsMax depend on the size of the memory: see
// SetMemory.
func Defaults() *Settings {
	s := new(Settings)
	for _, d := range []struct {
		setting *Int
		value   int64
	}{
		{&s.RandomizeVASpace, 2}, {&s.SchedRRTimesliceMS, 100},
		{&s.KernelOverflowUID, 65534}, {&s.KernelOverflowGID, 65534},
		{&s.OverflowUID, 65534}, {&s.OverflowGID, 65534},
		{&s.SchedRTPeriodUS, 1000000}, {&s.SchedRTRuntimeUS, 950000},
		{&s.SchedDeadlinePeriodMinUS, 100}, {&s.SchedDeadlinePeriodMaxUS, 1 << 22},
		{&s.FileMax, 8192}, {&s.NrOpen, 1 << 20},
		{&s.PipeMaxSize, 1 << 20}, {&s.PipeUserPagesSoft, 16384}, {&s.MountMax, 100000},
		{&s.OvercommitRatio, 50}, {&s.MaxMapCount, 65530}, {&s.MmapMinAddr, 65536},
		{&s.PerfEventParanoid, 2}, {&s.PerfEventMlockKB, 516}, {&s.PerfEventMaxSampleRate, 100000},
		{&s.PerfEventMaxStack, 127}, {&s.PerfEventMaxContexts, 8},
		{&s.MinFreeKBytes, 1024}, {&s.SoMaxConn, 4096},
	} {
		d.setting.Set(d.value)
	}
	s.CorePattern.Set("core")
	return s
}

// SetMemory sets the values that depend on the size of the memory, in KiB
// (Linux: init_per_zone_wmark_min, files_maxfiles_init).
func (s *Settings) SetMemory(kib int64) {
	const fewestFiles = 8192 // NR_FILE
	root := int64(0)
	for (root+1)*(root+1) <= kib*16 {
		root++
	}
	s.MinFreeKBytes.Set(min(max(root, 128), 262144))
	s.FileMax.Set(max(kib/10, fewestFiles))
}
