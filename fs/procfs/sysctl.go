package procfs

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/fs/pipe"
	"slowpath/fs/unixsock"
	"slowpath/mm"
)

// sysctlEntries returns the entries of /proc/sys: those that sysctl(8) and
// libraries read.
func (f *Filesystem) sysctlEntries() []entry {
	return []entry{
		f.directoryEntry("fs",
			// The number of open files in the system is bounded by memory only.
			f.constantEntry("file-max", math.MaxInt64),
			f.constantEntry("nr_open", fs.MaxDescriptors),
			f.constantEntry("pipe-max-size", pipe.MaxCapacity),
			// The restrictions on links that Linux 3.6 added are not implemented.
			f.constantEntry("protected_hardlinks", 0), f.constantEntry("protected_symlinks", 0),
		),
		f.directoryEntry("kernel", f.kernelEntries()...),
		f.directoryEntry("net", f.directoryEntry("core", f.constantEntry("somaxconn", unixsock.MaxBacklog))),
		f.directoryEntry("vm",
			f.writableEntry("overcommit_memory", 0o644,
				f.number(func(i *SystemInfo) int { return i.Overcommit }), storer(f.system.SetOvercommit)),
			f.constantEntry("overcommit_ratio", mm.OvercommitRatio),
			f.constantEntry("max_map_count", mm.MaxMapCount), f.constantEntry("mmap_min_addr", mm.MinAddress),
		),
	}
}

// kernelEntries returns the entries of /proc/sys/kernel.
func (f *Filesystem) kernelEntries() []entry {
	return []entry{
		f.writableEntry("hostname", 0o644,
			f.show(func(b *bytes.Buffer, i *SystemInfo) { fmt.Fprintln(b, i.HostName) }),
			func(_ fs.Caller, name string) error { f.system.SetHostName(name[:min(len(name), 64)]); return nil }),
		f.textEntry("domainname", f.show(func(b *bytes.Buffer, i *SystemInfo) { fmt.Fprintln(b, i.DomainName) })),
		f.textEntry("osrelease", f.show(func(b *bytes.Buffer, i *SystemInfo) { fmt.Fprintln(b, i.Release) })),
		f.textEntry("ostype", f.show(func(b *bytes.Buffer, _ *SystemInfo) { fmt.Fprintln(b, "Linux") })),
		f.textEntry("version", f.show(func(b *bytes.Buffer, i *SystemInfo) { fmt.Fprintln(b, i.Version) })),
		f.writableEntry("pid_max", 0o644, f.number(func(i *SystemInfo) int { return i.PIDMax }), storer(f.system.SetPIDMax)),
		f.textEntry("threads-max", f.number(func(i *SystemInfo) int { return i.ThreadsMax })),
		f.textEntry("randomize_va_space", f.number(func(i *SystemInfo) int { return i.Randomize })),
		f.constantEntry("ngroups_max", cred.MaxGroups), f.constantEntry("cap_last_cap", int64(cred.LastCapability)),
		f.directoryEntry("random",
			f.textEntry("boot_id", f.bootID), f.textEntry("uuid", f.newUUID),
			// In bits. The pool is always full after it was seeded (random(4)).
			f.constantEntry("entropy_avail", 256), f.constantEntry("poolsize", 256)),
	}
}

// constantEntry returns the entry of a file that shows a constant.
func (f *Filesystem) constantEntry(name string, value int64) entry {
	return f.textEntry(name, func(fs.Caller) ([]byte, error) { return fmt.Appendln(nil, value), nil })
}

// number returns a function that formats one number of the system.
func (f *Filesystem) number(value func(i *SystemInfo) int) func(fs.Caller) ([]byte, error) {
	return f.show(func(b *bytes.Buffer, i *SystemInfo) { fmt.Fprintln(b, value(i)) })
}

// storer returns a function that handles the write of a number. It fails with
// EINVAL if the text is not a number, and with the errors of set.
func storer(set func(n int) error) func(fs.Caller, string) error {
	return func(_ fs.Caller, text string) error {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return unix.EINVAL
		}
		return set(n)
	}
}
