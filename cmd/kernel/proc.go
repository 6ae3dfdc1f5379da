package main

import (
	"math"

	"slowpath/arch/amd64"
	"slowpath/boot"
	"slowpath/clock"
	"slowpath/core"
	"slowpath/fs/procfs"
	"slowpath/klog"
	"slowpath/seccomp"
	"slowpath/syscall"
	"slowpath/sysctl"
	"slowpath/task/procview"
)

// mountSystemFiles mounts the file systems that need the tasks: /proc, /sys and those
// of the terminals.
func (k *kernel) mountSystemFiles() error {
	proc := procfs.New(procview.New(k.tasks, procview.Config{
		CPUs: k.processors, Release: syscall.Release, Version: syscall.Version, CommandLine: boot.CommandLine(),
		CallName: syscall.HandlerName, Seccomp: seccomp.Status, LoginUID: k.audit.LoginUID, SetLoginUID: k.audit.SetLoginUID,
		Sysctls: append([]sysctl.Row{k.printkRow(), k.fileCountRow()}, seccomp.Sysctls(k.settings)...),
	}), k.slowpathFiles())
	if err := core.MountSystemFiles(k.root, k.tasks, proc, boot.CPUs()); err != nil {
		return err
	}
	_, err := core.MountTracing(k.root, k.tasks, k.traces, k.probes)
	return err
}

// fileCountRow returns /proc/sys/fs/file-nr: the open files, those that are allocated and
// unused, which do not exist here, and file-max (proc(5)).
func (k *kernel) fileCountRow() sysctl.Row {
	return sysctl.Row{Name: "fs/file-nr", Mode: 0o444, Value: sysctl.Integers{
		{Get: k.mounts.OpenFiles}, {Get: func() int64 { return 0 }}, {Get: k.settings.FileMax.Get},
	}}
}

// printkRow returns /proc/sys/kernel/printk: the level of the console, and three
// values that no message depends on (syslog(2)).
func (k *kernel) printkRow() sysctl.Row {
	const (
		defaultMessage = 4 // default_message_loglevel
		minimumConsole = 1 // minimum_console_loglevel
		defaultConsole = 7 // default_console_loglevel
	)
	values := sysctl.Integers{{
		Get: func() int64 { return int64(k.log.Shown()) }, Min: math.MinInt32, Max: math.MaxInt32,
		Set: func(v int64) error { k.log.SetShown(klog.Level(v)); return nil },
	}}
	for _, initial := range [...]int64{defaultMessage, minimumConsole, defaultConsole} {
		stored := new(sysctl.Int)
		stored.Set(initial)
		values = append(values, sysctl.Integer{
			Get: stored.Get, Min: math.MinInt32, Max: math.MaxInt32,
			Set: func(v int64) error { stored.Set(v); return nil },
		})
	}
	return sysctl.Row{Name: "kernel/printk", Mode: 0o644, Value: values}
}

// idleTime returns computed, or the greatest value that it has returned if that is
// greater. A task's CPU time may be accounted later than it was used, but the idle time
// of /proc/uptime and /proc/stat must not go back.
func (k *kernel) idleTime(computed int64) int64 {
	for {
		last := k.idle.Load()
		if computed <= last {
			return last
		}
		if k.idle.CompareAndSwap(last, computed) {
			return computed
		}
	}
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
		Idle: k.idleTime(clock.Monotonic() - (user+system)/count),
	}
	cpus := make([]procfs.CPU, count)
	for i := range cpus {
		cpus[i] = one
	}
	return cpus
}
