package fs

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/mm"
	"slowpath/wait"
)

// FileOperations are the operations of an open file. Each kind of file has its
// own type, which embeds FileBase or RegularBase for the operations that it does
// not implement. Methods are safe for concurrent use and do not block:
// unix.EAGAIN means that the caller should wait on Queue.
type FileOperations interface {
	// Read moves bytes to dst, starting at offset if the file is seekable. It
	// returns 0 without an error at the end of the file.
	Read(f *File, dst Sink, offset int64) (int, error)
	// Write moves bytes from src. A seekable file that was opened with O_APPEND
	// is written at its end, whatever the offset. end is the offset after the
	// last byte written.
	Write(f *File, src Source, offset int64) (n int, end int64, err error)
	// Seekable reports whether the file has an offset. Without one lseek(2) and
	// pread(2) fail with ESPIPE.
	Seekable() bool
	// SeekFrom returns the new offset of lseek(2), relative to current.
	SeekFrom(current, offset int64, whence int) (int64, error)
	// ReadDirectory calls emit for the entries from position on, until emit
	// returns false. It does not emit "." and "..".
	ReadDirectory(position int64, emit func(DirectoryEntry) bool) error
	// Readiness returns the poll(2) conditions that hold now.
	Readiness() wait.Events
	// Queue is woken when Readiness may have changed. It is nil if the file is
	// always ready; epoll(7) then refuses the file.
	Queue() *wait.Queue
	// Ioctl is ioctl(2): ENOTTY for an unknown request.
	Ioctl(f *File, caller Caller, request uint32, argument uint64) (uint64, error)
	// Allocate is fallocate(2). It calls stopped for each page. If that returns
	// true, it undoes the allocation and fails with EINTR.
	Allocate(mode uint32, offset, length int64, stopped func() bool) error
	// Mappable returns the object that mmap(2) maps, or nil for anonymous memory:
	// ENODEV if the file cannot be mapped.
	Mappable() (mm.Mappable, error)
	// Sync is fsync(2).
	Sync() error
	// Release is called once, after the last reference is dropped.
	Release()
}

// Opener is implemented by operations whose open(2) waits for another process:
// a FIFO waits for its other end.
type Opener interface {
	// Opened returns EAGAIN while open(2) must wait on Queue.
	Opened() error
}

// SizedMapping is implemented by operations whose object for mmap(2) depends on the
// mapping: the buffer of a perf event.
type SizedMapping interface {
	// MappingOf returns the object. Errors: those of mmap(2).
	MappingOf(caller Caller, m MappingShape) (mm.Mappable, error)
}

// MappingShape describes a mapping that a program asks for. Length and Offset are in
// bytes.
type MappingShape struct {
	Length, Offset   uint64
	Shared, Writable bool
}

// Stream is implemented by operations whose blocking write(2) continues until
// all bytes are written: pipes, terminals, stream sockets.
type Stream interface{ FillsWrites() }

// JobControlled is implemented by terminals. The system call layer calls it
// before a read or write, because Read and Write do not have the caller.
type JobControlled interface {
	// BeforeRead returns nil, EIO, or ERESTARTSYS after it has sent SIGTTIN.
	BeforeRead(caller Caller) error
	// BeforeWrite is the same for SIGTTOU.
	BeforeWrite(caller Caller) error
}

// MemoryHolder is implemented by operations that hold memory of the kernel which a
// program can make grow: pipes, sockets, texts of procfs.
type MemoryHolder interface {
	// HeldMemory returns about how many bytes the file holds. It takes no lock that
	// is held during an access to user memory: that may run the OOM killer.
	HeldMemory() int64
}

// SpliceReader is implemented by operations from which splice(2) reads other bytes than
// read(2).
type SpliceReader interface {
	// ReadSplice is Read for a splice to a pipe that has room for dst.
	ReadSplice(f *File, dst Sink) (int, error)
}

// Describer is implemented by operations with additional lines in /proc/PID/fdinfo
// (proc(5)).
type Describer interface {
	// Describe returns the lines, each with a newline at its end.
	Describe() string
}

// changeableFlags are the status flags that F_SETFL changes. notKeptFlags are
// the flags of open(2) that F_GETFL does not return (fcntl(2)).
const (
	changeableFlags = unix.O_APPEND | unix.O_NONBLOCK | unix.O_ASYNC | unix.O_DIRECT | unix.O_NOATIME
	notKeptFlags    = unix.O_CREAT | unix.O_EXCL | unix.O_NOCTTY | unix.O_TRUNC | unix.O_CLOEXEC
)

// File is an open file description. Descriptors, memory mappings and messages
// in transit each hold a reference. It is safe for concurrent use.
type File struct {
	mounts     *Mounts
	path       Path
	operations FileOperations
	references atomic.Int64
	flags      atomic.Uint32
	owner      atomic.Int64 // F_SETOWN
	records    atomic.Int64 // open file description locks
	writes     bool         // counted as a writer in the inode's writeAccess
	denies     bool         // counted as an executor there

	offsetMu sync.Mutex // held while the offset is read, used and updated
	offset   int64

	releaseMu sync.Mutex
	onRelease map[*ReleaseHook]struct{}
}

// ReleaseHook is a function that runs when the last reference to a file is
// dropped, for example to remove the file from an epoll set.
type ReleaseHook struct {
	Released func(*File)
	// Owner is returned by HookOwners. It may be nil.
	Owner any
}

