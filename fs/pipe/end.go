package pipe

import (
	"strconv"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs"
	"slowpath/guard"
	"slowpath/wait"
)

// end implements fs.FileOperations for one open end of a pipe. A FIFO that was
// opened with O_RDWR is both ends.
type end struct {
	fs.FileBase
	pipe           *Pipe
	reads, writes  bool
	waitForReaders uint64 // readerOpens when open(2) began; see Opened
	waitForWriters uint64
	waits          bool // open(2) must wait for the other end
}

// inode is the inode of an unnamed pipe.
type inode struct{ fs.InodeBase }

// Open implements fs.Inode, for /proc/pid/fd. Opening an unnamed pipe never
// waits, because its other end may be closed forever.
func (i *inode) Open(r fs.OpenRequest) (fs.FileOperations, error) { return open(i, r, unnamedPipe) }

// New is pipe2(2). It returns the reading and the writing end. flags may have
// O_NONBLOCK. Errors: ENFILE, ENOMEM.
func New(m *fs.Mounts, caller fs.Caller, flags int) (reader, writer *fs.File, err error) {
	if err := m.Memory().Admit(pipeBytes); err != nil {
		return nil, nil, err
	}
	c := caller.Credentials()
	i := &inode{}
	i.Init(m.UnnamedNumbers(), fs.NewNode{Mode: unix.S_IFIFO | 0o600, UID: c.FSUID, GID: c.FSGID})
	buffer := i.Attachment(func() any { return newPipe(m) }).(*Pipe)
	if err := buffer.begin(m, c); err != nil {
		return nil, nil, err
	}
	buffer.readers, buffer.writers = 1, 1
	buffer.readerOpens, buffer.writerOpens = 1, 1
	label := "pipe:[" + strconv.FormatUint(i.Number(), 10) + "]"
	flags &= unix.O_NONBLOCK
	reader = m.OpenInode(i, label, unix.O_RDONLY|flags, &end{pipe: buffer, reads: true})
	writer = m.OpenInode(i, label, unix.O_WRONLY|flags, &end{pipe: buffer, writes: true})
	return reader, writer, nil
}

// pipeBytes is about what a pipe with its two files needs of the kernel's heap.
const pipeBytes = 2048

// HeldMemory implements fs.MemoryHolder. Both ends hold the ring.
func (e *end) HeldMemory() int64 { return pipeBytes/2 + e.pipe.size.Load()/2 }

// Open opens a FIFO. It does not wait: if open(2) must wait, Opened of the file
// returns EAGAIN. Error: ENXIO for a writer with O_NONBLOCK if there is no
// reader (fifo(7)).
func Open(i fs.Inode, r fs.OpenRequest) (fs.FileOperations, error) { return open(i, r, namedPipe) }

// pipeKind says whether an inode is a FIFO.
type pipeKind bool

const (
	unnamedPipe pipeKind = false
	namedPipe   pipeKind = true // a FIFO: open(2) waits for the other end
)

func open(i fs.Inode, r fs.OpenRequest, kind pipeKind) (fs.FileOperations, error) {
	p := i.Base().Attachment(func() any { return newPipe(r.Mounts) }).(*Pipe)
	e := &end{pipe: p, reads: r.Reads(), writes: r.Writes()}
	nonBlocking := r.Flags&unix.O_NONBLOCK != 0
	locked := guard.Lock(&p.mu)
	defer locked.Release()
	if e.writes && !e.reads && nonBlocking && p.readers == 0 && kind == namedPipe {
		return nil, unix.ENXIO
	}
	if err := p.begin(r.Mounts, r.Caller.Credentials()); err != nil {
		return nil, err
	}
	e.waitForReaders, e.waitForWriters = p.readerOpens, p.writerOpens
	e.waits = kind == namedPipe && !nonBlocking && e.reads != e.writes && (e.reads && p.writers == 0 || e.writes && p.readers == 0)
	if e.reads {
		p.readers++
		p.readerOpens++
	}
	if e.writes {
		p.writers++
		p.writerOpens++
	}
	locked.Release()
	p.queue.Wake(wait.Readable | wait.Writable)
	return e, nil
}

// Opened implements fs.Opener. The other end counts even if it has been closed
// again.
func (e *end) Opened() error {
	if !e.waits {
		return nil
	}
	e.pipe.mu.Lock()
	defer e.pipe.mu.Unlock()
	if e.reads && e.pipe.writerOpens == e.waitForWriters || e.writes && e.pipe.readerOpens == e.waitForReaders {
		return unix.EAGAIN
	}
	return nil
}

// Of returns the pipe of an open file, or nil if the file is not a pipe.
func Of(f *fs.File) *Pipe {
	if e, ok := f.Operations().(*end); ok {
		return e.pipe
	}
	return nil
}

// Read implements fs.FileOperations.
func (e *end) Read(_ *fs.File, dst fs.Sink, _ int64) (int, error) {
	return e.pipe.read(dst, consumeData)
}

// Write implements fs.FileOperations.
func (e *end) Write(_ *fs.File, src fs.Source, _ int64) (int, int64, error) {
	n, err := e.pipe.write(src)
	return n, 0, err
}

// Readiness implements fs.FileOperations.
func (e *end) Readiness() wait.Events {
	p := e.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	var ready wait.Events
	if e.reads {
		if p.length > 0 {
			ready |= wait.Readable
		}
		// A FIFO that no writer has opened yet is not hung up.
		if p.writers == 0 && p.writerOpens > 0 {
			ready |= wait.Hup
		}
	}
	if e.writes {
		if p.freePages() > 0 {
			ready |= wait.Writable
		}
		if p.readers == 0 {
			ready |= wait.Err
		}
	}
	return ready
}

// Queue implements fs.FileOperations.
func (e *end) Queue() *wait.Queue { return &e.pipe.queue }

// Ioctl implements fs.FileOperations.
func (e *end) Ioctl(_ *fs.File, caller fs.Caller, request uint32, argument uint64) (uint64, error) {
	if request != unix.TIOCINQ {
		return 0, unix.ENOTTY
	}
	return 0, abi.CopyOut(caller, argument, int32(e.pipe.Buffered()))
}

// FillsWrites implements fs.Stream.
func (e *end) FillsWrites() {}

// Allocate implements fs.FileOperations: ESPIPE.
func (e *end) Allocate(uint32, int64, int64, func() bool) error { return unix.ESPIPE }

// Release implements fs.FileOperations.
func (e *end) Release() {
	p := e.pipe
	locked := guard.Lock(&p.mu)
	defer locked.Release()
	if e.reads {
		p.readers--
	}
	if e.writes {
		p.writers--
	}
	if p.readers == 0 && p.writers == 0 {
		p.end()
	}
	locked.Release()
	p.queue.Wake(wait.All)
}
