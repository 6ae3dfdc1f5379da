package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/fs/pipe"
	"slowpath/task"
	"slowpath/wait"
)

// copyBufferSize is the size in bytes of the kernel buffer for a copy between
// files.
const copyBufferSize = 64 << 10

// copySide is one side of a copy between files: a file, and an optional offset
// in user memory that is used instead of the file's own.
type copySide struct {
	file    *fs.File
	address uint64 // of the offset; 0 to use the file's own offset
	offset  int64
}

// newCopySide reads the offset at address. Errors: EFAULT, EINVAL for a
// negative offset, ESPIPE if the file is not seekable.
func newCopySide(t *task.Task, f *fs.File, address uint64) (_ *copySide, err error) {
	p := &copySide{file: f, address: address, offset: currentOffset}
	if address == 0 {
		return p, nil
	}
	if !f.Operations().Seekable() {
		return nil, unix.ESPIPE
	}
	p.offset, err = copyInOffset(t, address)
	if err == nil && p.offset < 0 {
		err = unix.EINVAL
	}
	return p, err
}

// finish stores the new offset in user memory.
func (p *copySide) finish(t *task.Task) error {
	if p.address == 0 {
		return nil
	}
	return copyOutOffset(t, p.address, p.offset)
}

func (p *copySide) read(dst fs.Sink) (int, error) {
	if p.offset == currentOffset {
		return p.file.Read(dst)
	}
	n, err := p.file.ReadAt(dst, p.offset)
	p.offset += int64(n)
	return n, err
}

// readSplice is read for splice(2).
func (p *copySide) readSplice(dst fs.Sink) (int, error) {
	if p.offset == currentOffset {
		return p.file.ReadSplice(dst)
	}
	return p.read(dst)
}

func (p *copySide) write(src fs.Source) (int, error) {
	if p.offset == currentOffset {
		return p.file.Write(src)
	}
	n, err := p.file.WriteAt(src, p.offset)
	p.offset += int64(n)
	return n, err
}

// unread gives the source back the bytes rest, which were read but not written: it
// moves the offset of a seekable source back, and puts the bytes back into a pipe.
func (p *copySide) unread(rest []byte) {
	from := pipe.Of(p.file)
	switch {
	case from != nil:
		from.Unread(rest)
	case p.offset != currentOffset:
		p.offset -= int64(len(rest))
	case len(rest) > 0:
		p.file.Seek(-int64(len(rest)), unix.SEEK_CUR)
	}
}

// copyBuffer returns a kernel buffer of up to copyBufferSize bytes for a copy of count
// bytes. A task keeps it while it waits for one of the two files. Error: ENOMEM.
func copyBuffer(t *task.Task, count uint64) ([]byte, error) {
	memory, size := t.Kernel().Memory(), min(count, copyBufferSize)
	if err := memory.Reserve(int64(size)); err != nil {
		return nil, err
	}
	defer memory.Unreserve(int64(size))
	return make([]byte, size), nil
}

// copyFile copies up to count bytes from a seekable file through a kernel
// buffer, and returns the number of bytes copied.
func copyFile(t *task.Task, from, to *copySide, count uint64) (uint64, error) {
	buffer, err := copyBuffer(t, count)
	if err != nil {
		return 0, err
	}
	total := uint64(0)
	for total < count {
		if t.Killed() { // an endless source such as /dev/zero must not delay SIGKILL
			return moved(total, unix.EINTR)
		}
		t.CondResched()
		sink := fs.NewBytesSink(buffer[:min(count-total, copyBufferSize)])
		n, err := from.read(sink)
		if n == 0 || err != nil {
			return moved(total, err)
		}
		src := fs.NewBytesSource(sink.Bytes())
		written, err := writeFile(t, to.file, src, func() (int, error) { return to.write(src) })
		from.unread(sink.Bytes()[written:])
		total += written
		if err != nil || int(written) < n {
			return moved(total, err)
		}
	}
	return total, nil
}

