package task

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/guard"
	"slowpath/mm"
	"slowpath/signal"
	"slowpath/task/elf"
)

// smallestCore is the RLIMIT_CORE below which no core file is written, in bytes (Linux:
// ELF_EXEC_PAGESIZE).
const smallestCore = mm.PageSize

// dieOfCoreSignal ends the process with a signal whose default action is a core dump
// (core(5)). The status has the core bit if a core file was written. Only the task's
// own goroutine calls it.
func (t *Task) dieOfCoreSignal(info *signal.Info) {
	if p := &t.kernel.Tracepoints.CoreSignal; p.Active() {
		p.Call(CoreSignal{Task: t, Signal: info.Signo})
	}
	name, ok := t.coreFileName(info.Signo)
	limit := t.group.Limits.Soft(unix.RLIMIT_CORE)
	if !ok || limit < smallestCore {
		t.ExitGroup(SignalStatus(info.Signo))
		return
	}
	others, ok := t.beginCoreDump(info.Signo)
	if !ok {
		return // the process exits already
	}
	dumped := t.writeCore(name, limit, info, others)
	for _, other := range others {
		t.clearTIDOf(other) // another process may share the memory
	}
	t.endCoreDump(dumped)
}

// beginCoreDump makes the process exit, ends the other threads and returns them, with
// their last registers. The calling thread stays alive. It reports false if the process
// exits already (Linux: coredump_wait).
func (t *Task) beginCoreDump(s signal.Signal) (others []*Task, ok bool) {
	g := t.group
	locked := guard.Lock(&g.mu)
	defer locked.Release()
	if g.groupExit || t.killed.Load() {
		return nil, false
	}
	g.beginExit(SignalStatus(s))
	g.dumper = t
	g.stop = stopState{}
	for _, other := range g.threads {
		if other != t && !other.ended {
			others = append(others, other)
			other.kill()
		}
	}
	locked.Release()
	t.BlockKillable(&g.done, waitReadable, 0, t.isAlone)
	return others, true
}

// endCoreDump sets the status of the process, and makes the thread exit.
func (t *Task) endCoreDump(dumped bool) {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dumper = nil
	if dumped && !t.Killed() {
		g.exitStatus |= coreDumped
	}
	t.requestExit(g.exitStatus)
}

// coreFileName returns the name of the core file by core_pattern. It reports false if
// none may be written: the pattern is empty or a pipe, which is not supported, or the
// process is not dumpable.
func (t *Task) coreFileName(s signal.Signal) (string, bool) {
	settings := t.kernel.config.Settings
	pattern := settings.CorePattern.Get()
	if pattern == "" || pattern[0] == '|' || t.Dumpable() != mm.DumpableByUser {
		return "", false
	}
	name, hasID := t.expandCorePattern(pattern, s)
	if settings.CoreUsesPID.Get() != 0 && !hasID {
		name += "." + itoa(t.PID())
	}
	return name, true
}

// expandCorePattern replaces the specifiers of core_pattern (core(5)), and reports
// whether the process id was among them.
func (t *Task) expandCorePattern(pattern string, s signal.Signal) (name string, hasID bool) {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '%' {
			b.WriteByte(pattern[i])
			continue
		}
		if i++; i == len(pattern) {
			break // a single % at the end is dropped
		}
		hasID = hasID || pattern[i] == 'p'
		b.WriteString(t.coreSpecifier(pattern[i], s))
	}
	return b.String(), hasID
}

// coreSpecifier returns the text of one specifier, empty for an unknown one.
func (t *Task) coreSpecifier(letter byte, s signal.Signal) string {
	c := t.Credentials()
	switch letter {
	case '%':
		return "%"
	case 'p', 'P':
		return itoa(t.PID())
	case 'i', 'I':
		return itoa(t.TID())
	case 'u':
		return strconv.FormatUint(uint64(c.UID), 10)
	case 'g':
		return strconv.FormatUint(uint64(c.GID), 10)
	case 'd':
		return strconv.FormatUint(uint64(t.Dumpable()), 10)
	case 's':
		return itoa(int(s))
	case 't':
		return strconv.FormatInt(t.kernel.config.Wall.Now()/1e9, 10)
	case 'h':
		host, _ := t.kernel.HostName()
		return escapeCoreName(host)
	case 'e':
		return escapeCoreName(t.Comm())
	case 'f':
		return escapeCoreName(baseName(t.Program().Path))
	case 'E':
		return escapeCoreName(t.Program().Path)
	case 'c':
		return strconv.FormatUint(t.group.Limits.Soft(unix.RLIMIT_CORE), 10)
	}
	return ""
}

