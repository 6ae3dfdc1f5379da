package procfs

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/guard"
)

// descriptorKind is one of the directories that list the descriptors of a process.
type descriptorKind struct {
	name string
	mode uint32 // of the directory
	kind uint32 // S_IFMT of the entries
	// make returns the entry of one descriptor.
	make func(p *process, fd int) entry
	// permit decides who may use the directory.
	permit func(p *process, c fs.Caller, byMode error) error
}

// descriptorFiles is /proc/pid/fd. The threads of the process may use it even if it
// belongs to root (Linux: proc_fd_permission).
var descriptorFiles = descriptorKind{
	name: "fd", mode: 0o500, kind: unix.S_IFLNK, make: (*process).descriptorLink,
	permit: func(p *process, c fs.Caller, byMode error) error {
		if int(c.ProcessID()) == p.task.ProcessID() {
			return nil
		}
		return byMode
	},
}

// descriptorInfos is /proc/pid/fdinfo (Linux: proc_fdinfo_permission).
var descriptorInfos = descriptorKind{
	name: "fdinfo", mode: 0o555, kind: unix.S_IFREG, make: (*process).descriptorInfo,
	permit: func(p *process, c fs.Caller, byMode error) error {
		if err := p.checkAccess(identityOf(c)); err != nil {
			return err
		}
		return byMode
	},
}

// descriptorDirectory returns the entry of /proc/pid/fd or /proc/pid/fdinfo.
func (p *process) descriptorDirectory(k *descriptorKind) entry {
	return entry{name: k.name, mode: unix.S_IFDIR | k.mode, make: func(n fs.NewNode) fs.Inode {
		d := &directory{}
		d.Init(&p.f.numbers, n)
		d.SetVolatile()
		d.permit = func(c fs.Caller, byMode error) error { return k.permit(p, c, byMode) }
		d.lookup = func(_ fs.Caller, name string) (fs.Inode, error) {
			fd, err := p.openDescriptor(name)
			if err != nil {
				return nil, err
			}
			e := k.make(p, fd)
			return e.make(p.owner(e.mode)), nil
		}
		d.walk = func(position int64, emit func(fs.DirectoryEntry) bool) {
			p.walkDescriptors(k.kind, position, emit)
		}
		return d
	}}
}

// openDescriptor parses the name of an entry and returns the descriptor. It
// fails with ENOENT if the descriptor is not open.
func (p *process) openDescriptor(name string) (int, error) {
	fd, err := strconv.ParseUint(name, 10, 31)
	if err != nil || strconv.FormatUint(fd, 10) != name {
		return 0, unix.ENOENT
	}
	f, _, err := p.task.File(int(fd))
	if err != nil {
		return 0, unix.ENOENT
	}
	drop(f)
	return int(fd), nil
}

// drop drops a reference to a file during a lookup, when the namespace is locked. If the
// process has closed the file since, a goroutine of its own closes it, because that may
// need the lock.
func drop(f *fs.File) {
	if f.DropUnlessLast() {
		return
	}
	go func() {
		defer guard.Contain("the close of a file")
		f.DecRef()
	}()
}

// walkDescriptors lists the open descriptors from a position on. It makes one entry at a
// time, because a process may have a million descriptors.
func (p *process) walkDescriptors(kind uint32, position int64, emit func(fs.DirectoryEntry) bool) {
	first := int(max(position-fs.FirstPosition, 0))
	for fd := p.task.NextDescriptor(first); fd >= 0; fd = p.task.NextDescriptor(fd + 1) {
		e := fs.DirectoryEntry{
			Name: strconv.Itoa(fd), Inode: uint64(p.id)<<20 + uint64(fd) + 2, Type: kind, Next: fs.FirstPosition + int64(fd) + 1,
		}
		if !emit(e) {
			return
		}
	}
}

// descriptorLink returns the entry of /proc/pid/fd/N, a link to the open file. Its
// functions fail with EACCES if the caller may not inspect the process.
func (p *process) descriptorLink(fd int) entry {
	file := func(c fs.Caller) (*fs.File, error) {
		if err := p.checkAccess(identityOf(c)); err != nil {
			return nil, err
		}
		f, _, err := p.task.File(fd)
		if err != nil {
			return nil, unix.ENOENT
		}
		return f, nil
	}
	target := func(c fs.Caller) (fs.Path, error) {
		f, err := file(c)
		if err != nil {
			return fs.Path{}, err
		}
		defer drop(f)
		return f.Path(), nil
	}
	name := func(c fs.Caller) (string, error) {
		f, err := file(c)
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
	f, _, err := p.task.File(fd)
	if err != nil {
		return mode
	}
	defer drop(f)
	if f.Readable() {
		mode |= 0o500
	}
	if f.Writable() {
		mode |= 0o300
	}
	return mode
}

// descriptorInfo returns the entry of /proc/pid/fdinfo/N. Opening it fails with
// EACCES if the caller may not inspect the process.
func (p *process) descriptorInfo(fd int) entry {
	read := func(identity) ([]byte, error) {
		f, onExec, err := p.task.File(fd)
		if err != nil {
			return nil, unix.ENOENT
		}
		defer f.DecRef()
		flags := uint32(f.Flags())
		if onExec == fs.CloseOnExec {
			flags |= unix.O_CLOEXEC
		}
		text := fmt.Appendf(nil, "pos:\t%d\nflags:\t0%o\nmnt_id:\t%d\nino:\t%d\n", f.Offset(), flags, f.Path().Mount().ID(), f.Inode().Base().Number())
		if more, ok := f.Operations().(fs.Describer); ok {
			text = append(text, more.Describe()...)
		}
		return text, nil
	}
	return p.f.openEntry("", 0o444, func(c fs.Caller) (opened, error) {
		return opened{read: read}, p.checkAccess(identityOf(c))
	}, nil)
}
