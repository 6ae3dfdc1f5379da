package procfs

import (
	"fmt"

	"golang.org/x/sys/unix"

	"slowpath/fs"
)

// Sysfs implements /sys, with the files that sysconf(3) and language runtimes
// read: the list of CPUs, and the transparent huge pages, which are off.
type Sysfs struct{ Filesystem }

// NewSysfs returns a /sys for a machine with this many CPUs.
func NewSysfs(cpus int) *Sysfs {
	s := &Sysfs{}
	constant := func(name, value string) entry {
		return s.textEntry(name, func() ([]byte, error) { return []byte(value + "\n"), nil })
	}
	online := cpuList(1<<cpus - 1)
	cpuEntries := []entry{constant("online", online), constant("possible", online), constant("present", online), constant("kernel_max", "63")}
	for n := range cpus {
		cpuEntries = append(cpuEntries, s.directoryEntry(fmt.Sprintf("cpu%d", n)))
	}
	s.root = s.fixed(fs.NewNode{Mode: unix.S_IFDIR | 0o555}, []entry{
		s.directoryEntry("devices", s.directoryEntry("system", s.directoryEntry("cpu", cpuEntries...))),
		s.directoryEntry("fs"),
		s.directoryEntry("kernel",
			s.directoryEntry("mm", s.directoryEntry("transparent_hugepage",
				constant("enabled", "always madvise [never]"), constant("hpage_pmd_size", "0")))),
	})
	return s
}

// Type implements fs.Filesystem.
func (s *Sysfs) Type() string { return "sysfs" }

// Statistics implements fs.Filesystem. The magic is SYSFS_MAGIC.
func (s *Sysfs) Statistics() fs.Statistics {
	return fs.Statistics{Magic: 0x62656572, BlockSize: 4096, MaxName: fs.MaxNameLength}
}