// moved returns the result of a call that moved total bytes before err: the
// error is reported only if total is 0.
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
	if a[2] != 0 { // Linux reads the offset before it looks at the files
		if _, err := copyInOffset(t, a[2]); err != nil {
			return 0, err
		}
	}
	return withFiles(t, a[0], a[1], func(out, in *fs.File) (uint64, error) {
		switch {
		case !in.Readable() || !out.Writable():
			return 0, unix.EBADF
		case !in.Operations().Seekable() || out.Appends():
			return 0, unix.EINVAL
		}
		from, err := newCopySide(t, in, a[2])
		if err != nil {
			return 0, err
		}
		n, err := copyFile(t, from, &copySide{file: out, offset: currentOffset}, min(a[3], fs.MaxTransfer))
		t.Accounting.CountRead(n)
		if err != nil {
			return 0, err
		}
		return n, from.finish(t)
	})
}

// sysCopyFileRange is copy_file_range(2).
func sysCopyFileRange(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFiles(t, a[0], a[2], func(in, out *fs.File) (uint64, error) {
		from, err := newCopySide(t, in, a[1])
		if err != nil {
			return 0, err
		}
		to, err := newCopySide(t, out, a[3])
		if err != nil {
			return 0, err
		}
		count := min(a[4], fs.MaxTransfer)
		if err := checkCopyRange(from, to, count, uint32(a[5])); err != nil {
			return 0, err
		}
		// The copy may extend the source, if it is the same file.
		count = min(count, uint64(max(in.Attributes().Size-from.start(), 0)))
		n, err := copyFile(t, from, to, count)
		t.Accounting.CountRead(n)
		if err != nil {
			return 0, err
		}
		if err := from.finish(t); err != nil {
			return 0, err
		}
		return n, to.finish(t)
	})
}

func checkCopyRange(from, to *copySide, count uint64, flags uint32) error {
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

// start returns the offset at which the copy begins.
func (p *copySide) start() int64 {
	if p.offset == currentOffset {
		return p.file.Offset()
	}
	return p.offset
}

// Flags of splice(2). SPLICE_F_MOVE, SPLICE_F_MORE and SPLICE_F_GIFT are hints,
// which are accepted and ignored.
const (
	spliceNonBlock = 2
	spliceFlags    = 0xf
)

// sysSplice is splice(2). At least one side must be a pipe.
func sysSplice(t *task.Task, a *amd64.Args) (uint64, error) {
	if uint32(a[5])&^spliceFlags != 0 {
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
		from, err := newCopySide(t, in, a[1])
		if err != nil {
			return 0, err
		}
		to, err := newCopySide(t, out, a[3])
		if err != nil {
			return 0, err
		}
		if outPipe == nil && out.Appends() {
			return 0, unix.EINVAL
		}
		n, err := splice(t, from, to, min(a[4], copyBufferSize), a[5]&spliceNonBlock != 0)
		if err != nil {
			return 0, err
		}
		if err := from.finish(t); err != nil {
			return 0, err
		}
		return n, to.finish(t)
	})
}

// splice waits until the destination has room and the source has data. Then it
// moves the available bytes, at most count.
func splice(t *task.Task, from, to *copySide, count uint64, nonBlocking bool) (uint64, error) {
	if count == 0 {
		return 0, nil
	}
	if p := pipe.Of(to.file); p != nil {
		// Read no more than fits, because data cannot be put back.
		room := func() error {
			free, err := p.Room()
			count = min(count, uint64(free))
			return err
		}
		if err := awaitIfBlocking(t, to.file, wait.Writable|ends, nonBlocking, room); err != nil {
			if err == unix.EPIPE {
				brokenPipe(t)
			}
			return 0, err
		}
	}
	buffer, err := copyBuffer(t, count)
	if err != nil {
		return 0, err
	}
	sink := fs.NewBytesSink(buffer)
	read := func() error {
		_, err := from.readSplice(sink)
		return err
	}
	if err := awaitIfBlocking(t, from.file, wait.Readable|ends, nonBlocking, read); err != nil {
		return 0, err
	}
	src := fs.NewBytesSource(sink.Bytes())
	if src.Remaining() == 0 {
		return 0, nil
	}
	n, err := writeSpliced(t, from, to, src, nonBlocking)
	from.unread(sink.Bytes()[n:])
	return n, err
}

