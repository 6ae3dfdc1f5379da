// Package tracefs implements tracefs, the file system through which programs control
// trace events (Documentation/trace/ftrace.rst and events.rst of Linux). It is mounted on
// /sys/kernel/tracing.
//
// A file is a row of a table: rows_top.go has the files that exist once, rows_instance.go
// those of each instance, and rows_event.go those of events. Other packages add rows for
// their own files. All files belong to root, and the top directory keeps others out.
package tracefs

import (
	"hash/fnv"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/mm"
	"slowpath/trace"
)

// Filesystem is the file system.
type Filesystem struct {
	numbers  fs.Numbers
	registry *trace.Registry
	memory   *mm.Memory
	root     *directory
}

// New returns a tracefs that shows the registry, and the additional files at the top.
// memory bounds the texts of open files; nil admits all.
func New(r *trace.Registry, memory *mm.Memory, additional ...Row) *Filesystem {
	f := &Filesystem{registry: r, memory: memory}
	top := subject{fs: f, instance: r.Top(), cpu: trace.AllCPUs}
	f.root = f.directory("", rootMode, top, instanceEntries, rowEntries(topRows), rowEntries(additional),
		func(s *subject) []entry { return []entry{f.instancesEntry(s)} })
	return f
}

// The modes of directories.
const (
	rootMode      = 0o700
	directoryMode = 0o750
)

// Type implements fs.Filesystem.
func (f *Filesystem) Type() string { return "tracefs" }

// Root implements fs.Filesystem.
func (f *Filesystem) Root() fs.Inode { return f.root }

// Statistics implements fs.Filesystem. The magic is TRACEFS_MAGIC.
func (f *Filesystem) Statistics() fs.Statistics {
	return fs.Statistics{Magic: 0x74726163, BlockSize: 4096, MaxName: fs.MaxNameLength}
}

// subject is what a file is about. Fields that the file's directory does not determine are
// zero.
type subject struct {
	fs       *Filesystem
	instance *trace.Instance
	cpu      int // or trace.AllCPUs
	system   string
	event    *trace.EventFile
	option   string
}

// registry returns the registry.
func (s *subject) registry() *trace.Registry { return s.fs.registry }

// entry is a name of a directory.
type entry struct {
	name string
	mode uint32 // with the type
	make func(number uint64) fs.Inode
}

// lister returns entries of a directory. It is called for each lookup of a directory whose
// entries change, otherwise once.
type lister func(s *subject) []entry

// directory is a directory of tracefs.
type directory struct {
	fs.InodeBase
	path    string
	subject subject
	listers []lister
	// find returns the entry with a name of those that only it knows, so that a directory
	// with many entries need not list all of them; nil if all are listed.
	find func(name string) (entry, bool)
	// create and remove are mkdir(2) and rmdir(2); nil refuses them.
	create func(name string) error
	remove func(name string) error
}

// directory returns a directory. Its inode number follows from the path, so it is the same
// after each lookup.
func (f *Filesystem) directory(path string, mode uint32, s subject, listers ...lister) *directory {
	d := &directory{path: path, subject: s, listers: listers}
	d.InitWithNumber(&f.numbers, number(path), fs.NewNode{Mode: unix.S_IFDIR | mode})
	return d
}

// number returns the inode number of a path.
func number(path string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(path))
	return h.Sum64()>>1 | 1
}

// volatile marks a directory whose entries appear and disappear.
func (d *directory) volatile() *directory {
	d.SetVolatile()
	return d
}

func (d *directory) entries() (all []entry) {
	for _, list := range d.listers {
		all = append(all, list(&d.subject)...)
	}
	return all
}

func (d *directory) inode(e *entry) fs.Inode { return e.make(number(d.path + "/" + e.name)) }

// Lookup implements fs.Inode.
func (d *directory) Lookup(_ fs.Caller, name string) (fs.Inode, error) {
	if d.find != nil {
		if e, found := d.find(name); found {
			return d.inode(&e), nil
		}
	}
	entries := d.entries()
	for i := range entries {
		if entries[i].name == name {
			return d.inode(&entries[i]), nil
		}
	}
	return nil, unix.ENOENT
}

// Create implements fs.Inode: EACCES for a file, EPERM for a directory where none can be
// made.
func (d *directory) Create(name string, n fs.NewNode) (fs.Inode, error) {
	switch {
	case n.Mode&unix.S_IFMT == unix.S_IFREG:
		return nil, unix.EACCES
	case n.Mode&unix.S_IFMT != unix.S_IFDIR || d.create == nil:
		return nil, unix.EPERM
	}
	if err := d.create(name); err != nil {
		return nil, err
	}
	return d.Lookup(nil, name)
}

// Remove implements fs.Inode: EPERM for what was not made by mkdir(2).
func (d *directory) Remove(name string, _ fs.Inode) error {
	if d.remove == nil {
		return unix.EPERM
	}
	return d.remove(name)
}

// Open implements fs.Inode.
func (d *directory) Open(fs.OpenRequest) (fs.FileOperations, error) {
	return fs.DirectoryFile{List: d.emit}, nil
}

