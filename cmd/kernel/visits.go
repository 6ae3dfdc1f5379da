package main

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/fs/procfs"
	"slowpath/syscall"
	"slowpath/timeline"
)

// visitNames returns the functions that translate system call numbers and time
// stamps in visits.
func visitNames() entry.Names {
	return entry.Names{
		Syscall: syscall.Name,
		Nanoseconds: func(tsc uint64) uint64 {
			start, scale, _ := amd64.ClockParameters()
			return timeline.Clock{Start: start, Scale: scale}.Nanoseconds(tsc)
		},
	}
}

// slowpathFiles describes /proc/slowpath and /proc/PID/slowpath: the table of duties,
// how often each was served, the last visits, the switch that records all visits,
// the stacks of the kernel's goroutines, and the counts of NMIs.
func (k *kernel) slowpathFiles() procfs.Extra {
	printed := func(write func(b *bytes.Buffer)) func() []byte {
		return func() []byte {
			var b bytes.Buffer
			write(&b)
			return b.Bytes()
		}
	}
	return procfs.Extra{
		Name: "slowpath",
		Files: []procfs.ExtraFile{
			{Name: "exits", Read: printed(func(b *bytes.Buffer) { k.writeVisits(b) })},
			{Name: "nmi", Read: printed(printNMIs)},
			{Name: "record", Read: printed(k.printRecord), Write: k.setRecord},
			{Name: "stacks", Read: stacks},
			{Name: "table", Read: printed(func(b *bytes.Buffer) { duties.Write(b) })},
			{Name: "work", Read: printed(func(b *bytes.Buffer) { k.visits.WriteCounts(b) })},
		},
		OfTask: k.visitOfTask,
	}
}

// stacks returns the stack traces of all goroutines of the kernel. They help to find
// out why a task hangs.
func stacks() []byte {
	const most = 1 << 20
	b := make([]byte, most)
	return b[:runtime.Stack(b, true)]
}

// writeVisits prints the visits in the recorder.
func (k *kernel) writeVisits(b *bytes.Buffer) {
	visits, _ := k.visits.Read(new(entry.Cursor), nil)
	visitNames().WriteVisits(b, visits)
}

// printNMIs prints how many NMIs arrived in user mode and how many in the kernel.
func printNMIs(b *bytes.Buffer) {
	user, kernel := amd64.NMIs()
	fmt.Fprintf(b, "user %d\nkernel %d\n", user, kernel)
}

// printRecord prints 1 if every visit is recorded, else 0.
func (k *kernel) printRecord(b *bytes.Buffer) {
	on := 0
	if k.tasks.Levels()&entry.RecordExits != 0 {
		on = 1
	}
	fmt.Fprintln(b, on)
}

// setRecord starts or stops recording every visit. It fails with EINVAL unless text
// is 0 or 1.
func (k *kernel) setRecord(text string) error {
	switch strings.TrimSpace(text) {
	case "0":
		k.tasks.LowerForAll(entry.RecordExits)
	case "1":
		k.tasks.RaiseForAll(entry.RecordExits)
	default:
		return unix.EINVAL
	}
	return nil
}

// visitOfTask returns the content of /proc/PID/slowpath: the thread's pending
// duties, and the CPU that has its state. It returns nil if there is no such
// thread.
func (k *kernel) visitOfTask(id int) []byte {
	t := k.tasks.TaskByID(id)
	if t == nil {
		return nil
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "work:\t%v\nstate on cpu:\t%d\n", entry.Pending(&t.Frame.ThreadFlags), t.Frame.StateCPU())
	return b.Bytes()
}

// lastVisits returns the last visits as text for the log after a fatal error.
func (k *kernel) lastVisits() string {
	const shown = 16
	visits, _ := k.visits.Read(new(entry.Cursor), nil)
	var b bytes.Buffer
	visitNames().WriteVisits(&b, visits[max(0, len(visits)-shown):])
	return b.String()
}
