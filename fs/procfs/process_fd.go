package procfs

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"slowpath/fs"
)

// descriptorDirectory returns the entry of /proc/pid/fd or /proc/pid/fdinfo.
// makeEntry returns the entry of one descriptor in it.
func (p *process) descriptorDirectory(name string, makeEntry func(fd int) entry) entry {
	return entry{name: name, mode: unix.S_IFDIR | 0o500, make: func(n fs.NewNode) fs.Inode {
		d := &directory{}
		d.Init(&p.f.numbers, n)
		d.SetVolatile()
		d.lookup = func(c fs.Caller, name string) (fs.Inode, error) {
			fd, err := p.openDescriptor(c, name)
			if err != nil {
				return nil, err
			}
			e := makeEntry(fd)
			return p.f.makeEntry(&e, n), nil
		}
		d.list = func() []fs.DirectoryEntry { return p.listDescriptors(makeEntry(0).mode & unix.S_IFMT) }
		return d
	}}
}

// openDescriptor parses the name of an entry and returns the descriptor. It
// fails with ENOENT if the descriptor is not open, and with EACCES if the caller
// may not inspect the process.
func (p *process) openDescriptor(c fs.Caller, name string) (int, error) {
	if err := p.checkAccess(c); err != nil {
		return 0, err
	}
	fd, err := strconv.ParseUint(name, 10, 31)
	if err != nil || strconv.FormatUint(fd, 10) != name {
		return 0, unix.ENOENT
	}
	f, err := p.file(int(fd))
	if err != nil {
		return 0, err
	}
	f.DecRef()
	return int(fd), nil
}

func (p *process) listDescriptors(kind uint32) []fs.DirectoryEntry {
	files := p.task.Files()
	if files == nil {
		return nil
	}
	var list []fs.DirectoryEntry
	for _, fd := range files.Descriptors() {
		list = append(list, fs.DirectoryEntry{
			Name: strconv.Itoa(fd), Inode: uint64(p.id)<<20 + uint64(fd) + 2, Type: kind, Next: fs.FirstPosition + int64(fd) + 1,
		})
	}
	return list
}

// file returns the file of a descriptor. The caller drops the reference. It
// fails with ENOENT if the descriptor is not open.
func (p *process) file(fd int) (*fs.File, error) {
	files := p.task.Files()
	if files == nil {
		return nil, unix.ENOENT
	}
	f, err := files.GetPath(fd)
	if err != nil {
		return nil, unix.ENOENT
	}
	return f, nil
}

// descriptorLink returns the entry of /proc/pid/fd/N, a link to the open file.
func (p *process) descriptorLink(fd int) entry {
	target := func(fs.Caller) (fs.Path, error) {
		f, err := p.file(fd)
		if err != nil {
			return fs.Path{}, err
		}
		defer f.DecRef()
		return f.Path(), nil
	}
	name := func(c fs.Caller) (string, error) {
		f, err := p.file(fd)
		if err != nil {
			return "", err
		}
		defer f.DecRef()
		return f.Name(c.FSContext().Root()), nil
	}
	return p.f.magicEntry("", p.linkMode(fd), name, target)
}

// linkMode returns the permissions of the link, which show the access mode of
// the open file (proc(5), /proc/pid/fd).
func (p *process) linkMode(fd int) uint32 {
	mode := uint32(0)
	f, err := p.file(fd)
	if err != nil {
		return mode
	}
	defer f.DecRef()
	if f.Readable() {
		mode |= 0o500
	}
	if f.Writable() {
		mode |= 0o300
	}
	return mode
}

// descriptorInfo returns the entry of /proc/pid/fdinfo/N.
func (p *process) descriptorInfo(fd int) entry {
	return p.f.textEntryMode("", 0o400, func(fs.Caller) ([]byte, error) {
		f, err := p.file(fd)
		if err != nil {
			return nil, err
		}
		defer f.DecRef()
		flags := uint32(f.Flags())
		if onExec, _ := p.task.Files().GetExecAction(fd); onExec == fs.CloseOnExec {
			flags |= unix.O_CLOEXEC
		}
		return fmt.Appendf(nil, "pos:\t%d\nflags:\t0%o\nmnt_id:\t%d\nino:\t%d\n", f.Offset(), flags, f.Path().Mount().ID(), f.Inode().Base().Number()), nil
	})
}