// emit lists the entries from a position on. The position of an entry is its index.
func (d *directory) emit(position int64, emit func(fs.DirectoryEntry) bool) error {
	entries := d.entries()
	for n := max(position-fs.FirstPosition, 0); n < int64(len(entries)); n++ {
		e := &entries[n]
		if !emit(fs.DirectoryEntry{Name: e.name, Inode: number(d.path + "/" + e.name), Type: e.mode & unix.S_IFMT, Next: fs.FirstPosition + n + 1}) {
			break
		}
	}
	return nil
}

// directoryEntry returns the entry of a directory below the directory with the given path.
func (f *Filesystem) directoryEntry(parent, name string, s subject, change func(d *directory) *directory, listers ...lister) entry {
	return entry{name: name, mode: unix.S_IFDIR | directoryMode, make: func(uint64) fs.Inode {
		d := f.directory(parent+"/"+name, directoryMode, s, listers...)
		if change != nil {
			return change(d)
		}
		return d
	}}
}

// instancePath returns the path of the directory of an instance.
func instancePath(i *trace.Instance) string {
	if i.Name() == "" {
		return ""
	}
	return "/instances/" + i.Name()
}

// instancesEntry returns the directory instances. mkdir(2) there makes an instance.
func (f *Filesystem) instancesEntry(s *subject) entry {
	r := f.registry
	list := func(*subject) (entries []entry) {
		for _, i := range r.Instances() {
			entries = append(entries, f.directoryEntry("/instances", i.Name(), subject{fs: f, instance: i, cpu: trace.AllCPUs}, nil, instanceEntries))
		}
		return entries
	}
	return f.directoryEntry("", "instances", *s, func(d *directory) *directory {
		d.create = func(name string) error {
			_, err := r.NewInstance(strings.Clone(name))
			return err
		}
		d.remove = func(name string) error {
			for _, i := range r.Instances() {
				if i.Name() == name {
					return r.RemoveInstance(i)
				}
			}
			return unix.ENOENT
		}
		return d.volatile()
	}, list)
}

// instanceEntries are the entries of the directory of an instance.
func instanceEntries(s *subject) []entry {
	f, path := s.fs, instancePath(s.instance)
	return append(rowEntries(instanceRows)(s),
		f.directoryEntry(path, "per_cpu", *s, nil, cpuDirectories),
		f.directoryEntry(path, "options", *s, nil, optionEntries),
		f.directoryEntry(path, "events", *s, findSystems, rowEntries(eventsRows), systemDirectories))
}

// cpuDirectories are the entries of per_cpu.
func cpuDirectories(s *subject) (entries []entry) {
	for cpu := range s.registry().CPUs() {
		one := *s
		one.cpu = cpu
		entries = append(entries, s.fs.directoryEntry(instancePath(s.instance)+"/per_cpu", "cpu"+strconv.Itoa(cpu), one, nil, rowEntries(cpuRows)))
	}
	return entries
}

// optionEntries are the entries of options: a file for each option.
func optionEntries(s *subject) (entries []entry) {
	for _, o := range s.instance.Options() {
		one := *s
		one.option = o.Name
		row := optionRow
		row.Name = o.Name
		entries = append(entries, row.entry(&one))
	}
	return entries
}

// findSystems makes a directory events find a system without listing all events.
func findSystems(d *directory) *directory {
	d.find = func(name string) (entry, bool) {
		s := d.subject
		if s.system = name; !s.registry().HasSystem(name) {
			return entry{}, false
		}
		return s.fs.systemDirectory(d.path, s), true
	}
	return d.volatile()
}

// systemDirectories are the directories of events: one for each system with events.
func systemDirectories(s *subject) (entries []entry) {
	seen := make(map[string]bool)
	path := instancePath(s.instance) + "/events"
	for _, e := range s.registry().Events() {
		if seen[e.System] {
			continue
		}
		seen[e.System] = true
		one := *s
		one.system = e.System
		entries = append(entries, s.fs.systemDirectory(path, one))
	}
	return entries
}

// systemDirectory returns the directory of a system.
func (f *Filesystem) systemDirectory(parent string, s subject) entry {
	listers := []lister{eventDirectories}
	if s.system != trace.FixedSystem {
		listers = append(listers, rowEntries(systemRows))
	}
	return f.directoryEntry(parent, s.system, s, func(d *directory) *directory {
		d.find = func(name string) (entry, bool) {
			e := f.registry.Lookup(s.system, name)
			if e == nil {
				return entry{}, false
			}
			return eventDirectory(&s, e)
		}
		return d.volatile()
	}, listers...)
}

// eventDirectories are the directories of a system: one for each event.
func eventDirectories(s *subject) (entries []entry) {
	for _, e := range s.registry().Events() {
		if e.System != s.system {
			continue
		}
		if one, found := eventDirectory(s, e); found {
			entries = append(entries, one)
		}
	}
	return entries
}

// eventDirectory returns the directory of an event. It reports false if the event was
// removed.
func eventDirectory(s *subject, e *trace.Event) (entry, bool) {
	file := s.instance.File(e)
	if file == nil {
		return entry{}, false
	}
	one := *s
	one.event = file
	rows := eventRows
	switch {
	case e.Fixed && e.Name == "print":
		rows = printRows
	case e.Fixed:
		rows = fixedEventRows
	}
	return s.fs.directoryEntry(instancePath(s.instance)+"/events/"+s.system, e.Name, one, nil, rowEntries(rows)), true
}
