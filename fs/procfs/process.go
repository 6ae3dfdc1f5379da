package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/mm"
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
	d := p.directory(append(p.entries(), p.timerSlackEntry(), p.taskEntry()))
	d.process = p
	return d, nil
}

// directory makes the directory of the process. It belongs to the process's user, and
// is empty after the process was released.
func (p *process) directory(entries []entry) *directory {
	d := p.f.owned(p.owner(unix.S_IFDIR|0o555), entries, p.owner)
	d.SetVolatile()
	find, list := d.lookup, d.list
	d.lookup = func(c fs.Caller, name string) (fs.Inode, error) {
		if p.task.Dead() {
			return nil, unix.ENOENT
		}
		return find(c, name)
	}
	d.list = func() []fs.DirectoryEntry {
		if p.task.Dead() {
			return nil
		}
		return list()
	}
	return d
}

// ProcessOfDirectory returns the id of the process whose directory d is, and whether the
// process still exists. The id is 0 for other directories (pidfd_send_signal(2)).
func (d *directory) ProcessOfDirectory() (id int, ok bool) {
	if d.process == nil {
		return 0, false
	}
	return d.process.id, !d.process.task.Dead()
}

// owner returns the node of a file of the process: it belongs to the process's user,
// or to root if the process is not dumpable. A directory that everybody may list
// always belongs to the user (Linux: task_dump_owner).
func (p *process) owner(mode uint32) fs.NewNode {
	n := fs.NewNode{Mode: mode}
	c := p.task.Credentials()
	if c == nil || mode != unix.S_IFDIR|0o555 && p.task.OwnedByRoot() {
		return n
	}
	n.UID, n.GID = c.EUID, c.EGID
	return n
}

// entries returns the files that the directories of processes and of threads
// have in common.
func (p *process) entries() []entry {
	f := p.f
	return append(p.extraOfTask(), []entry{
		f.openEntry("auxv", 0o400, p.openImage(func(m *image, _ identity) ([]byte, error) { return m.program.AuxiliaryVector, nil }), nil),
		p.plain("cgroup", 0o444, func(identity) ([]byte, error) { return []byte("0::/\n"), nil }, nil),
		p.plain("cmdline", 0o444, func(identity) ([]byte, error) {
			space, program := p.task.Image()
			return readMemory(space, program.ArgStart, program.ArgEnd)
		}, nil),
		p.plain("comm", 0o644, p.show(func(b *bytes.Buffer, i *TaskInfo) { fmt.Fprintln(b, i.Comm) }), p.storeComm),
		f.magicEntry("cwd", 0o777, p.pathName(p.task.WorkingDirectory), p.checked(p.task.WorkingDirectory)),
		f.openEntry("environ", 0o400, p.openImage(func(m *image, _ identity) ([]byte, error) {
			return readMemory(m.space, m.program.EnvStart, m.program.EnvEnd)
		}), nil),
		f.magicEntry("exe", 0o777, p.pathName(p.task.Executable), p.checked(p.task.Executable)),
		p.descriptorDirectory(&descriptorFiles),
		p.descriptorDirectory(&descriptorInfos),
		p.plain("io", 0o400, p.io, nil),
		p.plain("limits", 0o444, p.show(writeLimits), nil),
		f.openEntry("maps", 0o444, p.openImage(maps), nil),
		p.memoryEntry(),
		p.plain("loginuid", 0o644, func(identity) ([]byte, error) {
			uid, _ := p.task.LoginUID()
			return fmt.Append(nil, uid), nil
		}, p.storeLogin),
		p.plain("sessionid", 0o444, func(identity) ([]byte, error) {
			_, session := p.task.LoginUID()
			return fmt.Append(nil, session), nil
		}, nil),
		f.openEntry("mountinfo", 0o444, p.openMounts(mountInfo), nil),
		f.openEntry("mounts", 0o444, p.openMounts(mounts), nil),
		p.plain("oom_score", 0o444, p.show(func(b *bytes.Buffer, i *TaskInfo) { fmt.Fprintln(b, i.OOMScore) }), nil),
		p.plain("oom_score_adj", 0o644,
			p.show(func(b *bytes.Buffer, i *TaskInfo) { fmt.Fprintln(b, i.OOMScoreAdjust) }), p.storeOOM),
		p.plain("personality", 0o400, p.personality, nil),
		f.magicEntry("root", 0o777, p.pathName(p.task.RootDirectory), p.checked(p.task.RootDirectory)),
		p.plain("sched", 0o644, p.sched, p.storeSched),
		p.plain("schedstat", 0o444, p.schedstat, nil),
		f.openEntry("smaps", 0o444, p.openImage(smaps), nil),
		f.openEntry("stack", 0o400, p.openStack, nil),
		p.plain("stat", 0o444, p.stat, nil),
		p.plain("statm", 0o444, p.statm, nil),
		p.plain("status", 0o444, p.status, nil),
		p.plain("syscall", 0o400, p.syscall, nil),
		p.plain("wchan", 0o444, p.wchan, nil),
	}...)
}

