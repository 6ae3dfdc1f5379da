package procfs

import (
	"bytes"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"slowpath/fs"
)

// process is the directory of a process or of one of its threads.
type process struct {
	f    *Filesystem
	id   int
	task Task
}

// processInode returns /proc/id. It fails with ENOENT if there is no such
// thread.
func (f *Filesystem) processInode(id int) (fs.Inode, error) {
	t := f.system.Task(id)
	if t == nil {
		return nil, unix.ENOENT
	}
	p := &process{f: f, id: id, task: t}
	return p.directory(append(p.entries(), p.taskEntry())), nil
}

// directory makes the directory of the process, owned by its user.
func (p *process) directory(entries []entry) *directory {
	owner := fs.NewNode{Mode: unix.S_IFDIR | 0o555}
	if c := p.task.Credentials(); c != nil {
		owner.UID, owner.GID = c.EUID, c.EGID
	}
	d := p.f.fixed(owner, entries)
	d.SetVolatile()
	return d
}

// entries returns the files that the directories of processes and of threads
// have in common.
func (p *process) entries() []entry {
	f := p.f
	return append(p.extraOfTask(), []entry{
		f.textEntryMode("auxv", 0o400, p.guarded(func(i *TaskInfo) ([]byte, error) { return i.AuxiliaryVector, nil })),
		f.textEntry("cgroup", func(fs.Caller) ([]byte, error) { return []byte("0::/\n"), nil }),
		f.textEntry("cmdline", func(fs.Caller) ([]byte, error) {
			i := p.task.Info()
			return p.readMemory(i.ArgStart, i.ArgEnd)
		}),
		f.writableEntry("comm", 0o644, p.show(func(b *bytes.Buffer, i *TaskInfo) { fmt.Fprintln(b, i.Comm) }),
			p.storer(func(text string) error { p.task.SetComm(text); return nil })),
		f.magicEntry("cwd", 0o777, p.pathName(p.workingDirectory), p.checked(p.workingDirectory)),
		f.textEntryMode("environ", 0o400, p.guarded(func(i *TaskInfo) ([]byte, error) { return p.readMemory(i.EnvStart, i.EnvEnd) })),
		f.magicEntry("exe", 0o777, p.pathName(p.executable), p.checked(p.executable)),
		p.descriptorDirectory("fd", p.descriptorLink),
		p.descriptorDirectory("fdinfo", p.descriptorInfo),
		f.textEntry("limits", p.show(writeLimits)),
		f.textEntry("maps", p.maps),
		f.textEntry("mountinfo", p.mountInfo),
		f.textEntry("mounts", p.mounts),
		f.textEntry("oom_score", p.show(func(b *bytes.Buffer, i *TaskInfo) { fmt.Fprintln(b, i.OOMScore) })),
		f.writableEntry("oom_score_adj", 0o644,
			p.show(func(b *bytes.Buffer, i *TaskInfo) { fmt.Fprintln(b, i.OOMScoreAdjust) }), p.storer(p.storeOOM)),
		f.magicEntry("root", 0o777, p.pathName(p.rootDirectory), p.checked(p.rootDirectory)),
		f.textEntry("smaps", p.smaps),
		f.textEntry("stat", p.stat),
		f.textEntry("statm", p.statm),
		f.textEntry("status", p.status),
		f.textEntry("wchan", func(fs.Caller) ([]byte, error) { return []byte("0"), nil }),
	}...)
}

// textEntryMode returns the entry of a read-only file with the given
// permissions.
func (f *Filesystem) textEntryMode(name string, mode uint32, contents func(c fs.Caller) ([]byte, error)) entry {
	return f.writableEntry(name, mode, contents, nil)
}

// taskEntry returns the entry of /proc/pid/task, the directory of the threads.
func (p *process) taskEntry() entry {
	return entry{name: "task", mode: unix.S_IFDIR | 0o555, make: func(n fs.NewNode) fs.Inode {
		d := &directory{lookup: p.lookupThread, list: p.listThreads}
		d.Init(&p.f.numbers, n)
		d.SetVolatile()
		return d
	}}
}