func newFile(m *Mounts, p Path, flags int, ops FileOperations) *File {
	m.openFiles.Add(1)
	f := &File{mounts: m, path: p, operations: ops}
	f.flags.Store(uint32(flags &^ notKeptFlags))
	f.references.Store(1)
	p.hold()
	return f
}

// IncRef adds a reference; the caller has one already.
func (f *File) IncRef() { f.references.Add(1) }

// DecRef drops a reference. The last one closes the file.
func (f *File) DecRef() {
	if f.references.Add(-1) > 0 {
		return
	}
	f.releaseMu.Lock()
	hooks := f.onRelease
	f.onRelease = nil
	f.releaseMu.Unlock()
	for h := range hooks {
		h.Released(f)
	}
	f.Inode().Base().locks.ReleaseFile(f)
	f.operations.Release()
	f.releaseAccess()
	f.mounts.openFiles.Add(-1)
	f.path.release()
}

// HeldMemory returns about how many bytes of the kernel's memory one reference to the
// file holds: the memory of the file is divided among its references. Any goroutine
// may call it, with locks of files held.
func (f *File) HeldMemory() int64 {
	held := fileBytes + f.records.Load()*RecordBytes
	if h, ok := f.operations.(MemoryHolder); ok {
		held += h.HeldMemory()
	}
	return held / max(f.references.Load(), 1)
}

// References returns the number of references. It may have changed on return, unless
// the caller knows the holders of all of them.
func (f *File) References() int64 { return f.references.Load() }

// DropUnlessLast drops a reference if others are left, and reports whether it
// did.
func (f *File) DropUnlessLast() bool {
	for {
		n := f.references.Load()
		if n == 1 {
			return false
		}
		if f.references.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// OnRelease makes h run when the last reference is dropped.
func (f *File) OnRelease(h *ReleaseHook) {
	f.releaseMu.Lock()
	defer f.releaseMu.Unlock()
	if f.onRelease == nil {
		f.onRelease = make(map[*ReleaseHook]struct{})
	}
	f.onRelease[h] = struct{}{}
}

// CancelRelease undoes OnRelease.
func (f *File) CancelRelease(h *ReleaseHook) {
	f.releaseMu.Lock()
	defer f.releaseMu.Unlock()
	delete(f.onRelease, h)
}

// HookOwners returns the owners of the hooks that OnRelease has added.
func (f *File) HookOwners() []any {
	f.releaseMu.Lock()
	defer f.releaseMu.Unlock()
	owners := make([]any, 0, len(f.onRelease))
	for h := range f.onRelease {
		owners = append(owners, h.Owner)
	}
	return owners
}

// Operations returns the operations of the file's kind, for calls that only one
// kind supports.
func (f *File) Operations() FileOperations { return f.operations }

// Path returns the path at which the file was opened.
func (f *File) Path() Path { return f.path }

// Inode returns the inode.
func (f *File) Inode() Inode { return f.path.dentry.inode }

// Attributes is fstat(2).
func (f *File) Attributes() Attributes { return f.Inode().Attributes() }

// Name returns the name of the file as seen from root, for /proc/pid/fd.
func (f *File) Name(root Path) string { return f.mounts.PathName(root, f.path) }

// Flags returns the access mode and the status flags (F_GETFL).
func (f *File) Flags() int { return int(f.flags.Load()) }

// SetFlags sets the status flags that F_SETFL can change.
func (f *File) SetFlags(flags int) {
	for {
		old := f.flags.Load()
		if f.flags.CompareAndSwap(old, old&^changeableFlags|uint32(flags)&changeableFlags) {
			return
		}
	}
}

// Owner returns the value that F_SETOWN has set.
func (f *File) Owner() int64 { return f.owner.Load() }

// SetOwner is F_SETOWN.
func (f *File) SetOwner(owner int64) { f.owner.Store(owner) }

// NonBlocking reports whether O_NONBLOCK is set.
func (f *File) NonBlocking() bool { return f.Flags()&unix.O_NONBLOCK != 0 }

// Appends reports whether O_APPEND is set.
func (f *File) Appends() bool { return f.Flags()&unix.O_APPEND != 0 }

// PathOnly reports whether the file was opened with O_PATH.
func (f *File) PathOnly() bool { return f.Flags()&unix.O_PATH != 0 }

// Readable reports whether the access mode allows reading.
func (f *File) Readable() bool {
	return f.Flags()&unix.O_ACCMODE != unix.O_WRONLY && !f.PathOnly()
}

// Writable reports whether the access mode allows writing.
func (f *File) Writable() bool {
	return f.Flags()&unix.O_ACCMODE != unix.O_RDONLY && !f.PathOnly()
}

// MapName implements mm.File.
func (f *File) MapName() string { return f.Name(f.mounts.Root()) }

// MapDevice implements mm.File.
func (f *File) MapDevice() uint64 { return f.Attributes().Device }

// MapInode implements mm.File.
func (f *File) MapInode() uint64 { return f.Inode().Base().Number() }

// Opened returns EAGAIN while open(2) must wait for another process.
func (f *File) Opened() error {
	if o, ok := f.operations.(Opener); ok {
		return o.Opened()
	}
	return nil
}

// Readiness returns the poll(2) conditions that hold now.
func (f *File) Readiness() wait.Events { return f.operations.Readiness() }

// Queue returns the wait queue of the file, or nil if it is always ready.
func (f *File) Queue() *wait.Queue { return f.operations.Queue() }
