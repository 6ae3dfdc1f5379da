package procfs

import (
	"golang.org/x/sys/unix"

	"slowpath/fs"
)

// Extra is what a kernel shows in /proc beyond proc(5): a directory of its
// own, and a file in the directory of each thread.
type Extra struct {
	// Name is that of the directory and of the threads' file.
	Name string
	// Files are what the directory has.
	Files []ExtraFile
	// OfTask makes the text of the file of the thread with an id.
	OfTask func(id int) []byte
}

// ExtraFile is one file. Its text is made when it is read.
type ExtraFile struct {
	Name string
	Read func() []byte
	// Write takes what root writes to it; nil makes it read-only.
	Write func(text string) error
}

// extraDirectory is the entry of /proc, or nothing without a name.
func (f *Filesystem) extraDirectory() []entry {
	if f.extra.Name == "" {
		return nil
	}
	var entries []entry
	for _, file := range f.extra.Files {
		contents := func(fs.Caller) ([]byte, error) { return file.Read(), nil }
		if file.Write == nil {
			entries = append(entries, f.textEntry(file.Name, contents))
			continue
		}
		store := func(_ fs.Caller, text string) error { return file.Write(text) }
		entries = append(entries, f.writableEntry(file.Name, 0o644, contents, store))
	}
	return []entry{{name: f.extra.Name, mode: unix.S_IFDIR | 0o555, make: func(n fs.NewNode) fs.Inode {
		return f.fixed(n, entries)
	}}}
}

// extraOfTask is the entry in a thread's directory.
func (p *process) extraOfTask() []entry {
	x := p.f.extra
	if x.Name == "" || x.OfTask == nil {
		return nil
	}
	return []entry{p.f.textEntry(x.Name, func(fs.Caller) ([]byte, error) { return x.OfTask(p.id), nil })}
}
