package procfs

import (
	"golang.org/x/sys/unix"

	"slowpath/fs"
)

// Extra describes the files that this kernel adds to those of proc(5): one
// directory in /proc, and one file in the directory of each thread.
type Extra struct {
	// Name is the name of the directory and of each thread's file. An empty
	// name adds nothing.
	Name string
	// Files are the files in the directory.
	Files []ExtraFile
	// OfTask returns the contents of the file of the thread with this id. If it
	// is nil, threads have no such file.
	OfTask func(id int) []byte
}

// ExtraFile is one file of the extra directory.
type ExtraFile struct {
	// Name is the file's name in the directory.
	Name string
	// Read returns the contents. It is called on each read.
	Read func() []byte
	// Write handles a write, which only root may do. If it is nil, the file is
	// read-only.
	Write func(text string) error
}

// extraDirectory returns the directory's entry in /proc, or nil if there is no
// extra directory.
func (f *Filesystem) extraDirectory() []entry {
	if f.extra.Name == "" {
		return nil
	}
	var entries []entry
	for _, file := range f.extra.Files {
		contents := func() ([]byte, error) { return file.Read(), nil }
		if file.Write == nil {
			entries = append(entries, f.textEntry(file.Name, contents))
			continue
		}
		read := whenRead(func(identity) ([]byte, error) { return file.Read(), nil })
		store := func(_ identity, text string) error { return file.Write(text) }
		entries = append(entries, f.openEntry(file.Name, 0o644, read, store))
	}
	return []entry{{name: f.extra.Name, mode: unix.S_IFDIR | 0o555, make: func(n fs.NewNode) fs.Inode {
		return f.fixed(n, entries)
	}}}
}

// extraOfTask returns the file's entry in a thread's directory, or nil if there
// is no such file.
func (p *process) extraOfTask() []entry {
	x := p.f.extra
	if x.Name == "" || x.OfTask == nil {
		return nil
	}
	return []entry{p.f.textEntry(x.Name, func() ([]byte, error) { return x.OfTask(p.id), nil })}
}