// escapeCoreName replaces what would name another directory (Linux: cn_esc_printf).
func escapeCoreName(name string) string {
	if name == "." || name == ".." {
		name = "!" + name[1:]
	}
	return strings.ReplaceAll(name, "/", "!")
}

// writeCore writes the core file, and reports whether it did. Contents beyond limit
// bytes are left out.
func (t *Task) writeCore(name string, limit uint64, info *signal.Info, others []*Task) bool {
	areas, err := t.MM.CoreAreas()
	if err != nil {
		return false
	}
	header, err := t.coreHeader(info, others, areas)
	if err != nil {
		return false
	}
	file, err := t.openCore(name)
	if err != nil {
		return false
	}
	defer file.DecRef()
	w := coreWriter{task: t, file: file, limit: limit}
	w.write(header)
	for i := range areas {
		w.writeArea(&areas[i])
	}
	if w.at > uint64(file.Attributes().Size) && !w.failed {
		file.Truncate(int64(w.at)) // the file ends with a hole
	}
	return true
}

// coreHeader returns the ELF header, the program headers and the notes. Error: ENOMEM if
// the kernel's heap has no room for them.
func (t *Task) coreHeader(info *signal.Info, others []*Task, areas []mm.CoreArea) ([]byte, error) {
	const fixed, perThread, perArea, copies = 4 * mm.PageSize, 4096, 128, 4
	size := fixed + (1+len(others))*(perThread+amd64.ExtendedSize())
	for i := range areas {
		size += perArea + len(areas[i].Name)
	}
	memory := t.kernel.Memory()
	if err := memory.Reserve(int64(copies * size)); err != nil {
		return nil, err
	}
	defer memory.Unreserve(int64(copies * size))
	return elf.CoreHeader(t.Program().Class, t.coreNotes(info, others, areas), coreSegments(areas)), nil
}

// openCore creates the core file, or empties an old one. An old file must be a regular
// file of the user with no other name, which nobody else can access (Linux:
// do_coredump).
func (t *Task) openCore(name string) (*fs.File, error) {
	file, err := fs.At{Caller: t, Name: name}.Open(unix.O_CREAT|unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	const others = 0o677
	a := file.Attributes()
	if !a.IsRegular() || a.Links != 1 || a.UID != t.Credentials().FSUID || a.Mode&others != 0o600 {
		file.DecRef()
		return nil, unix.EPERM
	}
	if err := file.Truncate(0); err != nil {
		file.DecRef()
		return nil, err
	}
	return file, nil
}

func coreSegments(areas []mm.CoreArea) []elf.CoreSegment {
	segments := make([]elf.CoreSegment, len(areas))
	for i, a := range areas {
		segments[i] = elf.CoreSegment{
			Address: a.Start, FileSize: a.Dump, MemorySize: a.End - a.Start,
			Read: a.Prot&mm.ProtRead != 0, Write: a.Prot&mm.ProtWrite != 0, Execute: a.Prot&mm.ProtExec != 0,
		}
	}
	return segments
}

// coreWriter writes a core file.
type coreWriter struct {
	task   *Task
	file   *fs.File
	at     uint64 // the offset of the next byte
	limit  uint64
	failed bool // the limit is reached, the file system is full, or the task was killed
	page   [mm.PageSize]byte
}

func (w *coreWriter) write(p []byte) {
	if w.failed = w.failed || w.at+uint64(len(p)) > w.limit || w.task.Killed(); w.failed {
		return
	}
	n, err := w.file.WriteAt(fs.NewBytesSource(p), int64(w.at))
	w.failed = err != nil || n < len(p)
	w.at += uint64(n)
}

// writeArea writes the contents of an area. Pages that are not present become holes.
func (w *coreWriter) writeArea(a *mm.CoreArea) {
	for address := a.Start; address < a.Start+a.Dump && !w.failed; address += mm.PageSize {
		if w.task.MM.ReadCorePage(address, w.page[:]) {
			w.write(w.page[:])
			continue
		}
		w.at += mm.PageSize
		w.failed = w.at > w.limit || w.task.Killed()
	}
}
