package main

import (
	"fmt"

	"slowpath/arch/amd64"
	"slowpath/boot"
	"slowpath/clock"
	"slowpath/fs"
	"slowpath/fs/procfs"
	"slowpath/syscall"
	"slowpath/task/procview"
)

// mountSystemFiles mounts the file systems that need the tasks: /proc, /sys and those
// of the terminals.
func (k *kernel) mountSystemFiles() error {
	proc := procfs.New(procview.New(k.tasks, procview.Config{
		CPUs: k.processors, Release: syscall.Release, Version: syscall.Version, CommandLine: boot.CommandLine(),
	}), k.slowpathFiles())
	sys := procfs.NewSysfs(boot.CPUs())
	for _, m := range []struct {
		point, name string
		files       fs.Filesystem
	}{{"/proc", "proc", proc}, {"/sys", "sysfs", sys}} {
		k.mounts.Register(m.name, func(string) (fs.Filesystem, error) { return m.files, nil })
		if err := k.at(m.point).MountAt(m.files, m.name, 0); err != nil {
			return fmt.Errorf("%s cannot be mounted: %w", m.point, err)
		}
	}
	return k.mountTerminals()
}

// processors describes the CPUs for /proc/cpuinfo and /proc/stat. CPU time is
// accounted by task and not by CPU, so all CPUs show the same time.
func (k *kernel) processors() []procfs.CPU {
	model := amd64.Identify()
	user, system := k.tasks.CPUTime()
	count := int64(boot.CPUs())
	one := procfs.CPU{
		Vendor: model.Vendor, Model: model.Model,
		Family: model.Family, Number: model.Number, Stepping: model.Stepping,
		Flags: amd64.FeatureNames(),
		MHz:   float64(amd64.ClockFrequency()) / 1e6,
		User:  user / count, System: system / count,
		Idle: max(0, clock.Monotonic()-(user+system)/count),
	}
	cpus := make([]procfs.CPU, count)
	for i := range cpus {
		cpus[i] = one
	}
	return cpus
}