func (p *process) lookupThread(_ fs.Caller, name string) (fs.Inode, error) {
	id, ok := processID(name)
	if !ok {
		return nil, unix.ENOENT
	}
	t := p.f.system.Task(id)
	if t == nil || t.Info().PID != p.task.Info().PID {
		return nil, unix.ENOENT
	}
	thread := &process{f: p.f, id: id, task: t}
	return thread.directory(thread.entries()), nil
}

func (p *process) listThreads() []fs.DirectoryEntry {
	var list []fs.DirectoryEntry
	for _, id := range p.task.Threads() {
		list = append(list, fs.DirectoryEntry{
			Name: strconv.Itoa(id), Inode: uint64(id)<<20 + 1, Type: unix.S_IFDIR, Next: fs.FirstPosition + int64(id),
		})
	}
	return list
}

// show returns a function that formats information about the process.
func (p *process) show(write func(b *bytes.Buffer, i *TaskInfo)) func(fs.Caller) ([]byte, error) {
	return func(fs.Caller) ([]byte, error) {
		info := p.task.Info()
		return fmtText(func(b *bytes.Buffer) { write(b, &info) })
	}
}

// checkAccess returns EACCES if the caller may not inspect the process.
func (p *process) checkAccess(c fs.Caller) error {
	target := p.task.Credentials()
	if target == nil || c.Credentials().MayInspect(target) {
		return nil
	}
	return unix.EACCES
}

// guarded returns a function that reads a file about the process. It fails with
// EACCES if the caller may not inspect the process.
func (p *process) guarded(read func(i *TaskInfo) ([]byte, error)) func(fs.Caller) ([]byte, error) {
	return func(c fs.Caller) ([]byte, error) {
		if err := p.checkAccess(c); err != nil {
			return nil, err
		}
		info := p.task.Info()
		return read(&info)
	}
}

// storer returns a function that handles a write. It fails with EACCES if the
// caller may not inspect the process.
func (p *process) storer(store func(text string) error) func(fs.Caller, string) error {
	return func(c fs.Caller, text string) error {
		if err := p.checkAccess(c); err != nil {
			return err
		}
		return store(text)
	}
}

func (p *process) storeOOM(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < -1000 || n > 1000 {
		return unix.EINVAL
	}
	p.task.SetOOMScoreAdjust(n)
	return nil
}

// workingDirectory, rootDirectory and executable are the targets of a process's
// links. They fail with ENOENT after the process has exited.

func (p *process) workingDirectory() (fs.Path, error) {
	if c := p.task.FSContext(); c != nil {
		return c.Directory(), nil
	}
	return fs.Path{}, unix.ENOENT
}

func (p *process) rootDirectory() (fs.Path, error) {
	if c := p.task.FSContext(); c != nil {
		return c.Root(), nil
	}
	return fs.Path{}, unix.ENOENT
}

func (p *process) executable() (fs.Path, error) {
	if path := p.task.Executable(); path.Valid() {
		return path, nil
	}
	return fs.Path{}, unix.ENOENT
}

// checked returns a function that resolves a link. It fails with EACCES if the
// caller may not inspect the process.
func (p *process) checked(target func() (fs.Path, error)) func(fs.Caller) (fs.Path, error) {
	return func(c fs.Caller) (fs.Path, error) {
		if err := p.checkAccess(c); err != nil {
			return fs.Path{}, err
		}
		return target()
	}
}

// pathName returns a function that reads the text of such a link, relative to
// the caller's root directory.
func (p *process) pathName(target func() (fs.Path, error)) func(fs.Caller) (string, error) {
	return func(c fs.Caller) (string, error) {
		path, err := p.checked(target)(c)
		if err != nil {
			return "", err
		}
		return c.FSContext().Mounts().PathName(c.FSContext().Root(), path), nil
	}
}

// maxArguments is the maximum size of cmdline and environ, in bytes.
const maxArguments = 2 << 20

// readMemory reads the process's memory from start to end.
func (p *process) readMemory(start, end uint64) ([]byte, error) {
	space := p.task.Memory()
	if space == nil || end <= start || end-start > maxArguments {
		if space != nil {
			space.DecRef()
		}
		return nil, nil
	}
	defer space.DecRef()
	b := make([]byte, end-start)
	n, err := space.ReadRemote(b, start, true)
	if n == 0 && err != nil {
		return nil, err
	}
	return b[:n], nil
}