// writeSpliced writes the bytes of src, which come from a file that may not take
// them back. If it does, the call ends when the destination is full in non-blocking
// mode; otherwise the destination is a pipe that had room for them.
func writeSpliced(t *task.Task, from, to *copySide, src fs.Source, nonBlocking bool) (uint64, error) {
	write := func() (int, error) { return to.write(src) }
	if !nonBlocking || pipe.Of(from.file) == nil && !from.file.Operations().Seekable() {
		return writeFile(t, to.file, src, write)
	}
	n, err := write()
	if err == unix.EPIPE {
		brokenPipe(t)
	}
	return uint64(n), err
}

// awaitIfBlocking is await on f's queue, but calls operation only once if
// nonBlocking is set or f is in non-blocking mode.
func awaitIfBlocking(t *task.Task, f *fs.File, events wait.Events, nonBlocking bool, operation func() error) error {
	if nonBlocking || f.NonBlocking() {
		return operation()
	}
	return await(t, f.Queue(), events, operation)
}

// sysTee is tee(2).
func sysTee(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFiles(t, a[0], a[1], func(in, out *fs.File) (uint64, error) {
		from, to := pipe.Of(in), pipe.Of(out)
		if from == nil || to == nil || from == to || uint32(a[3])&^spliceFlags != 0 {
			return 0, unix.EINVAL
		}
		if !in.Readable() || !out.Writable() {
			return 0, unix.EBADF
		}
		nonBlocking := a[3]&spliceNonBlock != 0
		buffer, err := copyBuffer(t, a[2])
		if err != nil {
			return 0, err
		}
		sink := fs.NewBytesSink(buffer)
		err = awaitIfBlocking(t, in, wait.Readable|ends, nonBlocking, func() error {
			_, err := from.Tee(sink)
			return err
		})
		if err != nil {
			return 0, err
		}
		src := fs.NewBytesSource(sink.Bytes())
		var n int
		err = awaitIfBlocking(t, out, wait.Writable|ends, nonBlocking, func() (err error) {
			n, err = out.Write(src)
			return err
		})
		return uint64(n), err
	})
}

// sysVmsplice is vmsplice(2). It copies the user's pages, because SPLICE_F_GIFT
// is only a hint.
func sysVmsplice(t *task.Task, a *amd64.Args) (uint64, error) {
	if uint32(a[3])&^spliceFlags != 0 {
		return 0, unix.EINVAL
	}
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		if pipe.Of(file) == nil {
			return 0, unix.EBADF
		}
		memory, err := newUserVectors(t, a[1], a[2])
		if err != nil || memory.left == 0 {
			return 0, err
		}
		nonBlocking := a[3]&spliceNonBlock != 0
		if file.Writable() {
			return spliceIn(t, file, memory, nonBlocking)
		}
		var n int
		err = awaitIfBlocking(t, file, wait.Readable|ends, nonBlocking, func() (err error) {
			n, err = file.Read(memory)
			return err
		})
		return uint64(n), err
	})
}

// spliceIn moves user memory into a pipe, page by page. It waits only for the first
// unused page, and returns when there is no other.
func spliceIn(t *task.Task, file *fs.File, memory *userMemory, nonBlocking bool) (uint64, error) {
	var total uint64
	add := func() error {
		n, err := pipe.Of(file).AddPage(memory, memory.pageLeft())
		total += uint64(n)
		return err
	}
	err := awaitIfBlocking(t, file, wait.Writable|ends, nonBlocking, add)
	for err == nil && memory.left > 0 {
		err = add()
	}
	if err == unix.EPIPE {
		brokenPipe(t)
	}
	return moved(total, err)
}
