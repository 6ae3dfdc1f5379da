package procfs

import (
	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/mm"
	"slowpath/wait"
)

// memoryInode is /proc/pid/mem, the memory of a process (proc(5)).
type memoryInode struct {
	fs.InodeBase
	process *process
}

// memoryEntry returns the entry of /proc/pid/mem.
func (p *process) memoryEntry() entry {
	return entry{name: "mem", mode: unix.S_IFREG | 0o600, make: func(n fs.NewNode) fs.Inode {
		i := &memoryInode{process: p}
		i.Init(&p.f.numbers, n)
		return i
	}}
}

// Open implements fs.Inode. The file shows the memory that the process has now, also
// after an execve(2). So the access is checked here only, after the memory was taken
// (Linux: proc_mem_open). Errors: EACCES, and ESRCH after the process was released.
func (i *memoryInode) Open(r fs.OpenRequest) (fs.FileOperations, error) {
	p := i.process
	if p.task.Dead() {
		return nil, unix.ESRCH
	}
	space, _ := p.task.Image()
	if space != nil {
		if err := p.checkAccess(identityOf(r.Caller)); err != nil {
			return nil, err
		}
	}
	return &memoryFile{space: space}, nil
}

// Change implements fs.Inode. Truncation succeeds and changes nothing, because
// programs open the file with O_TRUNC.
func (i *memoryInode) Change(c fs.Changes) error {
	if c.Mask == fs.ChangeSize {
		return nil
	}
	return unix.EPERM
}

// memoryFile is an open /proc/pid/mem. Its offsets are user addresses. It does not keep
// the memory alive: it reads as empty after the last task has left it.
type memoryFile struct {
	fs.FileBase
	space *mm.AddressSpace // without a reference; nil if the process had none
}

// Read implements fs.FileOperations. Reads and writes ignore the protection, as those
// of ptrace(2) do. Errors: EIO if nothing is mapped at the offset, EFAULT.
func (f *memoryFile) Read(_ *fs.File, dst fs.Sink, offset int64) (int, error) {
	return f.transfer(dst.Remaining(), uint64(offset), func(page []byte, address uint64) (int, error) {
		n, _ := f.space.ReadRemote(page, address, mm.Forced)
		return fs.PutAll(dst, page[:n])
	})
}

// Write implements fs.FileOperations.
func (f *memoryFile) Write(_ *fs.File, src fs.Source, offset int64) (int, int64, error) {
	n, err := f.transfer(src.Remaining(), uint64(offset), func(page []byte, address uint64) (int, error) {
		if n, err := src.Get(page); err != nil || n < len(page) {
			return 0, unix.EFAULT
		}
		n, _ := f.space.WriteRemote(address, page, mm.Forced)
		fs.Unget(src, len(page)-n)
		return n, nil
	})
	return n, offset + int64(n), err
}

// transfer calls move for n bytes at the address, at most a page at a time. move
// returns how many bytes of the page it has moved. An error of move is the result even
// if bytes were moved before, as in Linux (mem_rw).
func (f *memoryFile) transfer(n int, address uint64, move func(page []byte, address uint64) (int, error)) (int, error) {
	if f.space == nil || n == 0 || !f.space.TryIncRef() {
		return 0, nil
	}
	defer f.space.DecRef()
	page := make([]byte, min(n, mm.PageSize))
	done := 0
	for done < n {
		step, err := move(page[:min(len(page), n-done)], address+uint64(done))
		if err != nil {
			return 0, err
		}
		if step == 0 {
			break
		}
		done += step
	}
	if done == 0 {
		return 0, unix.EIO
	}
	return done, nil
}

// Seekable implements fs.FileOperations.
func (f *memoryFile) Seekable() bool { return true }

// SeekFrom implements fs.FileOperations. Offsets are unsigned, so every one is valid.
// There is no end to seek from: EINVAL.
func (f *memoryFile) SeekFrom(current, offset int64, whence int) (int64, error) {
	switch whence {
	case unix.SEEK_SET:
		return offset, nil
	case unix.SEEK_CUR:
		return current + offset, nil
	}
	return 0, unix.EINVAL
}

// Readiness implements fs.FileOperations.
func (f *memoryFile) Readiness() wait.Events { return wait.Readable | wait.Writable }
