package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/fs/pipe"
	"slowpath/task"
	"slowpath/wait"
)

// transferPiece is how much of a file copy is in kernel memory at a time.
const transferPiece = 64 << 10

// place is one side of a file-to-file copy: a file, and the offset to use
// instead of its own, kept at a user address.
type place struct {
	file    *fs.File
	address uint64 // of the offset; 0 means the file's own
	offset  int64
}

// newPlace reads the offset. ESPIPE for an offset on what has none.
func newPlace(t *task.Task, f *fs.File, address uint64) (*place, error) {
	p := &place{file: f, address: address, offset: currentOffset}
	if address == 0 {
		return p, nil
	}
	if !f.Operations().Seekable() {
		return nil, unix.ESPIPE
	}
	offset, err := abi.CopyIn[int64](t, address)
	p.offset = offset
	if err == nil && p.offset < 0 {
		err = unix.EINVAL
	}
	return p, err
}

// finish stores the offset after count bytes.
func (p *place) finish(t *task.Task, count uint64) error {
	if p.address == 0 {
		return nil
	}
	return abi.CopyOut(t, p.address, p.offset)
}

func (p *place) read(dst fs.Sink) (int, error) {
	if p.offset == currentOffset {
		return p.file.Read(dst)
	}
	n, err := p.file.ReadAt(dst, p.offset)
	p.offset += int64(n)
	return n, err
}

func (p *place) write(src fs.Source) (int, error) {
	if p.offset == currentOffset {
		return p.file.Write(src)
	}
	n, err := p.file.WriteAt(src, p.offset)
	p.offset += int64(n)
	return n, err
}

// unread moves a seekable source back over n bytes that went nowhere.
func (p *place) unread(n int) {
	if p.offset != currentOffset {
		p.offset -= int64(n)
	} else if n > 0 {
		p.file.Seek(-int64(n), unix.SEEK_CUR)
	}
}

// copyFile moves up to count bytes from a seekable file, through kernel
// memory.
func copyFile(t *task.Task, from, to *place, count uint64) (uint64, error) {
	buffer := make([]byte, min(count, transferPiece))
	total := uint64(0)
	for total < count {
		if t.Killed() { // a source without an end must not outlive SIGKILL
			return moved(total, unix.EINTR)
		}
		sink := fs.NewBytesSink(buffer[:min(count-total, transferPiece)])
		n, err := from.read(sink)
		if n == 0 || err != nil {
			return moved(total, err)
		}
		src := fs.NewBytesSource(sink.Bytes())
		written, err := writeFile(t, to.file, src, func() (int, error) { return to.write(src) })
		from.unread(n - int(written))
		total += written
		if err != nil || int(written) < n {
			return moved(total, err)
		}
	}
	return total, nil
}

// moved lets an error count only if nothing was moved.
func moved(total uint64, err error) (uint64, error) {
	if total > 0 {
		return total, nil
	}
	return 0, err
}

// withFiles runs operation on the files of two descriptors.
func withFiles(t *task.Task, a, b uint64, operation func(a, b *fs.File) (uint64, error)) (uint64, error) {
	return withFile(t, a, func(first *fs.File) (uint64, error) {
		return withFile(t, b, func(second *fs.File) (uint64, error) { return operation(first, second) })
	})
}

// sysSendfile is sendfile(2).
func sysSendfile(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFiles(t, a[0], a[1], func(out, in *fs.File) (uint64, error) {
		switch {
		case !in.Readable() || !out.Writable():
			return 0, unix.EBADF
		case !in.Operations().Seekable() || out.Appends():
			return 0, unix.EINVAL
		}
		from, err := newPlace(t, in, a[2])
		if err != nil {
			return 0, err
		}
		n, err := copyFile(t, from, &place{file: out, offset: currentOffset}, min(a[3], fs.MaxTransfer))
		if err != nil {
			return 0, err
		}
		return n, from.finish(t, n)
	})
}

// sysCopyFileRange is copy_file_range(2).
func sysCopyFileRange(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFiles(t, a[0], a[2], func(in, out *fs.File) (uint64, error) {
		from, err := newPlace(t, in, a[1])
		if err != nil {
			return 0, err
		}
		to, err := newPlace(t, out, a[3])
		if err != nil {
			return 0, err
		}
		count := min(a[4], fs.MaxTransfer)
		if err := checkCopyRange(from, to, count, uint32(a[5])); err != nil {
			return 0, err
		}
		n, err := copyFile(t, from, to, count)
		if err != nil {
			return 0, err
		}
		if err := from.finish(t, n); err != nil {
			return 0, err
		}
		return n, to.finish(t, n)
	})
}