// plain returns the entry of a file whose access is checked by its mode only. Reads and
// writes fail with ESRCH after the process was released.
func (p *process) plain(name string, mode uint32, read reader, store func(who identity, text string) error) entry {
	checkedRead := func(who identity) ([]byte, error) {
		if p.task.Dead() {
			return nil, unix.ESRCH
		}
		return read(who)
	}
	checkedStore := store
	if store != nil {
		checkedStore = func(who identity, text string) error {
			if p.task.Dead() {
				return unix.ESRCH
			}
			return store(who, text)
		}
	}
	return p.f.openEntry(name, mode, whenRead(checkedRead), checkedStore)
}

// image is the memory and the program of the process at the time when a file was
// opened. An execve(2) after that does not make the new memory accessible.
type image struct {
	space   *mm.AddressSpace // without a reference
	program ProgramInfo
}

// openImage returns the open function of a file about the memory. The check of the
// access is at open(2), as in Linux (proc_mem_open): EACCES, and ESRCH after the
// process was released.
func (p *process) openImage(read func(m *image, who identity) ([]byte, error)) func(fs.Caller) (opened, error) {
	return func(c fs.Caller) (opened, error) {
		if p.task.Dead() {
			return opened{}, unix.ESRCH
		}
		var m image
		m.space, m.program = p.task.Image()
		if m.space != nil {
			if err := p.checkAccess(identityOf(c)); err != nil {
				return opened{}, err
			}
		}
		return opened{read: func(who identity) ([]byte, error) { return read(&m, who) }}, nil
	}
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
	if t == nil || t.ProcessID() != p.task.ProcessID() {
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
func (p *process) show(write func(b *bytes.Buffer, i *TaskInfo)) reader {
	return func(identity) ([]byte, error) {
		info := p.task.Info()
		return fmtText(func(b *bytes.Buffer) { write(b, &info) })
	}
}

// checkAccess returns EACCES if the task may not inspect the process.
func (p *process) checkAccess(who identity) error {
	if p.task.MayBeInspected(int(who.process), who.credentials) {
		return nil
	}
	return unix.EACCES
}

// storeComm handles a write to comm, which only threads of the process may do:
// EINVAL.
func (p *process) storeComm(who identity, text string) error {
	if int(who.process) != p.task.ProcessID() {
		return unix.EINVAL
	}
	p.task.SetComm(text)
	return nil
}

func (p *process) storeOOM(who identity, text string) error {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < -1000 || n > 1000 {
		return unix.EINVAL
	}
	return p.task.SetOOMScoreAdjust(n, who.credentials)
}

// timerSlackEntry returns the entry of timerslack_ns, which only the directory of a process has.
// Everybody may open it, but only the thread itself may use it without CAP_SYS_NICE (Linux:
// proc_pid_set_timerslack_ns_operations).
func (p *process) timerSlackEntry() entry {
	allowed := func(who identity) error {
		if int(who.thread) != p.id && !who.credentials.Has(cred.SysNice) {
			return unix.EPERM
		}
		return nil
	}
	return p.plain("timerslack_ns", 0o666, func(who identity) ([]byte, error) {
		if err := allowed(who); err != nil {
			return nil, err
		}
		return fmt.Appendln(nil, p.task.TimerSlack()), nil
	}, func(who identity, text string) error {
		ns, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSuffix(text, "\n"), "+"), 10, 64)
		if errors.Is(err, strconv.ErrRange) {
			return unix.ERANGE
		}
		if err != nil {
			return unix.EINVAL
		}
		if err := allowed(who); err != nil {
			return err
		}
		p.task.SetTimerSlack(ns)
		return nil
	})
}

// storeLogin handles a write to loginuid, which only the thread itself may do. Errors:
// EPERM, EINVAL, ERANGE.
func (p *process) storeLogin(who identity, text string) error {
	if int(who.thread) != p.id {
		return unix.EPERM
	}
	uid, err := strconv.ParseUint(text, 10, 32)
	if errors.Is(err, strconv.ErrRange) {
		return unix.ERANGE
	}
	if err != nil {
		return unix.EINVAL
	}
	return p.task.SetLoginUID(uint32(uid))
}

// checked returns a function that resolves a link. It fails with EACCES if the
// caller may not inspect the process, and with ENOENT if the process has no such
// object any more.
func (p *process) checked(target func() (fs.Path, bool)) func(fs.Caller) (fs.Path, error) {
	return func(c fs.Caller) (fs.Path, error) {
		if err := p.checkAccess(identityOf(c)); err != nil {
			return fs.Path{}, err
		}
		path, ok := target()
		if !ok {
			return fs.Path{}, unix.ENOENT
		}
		return path, nil
	}
}

// pathName returns a function that reads the text of such a link, relative to
// the caller's root directory.
func (p *process) pathName(target func() (fs.Path, bool)) func(fs.Caller) (string, error) {
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

// readMemory reads memory from start to end. It returns nothing if the address space
// is nil or no task uses it any more.
func readMemory(space *mm.AddressSpace, start, end uint64) ([]byte, error) {
	if space == nil || end <= start || end-start > maxArguments || !space.TryIncRef() {
		return nil, nil
	}
	defer space.DecRef()
	b := make([]byte, end-start)
	n, err := space.ReadRemote(b, start, mm.Forced)
	if n == 0 && err != nil {
		return nil, err
	}
	return b[:n], nil
}
