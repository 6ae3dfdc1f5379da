package procfs

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs"
)

// Sysfs implements /sys, with the files that sysconf(3) and language runtimes
// read: the list of CPUs, and the transparent huge pages, which are off.
type Sysfs struct{ Filesystem }

// SysfsCPUs describes the CPUs for /sys/devices/system/cpu. The sets have one bit for each CPU.
type SysfsCPUs struct {
	// Count is the number of CPUs.
	Count int
	// Isolated are those of isolcpus=, NoHZ those of nohz_full=.
	Isolated, NoHZ uint64
}

// NewSysfs returns a /sys for a machine with these CPUs.
func NewSysfs(cpus SysfsCPUs) *Sysfs {
	s := &Sysfs{}
	constant := func(name, value string) entry {
		return s.textEntry(name, func() ([]byte, error) { return []byte(value + "\n"), nil })
	}
	online := cpuList(1<<cpus.Count - 1)
	cpuEntries := []entry{constant("online", online), constant("possible", online), constant("present", online), constant("kernel_max", "63"),
		constant("offline", ""), constant("isolated", cpuList(cpus.Isolated)), constant("nohz_full", cpuList(cpus.NoHZ))}
	for n := range cpus.Count {
		cpuEntries = append(cpuEntries, s.directoryEntry(fmt.Sprintf("cpu%d", n)))
	}
	s.root = s.fixed(fs.NewNode{Mode: unix.S_IFDIR | 0o555}, []entry{
		s.directoryEntry("devices", s.directoryEntry("system", s.directoryEntry("cpu", cpuEntries...))),
		s.directoryEntry("bus", s.directoryEntry("event_source", s.directoryEntry("devices",
			s.performanceUnit("software", unix.PERF_TYPE_SOFTWARE),
			s.performanceUnit("tracepoint", unix.PERF_TYPE_TRACEPOINT),
			s.performanceUnit("uprobe", abi.UprobePMU,
				constantFile{"retprobe", "config:0"}, constantFile{"ref_ctr_offset", "config:32-63"}),
		))),
		s.directoryEntry("fs"),
		s.directoryEntry("kernel",
			s.directoryEntry("debug"),
			s.directoryEntry("tracing"),
			s.directoryEntry("mm", s.directoryEntry("transparent_hugepage",
				constant("enabled", "always madvise [never]"), constant("hpage_pmd_size", "0")))),
	})
	return s
}

// constantFile is a file with a constant text.
type constantFile struct{ name, text string }

// performanceUnit returns the directory of a kind of events for perf_event_open(2): the
// number for the field type, and the meaning of the bits of the other fields.
func (s *Sysfs) performanceUnit(name string, number int, format ...constantFile) entry {
	constant := func(c constantFile) entry {
		return s.textEntry(c.name, func() ([]byte, error) { return []byte(c.text + "\n"), nil })
	}
	entries := []entry{constant(constantFile{"type", strconv.Itoa(number)}), constant(constantFile{"perf_event_mux_interval_ms", "4"})}
	var formats []entry
	for _, f := range format {
		formats = append(formats, constant(f))
	}
	if len(formats) > 0 {
		entries = append(entries, s.directoryEntry("format", formats...))
	}
	return s.directoryEntry(name, entries...)
}

// Type implements fs.Filesystem.
func (s *Sysfs) Type() string { return "sysfs" }

// Statistics implements fs.Filesystem. The magic is SYSFS_MAGIC.
func (s *Sysfs) Statistics() fs.Statistics {
	return fs.Statistics{Magic: 0x62656572, BlockSize: 4096, MaxName: fs.MaxNameLength}
}