func checkCopyRange(from, to *place, count uint64, flags uint32) error {
	in, out := from.file.Attributes(), to.file.Attributes()
	switch {
	case flags != 0:
		return unix.EINVAL
	case in.IsDirectory() || out.IsDirectory():
		return unix.EISDIR
	case !in.IsRegular() || !out.IsRegular():
		return unix.EINVAL
	case !from.file.Readable() || !to.file.Writable() || to.file.Appends():
		return unix.EBADF
	}
	if from.file.Inode() != to.file.Inode() {
		return nil
	}
	a, b := from.start(), to.start()
	if a < b+int64(count) && b < a+int64(count) {
		return unix.EINVAL
	}
	return nil
}

// start is the offset that a copy begins at.
func (p *place) start() int64 {
	if p.offset == currentOffset {
		return p.file.Offset()
	}
	return p.offset
}

// Flags of splice(2); those that only give advice are accepted.
const (
	spliceNonBlock = 2
	spliceFlags    = 0xf
)

// sysSplice is splice(2): one side at least is a pipe.
func sysSplice(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[5]&^spliceFlags != 0 {
		return 0, unix.EINVAL
	}
	return withFiles(t, a[0], a[2], func(in, out *fs.File) (uint64, error) {
		if !in.Readable() || !out.Writable() {
			return 0, unix.EBADF
		}
		inPipe, outPipe := pipe.Of(in), pipe.Of(out)
		if inPipe == nil && outPipe == nil || inPipe == outPipe {
			return 0, unix.EINVAL
		}
		if inPipe != nil && a[1] != 0 || outPipe != nil && a[3] != 0 {
			return 0, unix.ESPIPE
		}
		from, err := newPlace(t, in, a[1])
		if err != nil {
			return 0, err
		}
		to, err := newPlace(t, out, a[3])
		if err != nil {
			return 0, err
		}
		if outPipe == nil && out.Appends() {
			return 0, unix.EINVAL
		}
		n, err := splice(t, from, to, min(a[4], transferPiece), a[5]&spliceNonBlock != 0)
		if err != nil {
			return 0, err
		}
		if err := from.finish(t, n); err != nil {
			return 0, err
		}
		return n, to.finish(t, n)
	})
}

// splice moves what there is, at most count bytes: it waits for the first byte
// and for room, not for all.
func splice(t *task.Task, from, to *place, count uint64, nonBlocking bool) (uint64, error) {
	if count == 0 {
		return 0, nil
	}
	if p := pipe.Of(to.file); p != nil {
		// Not more than fits, so that nothing has to go back.
		room := func() error {
			free, err := p.Room()
			count = min(count, uint64(free))
			return err
		}
		if err := maybeAwait(t, to.file, wait.Writable|ends, nonBlocking, room); err != nil {
			if err == unix.EPIPE {
				brokenPipe(t)
			}
			return 0, err
		}
	}
	sink := fs.NewBytesSink(make([]byte, count))
	read := func() error {
		_, err := from.read(sink)
		return err
	}
	if err := maybeAwait(t, from.file, wait.Readable|ends, nonBlocking, read); err != nil {
		return 0, err
	}
	src := fs.NewBytesSource(sink.Bytes())
	if src.Remaining() == 0 {
		return 0, nil
	}
	return writeFile(t, to.file, src, func() (int, error) { return to.write(src) })
}

func maybeAwait(t *task.Task, f *fs.File, events wait.Events, nonBlocking bool, operation func() error) error {
	if nonBlocking || f.NonBlocking() {
		return operation()
	}
	return await(t, f.Queue(), events, operation)
}

// sysTee is tee(2).
func sysTee(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFiles(t, a[0], a[1], func(in, out *fs.File) (uint64, error) {
		from, to := pipe.Of(in), pipe.Of(out)
		if from == nil || to == nil || from == to || a[3]&^spliceFlags != 0 {
			return 0, unix.EINVAL
		}
		if !in.Readable() || !out.Writable() {
			return 0, unix.EBADF
		}
		nonBlocking := a[3]&spliceNonBlock != 0
		sink := fs.NewBytesSink(make([]byte, min(a[2], transferPiece)))
		err := maybeAwait(t, in, wait.Readable|ends, nonBlocking, func() error {
			_, err := from.Tee(sink)
			return err
		})
		if err != nil {
			return 0, err
		}
		src := fs.NewBytesSource(sink.Bytes())
		var n int
		err = maybeAwait(t, out, wait.Writable|ends, nonBlocking, func() (err error) {
			n, err = out.Write(src)
			return err
		})
		return uint64(n), err
	})
}

// sysVmsplice is vmsplice(2): a copy, which its flags allow.
func sysVmsplice(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[3]&^spliceFlags != 0 {
		return 0, unix.EINVAL
	}
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		if pipe.Of(file) == nil {
			return 0, unix.EBADF
		}
		if file.Writable() {
			return writeVectors(t, a, currentOffset)
		}
		return readVectors(t, a, currentOffset)
	})
}
