// Package fstest has the fixtures of tests of file systems, which run on the
// host: a mount name space with a tmpfs as its root, and callers. Only tests
// import it.
package fstest

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/fs/pipe"
	"slowpath/fs/tmpfs"
	"slowpath/mm"
	"slowpath/mm/mmtest"
)

// Caller is a task for tests. Its user memory is Memory. Address n is
// Memory[n].
type Caller struct {
	Cred    *cred.Credentials
	Context *fs.Context
	PID     int32
	Memory  []byte
	Watcher fs.NameWatcher
}

// NameWatcher implements fs.Caller.
func (c *Caller) NameWatcher() fs.NameWatcher { return c.Watcher }

// Credentials implements fs.Caller.
func (c *Caller) Credentials() *cred.Credentials { return c.Cred }

// FSContext implements fs.Caller.
func (c *Caller) FSContext() *fs.Context { return c.Context }

// ProcessID implements fs.Caller.
func (c *Caller) ProcessID() int32 { return c.PID }

// ThreadID implements fs.Caller.
func (c *Caller) ThreadID() int32 { return c.PID }

// CopyIn implements fs.Caller.
func (c *Caller) CopyIn(address uint64, p []byte) error {
	if address+uint64(len(p)) > uint64(len(c.Memory)) || address+uint64(len(p)) < address {
		return unix.EFAULT
	}
	copy(p, c.Memory[address:])
	return nil
}

// CopyOut implements fs.Caller.
func (c *Caller) CopyOut(address uint64, p []byte) error {
	if address+uint64(len(p)) > uint64(len(c.Memory)) || address+uint64(len(p)) < address {
		return unix.EFAULT
	}
	copy(c.Memory[address:], p)
	return nil
}

// World is a mount name space with its root file system and its memory.
type World struct {
	T       testing.TB
	Machine *mmtest.Machine
	Memory  *mm.Memory
	Mounts  *fs.Mounts
	Root    *tmpfs.Filesystem
	// Caller is root, in the root directory, with 64 KiB of memory.
	Caller *Caller
}

// New returns a world with the given number of frames of memory.
func New(t testing.TB, frames int) *World {
	t.Helper()
	memory, machine := mmtest.New(t, frames)
	return NewOn(t, memory, machine)
}

// NewOn is New on a memory that the test has made.
func NewOn(t testing.TB, memory *mm.Memory, machine *mmtest.Machine) *World {
	t.Helper()
	root := tmpfs.New(memory, tmpfs.Config{Mode: 0o755})
	t.Cleanup(root.Unmounted)
	w := &World{T: t, Machine: machine, Memory: memory, Root: root}
	w.Mounts = fs.NewMounts(root, pipe.Open)
	w.Caller = &Caller{Cred: cred.Root(), Context: fs.NewContext(w.Mounts), PID: 1, Memory: make([]byte, 65536)}
	return w
}

// User returns a caller without privileges.
func (w *World) User(uid, gid uint32) *Caller {
	return &Caller{Cred: cred.User(uid, gid), Context: w.Caller.Context.Copy(), PID: int32(uid), Memory: make([]byte, 65536)}
}

// At returns a path name that w.Caller resolves. It follows symbolic links.
func (w *World) At(name string) fs.At { return fs.At{Caller: w.Caller, Name: name, Follow: true} }

// Open opens a file or fails the test. The file is closed when the test ends.
func (w *World) Open(name string, flags int, mode uint32) *fs.File {
	w.T.Helper()
	f, err := w.At(name).Open(flags, mode)
	if err != nil {
		w.T.Fatalf("open(%q, %#x): %v", name, flags, err)
	}
	w.T.Cleanup(f.DecRef)
	return f
}

// Write makes or truncates a file, and writes the contents to it.
func (w *World) Write(name, contents string) {
	w.T.Helper()
	f, err := w.At(name).Open(unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, 0o666)
	if err != nil {
		w.T.Fatalf("create %q: %v", name, err)
	}
	defer f.DecRef()
	if n, err := f.Write(fs.NewBytesSource([]byte(contents))); err != nil || n != len(contents) {
		w.T.Fatalf("write %q: %d, %v", name, n, err)
	}
}

// Read returns the contents of a file.
func (w *World) Read(name string) string {
	w.T.Helper()
	f, err := w.At(name).Open(unix.O_RDONLY, 0)
	if err != nil {
		w.T.Fatalf("open %q: %v", name, err)
	}
	defer f.DecRef()
	return ReadAll(w.T, f)
}

// ReadAll reads f to its end.
func ReadAll(t testing.TB, f *fs.File) string {
	t.Helper()
	var all []byte
	for {
		sink := fs.NewBytesSink(make([]byte, 8192))
		n, err := f.Read(sink)
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if n == 0 {
			return string(all)
		}
		all = append(all, sink.Bytes()...)
	}
}

// ReadAt returns up to n bytes of f from offset on.
func ReadAt(t testing.TB, f *fs.File, offset int64, n int) string {
	t.Helper()
	sink := fs.NewBytesSink(make([]byte, n))
	if _, err := f.ReadAt(sink, offset); err != nil {
		t.Fatalf("read at %d: %v", offset, err)
	}
	return string(sink.Bytes())
}
