package procfs

import (
	"bytes"
	"fmt"

	"slowpath/mm"
)

// ticks converts nanoseconds to clock ticks of USER_HZ, which is 100 Hz
// (time(7)).
func ticks(ns int64) int64 { return ns / 1e7 }

// kib converts pages to KiB, the unit of /proc/meminfo.
func kib(pages int64) int64 { return pages * (mm.PageSize / 1024) }

func writeMemory(b *bytes.Buffer, i *SystemInfo) {
	m := &i.Memory
	for _, line := range []struct {
		name  string
		pages int64
	}{
		{"MemTotal", int64(m.Total)}, {"MemFree", int64(m.Free)}, {"MemAvailable", int64(m.Available)},
		{"Buffers", 0}, {"Cached", m.Shared}, {"SwapCached", 0}, {"SwapTotal", 0}, {"SwapFree", 0},
		{"AnonPages", m.Anonymous}, {"Shmem", m.Shared}, {"PageTables", m.PageTables},
		{"CommitLimit", i.CommitLimit}, {"Committed_AS", m.Committed},
	} {
		fmt.Fprintf(b, "%-16s%8d kB\n", line.name+":", kib(line.pages))
	}
}

func writeVMStat(b *bytes.Buffer, i *SystemInfo) {
	fmt.Fprintf(b, "nr_free_pages %d\nnr_anon_pages %d\nnr_shmem %d\nnr_page_table_pages %d\n",
		i.Memory.Free, i.Memory.Anonymous, i.Memory.Shared, i.Memory.PageTables)
}

func writeUptime(b *bytes.Buffer, i *SystemInfo) {
	idle := int64(0)
	for _, c := range i.CPUs {
		idle += c.Idle
	}
	fmt.Fprintf(b, "%d.%02d %d.%02d\n", i.Uptime/1e9, i.Uptime%1e9/1e7, idle/1e9, idle%1e9/1e7)
}

func writeLoad(b *bytes.Buffer, i *SystemInfo) {
	for _, load := range i.Load {
		const one, half = 1 << 11, (1 << 11) / 200 // the unit, and half of the last digit (loadavg_proc_show)
		fixed := uint64(load*one) + half
		fmt.Fprintf(b, "%d.%02d ", fixed/one, fixed%one*100/one)
	}
	fmt.Fprintf(b, "%d/%d %d\n", i.Running, i.Threads, i.LastPID)
}

func writeStat(b *bytes.Buffer, i *SystemInfo) {
	var sum CPU
	for _, c := range i.CPUs {
		sum.User += c.User
		sum.Nice += c.Nice
		sum.IRQ += c.IRQ
		sum.System += c.System
		sum.Idle += c.Idle
	}
	writeCPUTimes(b, "cpu ", &sum)
	for n := range i.CPUs {
		writeCPUTimes(b, fmt.Sprintf("cpu%d", n), &i.CPUs[n])
	}
	writeInterruptSums(b, i)
	fmt.Fprintf(b, "ctxt %d\nbtime %d\nprocesses %d\nprocs_running %d\nprocs_blocked %d\n",
		i.Switches, i.BootTime/1e9, i.Forks, i.Running, i.Blocked)
}

func writeCPUTimes(b *bytes.Buffer, name string, c *CPU) {
	fmt.Fprintf(b, "%s %d %d %d %d 0 %d 0 0 0 0\n", name, ticks(c.User), ticks(c.Nice), ticks(c.System), ticks(c.Idle), ticks(c.IRQ))
}

// writeInterruptSums writes the line intr of /proc/stat: the sum of all interrupts, and that of each
// device's.
func writeInterruptSums(b *bytes.Buffer, i *SystemInfo) {
	total := uint64(0)
	var devices []uint64
	for _, row := range i.Interrupts {
		sum := row.sum()
		total += sum
		if row.isDevice() {
			devices = append(devices, sum)
		}
	}
	fmt.Fprintf(b, "intr %d", total)
	for _, n := range devices {
		fmt.Fprintf(b, " %d", n)
	}
	b.WriteByte('\n')
}

// writeInterrupts writes /proc/interrupts: a row for each interrupt that has occurred, and a column
// for each CPU (proc(5)).
func writeInterrupts(b *bytes.Buffer, i *SystemInfo) {
	b.WriteString("    ")
	for n := range i.CPUs {
		fmt.Fprintf(b, "       %-8s", fmt.Sprintf("CPU%d", n))
	}
	b.WriteByte('\n')
	for _, row := range i.Interrupts {
		if row.isDevice() && row.sum() == 0 {
			continue
		}
		fmt.Fprintf(b, "%3s:", row.Name)
		for _, n := range row.Counts {
			fmt.Fprintf(b, " %10d", n)
		}
		fmt.Fprintf(b, "   %s\n", row.Text)
	}
}

// writeSchedstat writes /proc/schedstat (Documentation/scheduler/sched-stats.rst). The counts of
// schedule and of wake-ups are 0, as on Linux with kernel.sched_schedstats=0. There are no domains.
func writeSchedstat(b *bytes.Buffer, i *SystemInfo) {
	const (
		jiffy = 4_000_000     // nanoseconds
		first = 1<<32 - 75000 // INITIAL_JIFFIES
	)
	fmt.Fprintf(b, "version 15\ntimestamp %d\n", first+i.Uptime/jiffy)
	for n := range i.CPUs {
		c := &i.CPUs[n]
		fmt.Fprintf(b, "cpu%d 0 0 0 0 0 0 %d %d %d\n", n, c.RunTime, c.Delay, c.Runs)
	}
}

func writeCPUInfo(b *bytes.Buffer, i *SystemInfo) {
	for n := range i.CPUs {
		c := &i.CPUs[n]
		fmt.Fprintf(b, "processor\t: %d\nvendor_id\t: %s\ncpu family\t: %d\nmodel\t\t: %d\n", n, c.Vendor, c.Family, c.Number)
		fmt.Fprintf(b, "model name\t: %s\nstepping\t: %d\n", c.Model, c.Stepping)
		if c.MHz != 0 {
			fmt.Fprintf(b, "cpu MHz\t\t: %.3f\n", c.MHz)
		}
		fmt.Fprintf(b, "fpu\t\t: yes\nwp\t\t: yes\nflags\t\t: %s\n\n", c.Flags)
	}
}

// writeDevices lists the character devices by major number.
func writeDevices(b *bytes.Buffer, _ *SystemInfo) {
	b.WriteString("Character devices:\n  1 mem\n  4 ttyS\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\nBlock devices:\n")
}

// formatUUID formats 16 random bytes as a random UUID (RFC 4122, version 4).
func formatUUID(p [16]byte) string {
	p[6], p[8] = p[6]&0x0f|0x40, p[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", p[:4], p[4:6], p[6:8], p[8:10], p[10:])
}

func (f *Filesystem) newUUID() string {
	var p [16]byte
	f.system.Random(p[:])
	return formatUUID(p)
}

// bootID returns the contents of boot_id, which is generated once per boot.
func (f *Filesystem) bootID() string {
	f.bootOnce.Do(func() { f.system.Random(f.boot[:]) })
	return formatUUID(f.boot)
}
