package procfs

import (
	"bytes"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs"
	"slowpath/mm"
)

// fmtText returns the bytes that write prints.
func fmtText(write func(b *bytes.Buffer)) ([]byte, error) {
	var b bytes.Buffer
	write(&b)
	return b.Bytes(), nil
}

// longestEntry is about the greatest size of what is printed for one area or mount: the
// lines of smaps and two path names.
const longestEntry = 12 << 10

// admitGrowth returns ENOMEM if the next entry may enlarge the buffer, and the kernel's
// heap has no room for that. A text whose length a program chooses calls it after each
// entry.
func admitGrowth(memory *mm.Memory, b *bytes.Buffer) error {
	if b.Available() >= longestEntry {
		return nil
	}
	return memory.Admit(int64(2*b.Cap()) + longestEntry)
}

// processPosition is the directory position of process 0 in /proc. Process n is
// at processPosition+n, after all files.
const processPosition = 1 << 16

// newRoot makes the directory /proc: the files about the system, and the
// processes.
func (f *Filesystem) newRoot() fs.Inode {
	entries := append(f.systemEntries(), f.extraDirectory()...)
	d := f.fixed(fs.NewNode{Mode: unix.S_IFDIR | 0o555}, entries)
	d.SetVolatile()
	lookupFile, listFiles := d.lookup, d.list
	d.lookup = func(c fs.Caller, name string) (fs.Inode, error) {
		if id, ok := processID(name); ok {
			return f.processInode(id)
		}
		return lookupFile(c, name)
	}
	d.list = func() []fs.DirectoryEntry {
		list := listFiles()
		for i := range list {
			list[i].Next = fs.FirstPosition + int64(i) + 1
		}
		for _, id := range f.system.Processes() {
			list = append(list, fs.DirectoryEntry{
				Name: strconv.Itoa(id), Inode: uint64(id) << 20, Type: unix.S_IFDIR, Next: processPosition + int64(id),
			})
		}
		return list
	}
	return d
}

// processID parses the name of a process's directory.
func processID(name string) (int, bool) {
	if name == "" || name[0] == '0' || len(name) > 9 {
		return 0, false
	}
	id, err := strconv.ParseUint(name, 10, 31)
	return int(id), err == nil
}

func (f *Filesystem) systemEntries() []entry {
	return []entry{
		f.linkEntry("self", func(c fs.Caller) (string, error) { return strconv.Itoa(int(c.ProcessID())), selfError(c) }),
		f.linkEntry("thread-self", func(c fs.Caller) (string, error) {
			return fmt.Sprintf("%d/task/%d", c.ProcessID(), c.ThreadID()), selfError(c)
		}),
		f.linkEntry("mounts", func(fs.Caller) (string, error) { return "self/mounts", nil }),
		f.textEntry("cmdline", f.show(func(b *bytes.Buffer, i *SystemInfo) { fmt.Fprintln(b, i.CommandLine) })),
		f.textEntry("cpuinfo", f.show(writeCPUInfo)),
		f.textEntry("devices", f.show(writeDevices)),
		f.openEntry("filesystems", 0o444, fileSystems, nil),
		// trace-cmd writes bad files without kallsyms.
		f.textEntry("kallsyms", func() ([]byte, error) { return []byte(abi.KernelSymbols), nil }),
		f.textEntry("interrupts", f.show(writeInterrupts)),
		f.textEntry("loadavg", f.show(writeLoad)),
		f.textEntry("meminfo", f.show(writeMemory)),
		f.textEntry("schedstat", f.show(writeSchedstat)),
		f.textEntry("stat", f.show(writeStat)),
		f.textEntry("swaps", f.show(func(b *bytes.Buffer, _ *SystemInfo) {
			b.WriteString("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")
		})),
		f.textEntry("uptime", f.show(writeUptime)),
		f.textEntry("version", f.show(func(b *bytes.Buffer, i *SystemInfo) {
			fmt.Fprintf(b, "Linux version %s (slowpath) %s\n", i.Release, i.Version)
		})),
		f.textEntry("vmstat", f.show(writeVMStat)),
		f.sysctlDirectory(),
	}
}

// selfError returns ENOENT if the caller is the kernel, which has no process.
func selfError(c fs.Caller) error {
	if c.ProcessID() == 0 {
		return unix.ENOENT
	}
	return nil
}

// show returns a function that formats information about the system.
func (f *Filesystem) show(write func(b *bytes.Buffer, i *SystemInfo)) func() ([]byte, error) {
	return func() ([]byte, error) {
		info := f.system.Info()
		return fmtText(func(b *bytes.Buffer) { write(b, &info) })
	}
}

// fileSystems opens /proc/filesystems.
func fileSystems(c fs.Caller) (opened, error) {
	mounts := c.FSContext().Mounts()
	return opened{read: func(identity) ([]byte, error) {
		return fmtText(func(b *bytes.Buffer) {
			for _, name := range mounts.Types() {
				fmt.Fprintf(b, "nodev\t%s\n", name)
			}
		})
	}}, nil
}
