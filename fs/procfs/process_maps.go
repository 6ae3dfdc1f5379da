package procfs

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/mm"
)

// maps returns the contents of /proc/pid/maps.
func (p *process) maps(c fs.Caller) ([]byte, error) {
	return p.regions(c, false, func(b *bytes.Buffer, r *mm.Region) { writeRegion(b, r) })
}

// smaps returns the contents of /proc/pid/smaps.
func (p *process) smaps(c fs.Caller) ([]byte, error) {
	return p.regions(c, true, func(b *bytes.Buffer, r *mm.Region) {
		writeRegion(b, r)
		size := int64(r.End-r.Start) / mm.PageSize
		for _, line := range []struct {
			name  string
			pages int64
		}{
			{"Size", size}, {"KernelPageSize", 1}, {"MMUPageSize", 1}, {"Rss", r.Resident},
			{"Shared_Clean", r.Shareable}, {"Private_Dirty", r.Resident - r.Shareable},
			{"Anonymous", r.Anonymous}, {"Swap", 0}, {"Locked", r.Locked},
		} {
			fmt.Fprintf(b, "%-16s%8d kB\n", line.name+":", kib(line.pages))
		}
		fmt.Fprintf(b, "VmFlags: %s\n", r.Flags)
	})
}

func (p *process) regions(c fs.Caller, pages bool, write func(b *bytes.Buffer, r *mm.Region)) ([]byte, error) {
	if err := p.checkAccess(c); err != nil {
		return nil, err
	}
	space := p.task.Memory()
	if space == nil {
		return nil, nil
	}
	defer space.DecRef()
	regions := space.Regions(pages)
	return fmtText(func(b *bytes.Buffer) {
		for i := range regions {
			write(b, &regions[i])
		}
	})
}

// nameColumn is the column of a mapping's name in maps and smaps.
const nameColumn = 73

func writeRegion(b *bytes.Buffer, r *mm.Region) {
	start := b.Len()
	permissions := []byte("---p")
	for i, bit := range []struct {
		prot mm.Prot
		name byte
	}{{mm.ProtRead, 'r'}, {mm.ProtWrite, 'w'}, {mm.ProtExec, 'x'}} {
		if r.Prot&bit.prot != 0 {
			permissions[i] = bit.name
		}
	}
	if r.Shared {
		permissions[3] = 's'
	}
	fmt.Fprintf(b, "%08x-%08x %s %08x %02x:%02x %d ", r.Start, r.End, permissions, r.Offset, unix.Major(r.Device), unix.Minor(r.Device), r.Inode)
	if r.Name != "" {
		for b.Len()-start < nameColumn {
			b.WriteByte(' ')
		}
		b.WriteString(r.Name)
	}
	b.WriteByte('\n')
}

// visibleMounts returns the mounts that the process can reach.
func (p *process) visibleMounts(c fs.Caller) []fs.MountInfo {
	context := p.task.FSContext()
	if context == nil {
		return nil
	}
	return c.FSContext().Mounts().List(context.Root())
}

// mounts returns the contents of /proc/pid/mounts, in the format of fstab(5).
func (p *process) mounts(c fs.Caller) ([]byte, error) {
	return fmtText(func(b *bytes.Buffer) {
		for _, m := range p.visibleMounts(c) {
			fmt.Fprintf(b, "%s %s %s %s 0 0\n", escape(m.Source), escape(m.Point), m.Type, m.Options())
		}
	})
}

// mountInfo returns the contents of /proc/pid/mountinfo.
func (p *process) mountInfo(c fs.Caller) ([]byte, error) {
	return fmtText(func(b *bytes.Buffer) {
		for _, m := range p.visibleMounts(c) {
			fmt.Fprintf(b, "%d %d %d:%d %s %s %s - %s %s rw\n", m.ID, m.ParentID, unix.Major(m.Device), unix.Minor(m.Device),
				escape(m.Root), escape(m.Point), m.Options(), m.Type, escape(m.Source))
		}
	})
}

// escape replaces white space and backslashes by octal escapes (getmntent(3)),
// because spaces separate the fields.
func escape(s string) string {
	var b bytes.Buffer
	for _, c := range []byte(s) {
		switch c {
		case ' ', '\t', '\n', '\\':
			fmt.Fprintf(&b, "\\%03o", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
