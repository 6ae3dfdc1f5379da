package tracefs

import (
	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/trace"
	"slowpath/wait"
)

// traceFile is an open file trace.
type traceFile struct {
	fs.FileBase
	lister *trace.Lister // nil if the file is not open for reading
	resume func()        // ends a pause; may be nil
}

// openTrace opens the file trace. Its contents are the records, which a read does not
// consume.
func openTrace(s *subject, r fs.OpenRequest) (fs.FileOperations, error) {
	f := &traceFile{}
	if !r.Reads() {
		return f, nil
	}
	f.lister = s.instance.NewLister(s.cpu)
	if s.instance.PausesOnTrace() {
		f.resume = s.instance.Pause()
	}
	return f, nil
}

// Read implements fs.FileOperations.
func (f *traceFile) Read(_ *fs.File, dst fs.Sink, offset int64) (int, error) {
	var stop func() bool
	if task, ok := fs.CallerOf(dst).(interface{ Killed() bool }); ok {
		stop = task.Killed
	}
	return f.lister.Read(offset, func(text []byte) (int, error) {
		return fs.PutAll(dst, text[:min(len(text), dst.Remaining())])
	}, stop)
}

// Write implements fs.FileOperations. What is written has no effect: opening the file with
// O_TRUNC removes the records.
func (f *traceFile) Write(_ *fs.File, src fs.Source, offset int64) (int, int64, error) {
	n := src.Remaining()
	return n, offset + int64(n), nil
}

// Seekable implements fs.FileOperations.
func (f *traceFile) Seekable() bool { return true }

// SeekFrom implements fs.FileOperations. Error: EINVAL for SEEK_END, because the size is
// not known.
func (f *traceFile) SeekFrom(current, offset int64, whence int) (int64, error) {
	switch {
	case f.lister == nil:
		return 0, nil
	case whence != unix.SEEK_SET && whence != unix.SEEK_CUR:
		return 0, unix.EINVAL
	}
	return fs.SeekTo(current, 0, offset, whence)
}

// Release implements fs.FileOperations.
func (f *traceFile) Release() {
	if f.resume != nil {
		f.resume()
	}
}

// HeldMemory implements fs.MemoryHolder.
func (f *traceFile) HeldMemory() int64 {
	if f.lister == nil {
		return 0
	}
	return f.lister.HeldMemory()
}

// snapshotFile is an open file snapshot.
type snapshotFile struct {
	traceFile
	subject *subject
	opener  fs.Caller
}

// openSnapshot opens the file snapshot. Its contents are the records of the snapshot.
func openSnapshot(s *subject, r fs.OpenRequest) (fs.FileOperations, error) {
	f := &snapshotFile{subject: s, opener: r.Caller}
	if r.Reads() {
		f.lister = s.instance.NewSnapshotLister(s.cpu)
	}
	return f, nil
}

// Write implements fs.FileOperations: 0 frees the snapshot, 1 takes one, and another number
// empties it. Errors: EINVAL, ENOMEM.
func (f *snapshotFile) Write(_ *fs.File, src fs.Source, offset int64) (int, int64, error) {
	w, err := readWrite(src, f.opener, f.subject.fs.memory)
	if err != nil {
		return 0, offset, err
	}
	n, err := snapshotCommand(f.subject, w)
	return n, offset + int64(n), err
}

var snapshotCommand = decimalCommand(func(s *subject, n uint64) error {
	if err := s.instance.Expand(); err != nil {
		return err
	}
	switch n {
	case 0:
		return s.instance.FreeSnapshot(s.cpu)
	case 1:
		return s.instance.TakeSnapshot(s.cpu)
	}
	s.instance.ClearSnapshot(s.cpu)
	return nil
})

// pipeFile is an open file trace_pipe.
type pipeFile struct {
	fs.FileBase
	pipe *trace.Pipe
}

// openPipe opens the file trace_pipe. A read consumes the records and waits for them.
func openPipe(s *subject, _ fs.OpenRequest) (fs.FileOperations, error) {
	return &pipeFile{pipe: s.instance.NewPipe(s.cpu)}, nil
}

// Read implements fs.FileOperations.
func (f *pipeFile) Read(_ *fs.File, dst fs.Sink, _ int64) (int, error) {
	if dst.Remaining() == 0 {
		return 0, nil
	}
	return f.pipe.Read(func(text []byte) (int, error) {
		return fs.PutAll(dst, text[:min(len(text), dst.Remaining())])
	})
}

// HeldMemory implements fs.MemoryHolder.
func (f *pipeFile) HeldMemory() int64 { return f.pipe.HeldMemory() }

// Readiness implements fs.FileOperations.
func (f *pipeFile) Readiness() wait.Events { return readable(f.pipe.Ready()) }

// Queue implements fs.FileOperations.
func (f *pipeFile) Queue() *wait.Queue { return f.pipe.Queue() }

