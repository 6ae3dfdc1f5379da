package procfs

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/mm"
)

// maps returns the contents of /proc/pid/maps.
func maps(m *image, who identity) ([]byte, error) {
	return m.regions(who, mm.WithoutPages, mapsBytes, func(b *bytes.Buffer, r *mm.Region) { writeRegion(b, r) })
}

// smaps returns the contents of /proc/pid/smaps.
func smaps(m *image, who identity) ([]byte, error) {
	return m.regions(who, mm.WithPages, smapsBytes, func(b *bytes.Buffer, r *mm.Region) {
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

// About the length of the text of an area without a long name.
const (
	mapsBytes  = 100
	smapsBytes = 450
)

// regions formats the areas of the address space. It returns nothing if no task uses
// it any more. perArea is the usual length of an area's text in bytes. A process may
// have tens of thousands of areas, so their text is admitted before it is generated.
// Errors: ENOMEM, EINTR if the reader is killed.
func (m *image) regions(who identity, detail mm.RegionDetail, perArea int64, write func(b *bytes.Buffer, r *mm.Region)) ([]byte, error) {
	if m.space == nil || !m.space.TryIncRef() {
		return nil, nil
	}
	defer m.space.DecRef()
	memory, needed := m.space.Memory(), m.space.AreaCount()*perArea
	if err := memory.Reserve(needed); err != nil {
		return nil, err
	}
	defer memory.Unreserve(needed)
	var b bytes.Buffer
	b.Grow(int(needed))
	err := m.space.VisitRegions(detail, func(r *mm.Region) error {
		if who.stopped() {
			return unix.EINTR
		}
		write(&b, r)
		return admitGrowth(memory, &b)
	})
	return b.Bytes(), err
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

// openMounts returns the open function of a file about the mounts that the process
// can reach. The file keeps the root that the process has when it is opened. Errors:
// EINVAL if the process has released its directories (Linux: mounts_open_common).
func (p *process) openMounts(write func(b *bytes.Buffer, m *fs.MountInfo)) func(fs.Caller) (opened, error) {
	return func(fs.Caller) (opened, error) {
		context := p.task.RootContext()
		if context == nil {
			return opened{}, unix.EINVAL
		}
		read := func(identity) ([]byte, error) {
			var b bytes.Buffer
			for _, mount := range context.Mounts().List(context.Root()) {
				write(&b, &mount)
				if err := admitGrowth(context.Mounts().Memory(), &b); err != nil {
					return nil, err
				}
			}
			return b.Bytes(), nil
		}
		return opened{read: read, release: context.Release}, nil
	}
}

// mounts writes a line of /proc/pid/mounts, in the format of fstab(5).
func mounts(b *bytes.Buffer, m *fs.MountInfo) {
	fmt.Fprintf(b, "%s %s %s %s 0 0\n", escape(m.Source), escape(m.Point), m.Type, m.Options())
}

// mountInfo writes a line of /proc/pid/mountinfo.
func mountInfo(b *bytes.Buffer, m *fs.MountInfo) {
	fmt.Fprintf(b, "%d %d %d:%d %s %s %s - %s %s rw\n", m.ID, m.ParentID, unix.Major(m.Device), unix.Minor(m.Device),
		escape(m.Root), escape(m.Point), m.Options(), m.Type, escape(m.Source))
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
