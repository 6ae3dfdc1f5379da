package main

import (
	"fmt"
	"math"
	"strconv"

	"slowpath/arch/amd64"
	"slowpath/boot"
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
		CPUs: k.processors, Interrupts: interrupts, Release: syscall.Release, Version: syscall.Version, CommandLine: boot.CommandLine(),
		CallName: syscall.HandlerName, Seccomp: seccomp.Status, LoginUID: k.audit.LoginUID, SetLoginUID: k.audit.SetLoginUID,
		Sysctls: append([]sysctl.Row{k.printkRow(), k.fileCountRow()}, seccomp.Sysctls(k.settings)...),
	}), k.slowpathFiles())
	if err := core.MountSystemFiles(k.root, k.tasks, proc, procfs.SysfsCPUs{
		Count: boot.CPUs(), Isolated: k.isolated(), NoHZ: k.noHZ(),
	}); err != nil {
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

// processors describes the CPUs for /proc/cpuinfo, /proc/stat and /proc/schedstat.
func (k *kernel) processors() []procfs.CPU {
	model := amd64.Identify()
	one := procfs.CPU{
		Vendor: model.Vendor, Model: model.Model,
		Family: model.Family, Number: model.Number, Stepping: model.Stepping,
		Flags: amd64.FeatureNames(),
		MHz:   float64(amd64.ClockFrequency()) / 1e6,
	}
	cpus := make([]procfs.CPU, boot.CPUs())
	for i := range cpus {
		c, used := &cpus[i], amd64.ReadUsage(i)
		*c = one
		c.User, c.Nice, c.System, c.IRQ, c.Idle = used.User, used.Nice, used.System, used.IRQ, used.Idle
		c.RunTime = used.Tasks
		c.Delay, c.Runs = k.tasks.Scheduler().CPUStatistics(i)
	}
	return cpus
}

// namedInterrupts are the interrupts that are not a device's, with the names of Linux.
var namedInterrupts = []struct {
	vector     int
	name, text string
}{
	{amd64.NMI, "NMI", "Non-maskable interrupts"},
	{amd64.VectorTimer, "LOC", "Local timer interrupts"},
	{amd64.VectorSpurious, "SPU", "Spurious interrupts"},
	{amd64.VectorIPI, "CAL", "Function call interrupts"},
	{amd64.MachineCheck, "MCE", "Machine check exceptions"},
}

// deviceInputs is the number of inputs of the I/O APIC.
const deviceInputs = 24

// interrupts returns the rows of /proc/interrupts.
func interrupts() []procfs.Interrupt {
	row := func(name string, vector int, text string) procfs.Interrupt {
		r := procfs.Interrupt{Name: name, Text: text}
		for cpu := range boot.CPUs() {
			r.Counts = append(r.Counts, amd64.Interrupts(cpu, vector))
		}
		return r
	}
	var rows []procfs.Interrupt
	for irq := range deviceInputs {
		rows = append(rows, row(strconv.Itoa(irq), amd64.VectorDevice+irq, fmt.Sprintf("IO-APIC %3d", irq)))
	}
	for _, n := range namedInterrupts {
		rows = append(rows, row(n.name, n.vector, n.text))
	}
	return rows
}