func readable(ready bool) wait.Events {
	if ready {
		return wait.Readable
	}
	return 0
}

// rawFile is an open file trace_pipe_raw.
type rawFile struct {
	fs.FileBase
	raw *trace.Raw
}

// openRaw opens the file trace_pipe_raw.
func openRaw(s *subject, _ fs.OpenRequest) (fs.FileOperations, error) {
	return &rawFile{raw: s.instance.NewRaw(s.cpu)}, nil
}

// Read implements fs.FileOperations.
func (f *rawFile) Read(_ *fs.File, dst fs.Sink, _ int64) (int, error) {
	limit := dst.Remaining()
	if limit == 0 {
		return 0, nil
	}
	return f.raw.Read(limit, func(bytes []byte) (int, error) { return fs.PutAll(dst, bytes[:min(len(bytes), limit)]) })
}

// ReadSplice implements fs.SpliceReader.
func (f *rawFile) ReadSplice(_ *fs.File, dst fs.Sink) (int, error) {
	return f.raw.Splice(dst.Remaining(), dst.Put)
}

// HeldMemory implements fs.MemoryHolder.
func (f *rawFile) HeldMemory() int64 { return f.raw.HeldMemory() }

// Readiness implements fs.FileOperations.
func (f *rawFile) Readiness() wait.Events { return readable(f.raw.Ready()) }

// Queue implements fs.FileOperations.
func (f *rawFile) Queue() *wait.Queue { return f.raw.Queue() }

// markerFile is an open file trace_marker or trace_marker_raw.
type markerFile struct {
	fs.FileBase
	instance *trace.Instance
	raw      bool
	opener   trace.Task
}

// openMarker returns a function that opens the file trace_marker or trace_marker_raw.
func openMarker(raw bool) func(s *subject, r fs.OpenRequest) (fs.FileOperations, error) {
	return func(s *subject, r fs.OpenRequest) (fs.FileOperations, error) {
		return &markerFile{instance: s.instance, raw: raw, opener: identityOf(r.Caller)}, nil
	}
}

// identity is a caller that may have exited.
type identity struct {
	tid, pid int
	comm     string
}

// identityOf returns what a record needs of the caller.
func identityOf(c fs.Caller) trace.Task {
	i := identity{tid: int(c.ThreadID()), pid: int(c.ProcessID())}
	if named, ok := c.(interface{ Comm() string }); ok {
		i.comm = named.Comm()
	}
	return i
}

// TID implements trace.Task.
func (i identity) TID() int { return i.tid }

// PID implements trace.Task.
func (i identity) PID() int { return i.pid }

// Comm implements trace.Task.
func (i identity) Comm() string { return i.comm }

// faulted is stored in place of a text that cannot be read.
const faulted = "<faulted>"

// Write implements fs.FileOperations: it stores a record. Errors: EINVAL if the option
// markers is off or the data is too short or too long, EBADF if the instance is off,
// EFAULT.
func (f *markerFile) Write(_ *fs.File, src fs.Source, _ int64) (int, int64, error) {
	if !f.instance.Marks() {
		return 0, 0, unix.EINVAL
	}
	var t trace.Task = f.opener
	if writer, ok := fs.CallerOf(src).(trace.Task); ok {
		t = writer
	}
	if f.raw {
		return f.writeRaw(t, src)
	}
	text, err := fs.GetAll(src, trace.MaxMark)
	if err != nil {
		f.instance.Mark(t, []byte(faulted))
		return 0, 0, err
	}
	if len(text) == 0 {
		return 0, 0, nil
	}
	if !f.instance.Mark(t, text) {
		return 0, 0, unix.EBADF
	}
	return len(text), 0, nil
}

func (f *markerFile) writeRaw(t trace.Task, src fs.Source) (int, int64, error) {
	const idBytes = 4
	if n := src.Remaining(); n < idBytes || n > trace.MaxRawMark {
		return 0, 0, unix.EINVAL
	}
	data, err := fs.GetAll(src, trace.MaxRawMark)
	if err != nil {
		return 0, 0, err
	}
	if !f.instance.MarkRaw(t, data) {
		return 0, 0, unix.EBADF
	}
	return len(data), 0, nil
}

// freeFile is an open file free_buffer. Its release gives the memory of the rings back.
type freeFile struct {
	fs.FileBase
	instance *trace.Instance
}

func openFree(s *subject, _ fs.OpenRequest) (fs.FileOperations, error) {
	return &freeFile{instance: s.instance}, nil
}

// Write implements fs.FileOperations. What is written has no effect.
func (f *freeFile) Write(_ *fs.File, src fs.Source, _ int64) (int, int64, error) {
	return src.Remaining(), 0, nil
}

// Release implements fs.FileOperations.
func (f *freeFile) Release() {
	if f.instance.StopsOnFree() {
		f.instance.SetOn(false)
	}
	f.instance.Free()
}
