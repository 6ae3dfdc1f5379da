// Package hostfile implements the standard streams that connect a program to the
// host command. An Input receives the bytes that the host command reads from its
// stdin. An Output passes bytes to its stdout or stderr. To programs they are
// pipes.
package hostfile

import (
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs"
	"slowpath/guard"
	"slowpath/wait"
)

// inode is the inode of a stream. A program can open it again through
// /proc/self/fd or /dev/stdin. The new file uses the same stream.
type inode struct {
	fs.InodeBase
	operations fs.FileOperations
}

// Open implements fs.Inode.
func (i *inode) Open(fs.OpenRequest) (fs.FileOperations, error) { return i.operations, nil }

func open(m *fs.Mounts, flags int, operations fs.FileOperations) *fs.File {
	i := &inode{operations: operations}
	i.Init(m.UnnamedNumbers(), fs.NewNode{Mode: unix.S_IFIFO | 0o666})
	return m.OpenInode(i, "pipe:["+strconv.FormatUint(i.Number(), 10)+"]", flags, operations)
}

// Input is a stream of bytes from the host. Flow control is by credit: the host
// may send as many bytes as it has credit for, and gets credit for each byte
// that programs read.
type Input struct {
	fs.FileBase
	credit func(n int)
	queue  wait.Queue

	mu     sync.Mutex // guards the fields below
	buffer []byte
	ended  bool
}

// NewInput returns an input without data. After each read it calls credit with
// the number of bytes read, without locks held. The caller gives the host its
// initial credit.
func NewInput(credit func(n int)) *Input { return &Input{credit: credit} }

// Open returns a new open file that reads from in.
func (in *Input) Open(m *fs.Mounts) *fs.File { return open(m, unix.O_RDONLY, in) }

// Feed appends bytes from the host. It copies p, and does not wait.
func (in *Input) Feed(p []byte) {
	in.mu.Lock()
	in.buffer = append(in.buffer, p...)
	in.mu.Unlock()
	in.queue.Wake(wait.Readable)
}

// End marks the end of the input. Readers see end of file after the buffered
// bytes.
func (in *Input) End() {
	in.mu.Lock()
	in.ended = true
	in.mu.Unlock()
	in.queue.Wake(wait.Readable | wait.Hup)
}

// Read implements fs.FileOperations.
func (in *Input) Read(_ *fs.File, dst fs.Sink, _ int64) (int, error) {
	if dst.Remaining() == 0 {
		return 0, nil
	}
	locked := guard.Lock(&in.mu)
	defer locked.Release()
	if len(in.buffer) == 0 {
		ended := in.ended
		locked.Release()
		if ended {
			return 0, nil
		}
		return 0, unix.EAGAIN
	}
	n, err := dst.Put(in.buffer[:min(len(in.buffer), dst.Remaining())])
	in.buffer = in.buffer[n:]
	if len(in.buffer) == 0 {
		in.buffer = nil
	}
	locked.Release()
	if n > 0 {
		in.credit(n)
	}
	return fs.Moved(n, err)
}

// Readiness implements fs.FileOperations.
func (in *Input) Readiness() wait.Events {
	in.mu.Lock()
	defer in.mu.Unlock()
	var ready wait.Events
	if len(in.buffer) > 0 {
		ready |= wait.Readable
	}
	if in.ended {
		ready |= wait.Hup
	}
	return ready
}

// Queue implements fs.FileOperations.
func (in *Input) Queue() *wait.Queue { return &in.queue }

// Ioctl implements fs.FileOperations.
func (in *Input) Ioctl(_ *fs.File, caller fs.Caller, request uint32, argument uint64) (uint64, error) {
	if request != unix.TIOCINQ {
		return 0, unix.ENOTTY
	}
	in.mu.Lock()
	n := len(in.buffer)
	in.mu.Unlock()
	return 0, abi.CopyOut(caller, argument, int32(n))
}

// Output is a stream of bytes to the host.
type Output struct {
	fs.FileBase
	outlet *Outlet
	queue  wait.Queue
}

// NewOutput returns an output that passes written bytes to send through the spool,
// at most 32 KiB per call. send must not keep p. After send has failed, writes fail
// with EPIPE.
func NewOutput(s *Spool, send func(p []byte) error) *Output {
	out := &Output{}
	out.outlet = s.NewOutlet(send, func() { out.queue.Wake(out.Readiness()) })
	return out
}

// Open returns a new open file that writes to out.
func (out *Output) Open(m *fs.Mounts) *fs.File { return open(m, unix.O_WRONLY, out) }

// atomicWrite is PIPE_BUF: a write of up to atomicWrite bytes is not split.
const atomicWrite = 4096

// Write implements fs.FileOperations. Like a pipe, it takes the bytes for which
// there is room, and drops the page in which user memory faults. Errors: EAGAIN
// without room, EPIPE, EFAULT.
func (out *Output) Write(_ *fs.File, src fs.Source, _ int64) (int, int64, error) {
	if src.Remaining() == 0 {
		return 0, 0, nil
	}
	room, err := out.outlet.reserve(min(src.Remaining(), maxSend))
	switch {
	case err != nil:
		return 0, 0, unix.EPIPE
	case room == 0:
		return 0, 0, unix.EAGAIN
	}
	p, err := fs.GetUnits(src, room, atomicWrite)
	out.outlet.commit(p, room)
	return len(p), 0, err
}

// FillsWrites implements fs.Stream.
func (out *Output) FillsWrites() {}

// Readiness implements fs.FileOperations.
func (out *Output) Readiness() wait.Events {
	room, err := out.outlet.Room()
	switch {
	case err != nil:
		return wait.Err | wait.Writable
	case room < atomicWrite:
		return 0
	}
	return wait.Writable
}

// Queue implements fs.FileOperations.
func (out *Output) Queue() *wait.Queue { return &out.queue }
