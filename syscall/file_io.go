package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/task"
)

func sysRead(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		if !file.Readable() {
			return 0, unix.EBADF
		}
		memory, err := newUserMemory(t, a[1], a[2])
		if err != nil {
			return 0, err
		}
		if a[2] > fs.PauseInterval && file.Alone(t.FDs) {
			memory.unlocked = true
			return readFile(t, file, func() (int, error) { return file.ReadAlone(memory) })
		}
		return readFile(t, file, func() (int, error) { return file.Read(memory) })
	})
}

func sysWrite(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		if !file.Writable() {
			return 0, unix.EBADF
		}
		memory, err := newUserMemory(t, a[1], a[2])
		if err != nil {
			return 0, err
		}
		if err := beforeWrite(t, file, memory, currentOffset); err != nil {
			return 0, err
		}
		return writeFile(t, file, memory, func() (int, error) { return file.Write(memory) })
	})
}

func sysPread64(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		memory, err := newUserMemory(t, a[1], a[2])
		if err != nil {
			return 0, err
		}
		memory.unlocked = true
		return readFile(t, file, func() (int, error) { return file.ReadAt(memory, int64(a[3])) })
	})
}

func sysPwrite64(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		memory, err := newUserMemory(t, a[1], a[2])
		if err != nil {
			return 0, err
		}
		if err := beforeWrite(t, file, memory, int64(a[3])); err != nil {
			return 0, err
		}
		return writeFile(t, file, memory, func() (int, error) { return file.WriteAt(memory, int64(a[3])) })
	})
}

func sysReadv(t *task.Task, a *amd64.Args) (uint64, error) {
	return readVectors(t, a, currentOffset, 0)
}

func sysWritev(t *task.Task, a *amd64.Args) (uint64, error) {
	return writeVectors(t, a, currentOffset, 0)
}

func sysPreadv(t *task.Task, a *amd64.Args) (uint64, error) {
	if int64(a[3]) < 0 {
		return 0, unix.EINVAL
	}
	return readVectors(t, a, int64(a[3]), 0)
}

func sysPwritev(t *task.Task, a *amd64.Args) (uint64, error) {
	if int64(a[3]) < 0 {
		return 0, unix.EINVAL
	}
	return writeVectors(t, a, int64(a[3]), 0)
}

// currentOffset means the file's own offset, as in preadv2(2).
const currentOffset = -1

// harmlessFlags are the flags of preadv2(2) that have no effect without a disk.
const harmlessFlags = unix.RWF_HIPRI | unix.RWF_DSYNC | unix.RWF_SYNC

func sysPreadv2(t *task.Task, a *amd64.Args) (uint64, error) {
	if int64(a[3]) < currentOffset {
		return 0, unix.EINVAL
	}
	return readVectors(t, a, int64(a[3]), a[5])
}

func sysPwritev2(t *task.Task, a *amd64.Args) (uint64, error) {
	if int64(a[3]) < currentOffset {
		return 0, unix.EINVAL
	}
	return writeVectors(t, a, int64(a[3]), a[5])
}

// checkPosition returns ESPIPE if the call has an offset and the file has none. That
// precedes the errors of the access mode, the buffers and the flags.
func checkPosition(file *fs.File, offset int64) error {
	if offset != currentOffset && !file.Operations().Seekable() {
		return unix.ESPIPE
	}
	return nil
}

// checkFlags returns EOPNOTSUPP for flags of preadv2(2) that have an effect, unless
// there are no bytes to transfer.
func checkFlags(memory *userMemory, flags uint64) error {
	if flags&^harmlessFlags != 0 && memory.left > 0 {
		return unix.EOPNOTSUPP
	}
	return nil
}

// readVectors is preadv2(2). offset may be currentOffset.
func readVectors(t *task.Task, a *amd64.Args, offset int64, flags uint64) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		if err := checkPosition(file, offset); err != nil {
			return 0, err
		}
		memory, err := newUserVectors(t, a[1], a[2])
		if err != nil {
			return 0, err
		}
		if !file.Readable() {
			return 0, unix.EBADF
		}
		if err := checkFlags(memory, flags); err != nil {
			return 0, err
		}
		return readFile(t, file, func() (int, error) {
			if offset == currentOffset {
				return file.Read(memory)
			}
			return file.ReadAt(memory, offset)
		})
	})
}

// writeVectors is pwritev2(2). offset may be currentOffset.
func writeVectors(t *task.Task, a *amd64.Args, offset int64, flags uint64) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		if err := checkPosition(file, offset); err != nil {
			return 0, err
		}
		memory, err := newUserVectors(t, a[1], a[2])
		if err != nil {
			return 0, err
		}
		if !file.Writable() {
			return 0, unix.EBADF
		}
		if err := checkFlags(memory, flags); err != nil {
			return 0, err
		}
		if err := beforeWrite(t, file, memory, offset); err != nil {
			return 0, err
		}
		return writeFile(t, file, memory, func() (int, error) {
			if offset == currentOffset {
				return file.Write(memory)
			}
			return file.WriteAt(memory, offset)
		})
	})
}

func sysLseek(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		to, err := file.Seek(int64(a[1]), int(int32(a[2])))
		return uint64(to), err
	})
}

func sysFtruncate(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		if file.Flags()&largeFile == 0 && int64(a[1]) > maxNonLargeFile {
			return 0, unix.EINVAL
		}
		if err := checkFileSize(t, int64(a[1])); err != nil {
			return 0, err
		}
		return 0, file.Truncate(int64(a[1]))
	})
}

func sysTruncate(t *task.Task, a *amd64.Args) (uint64, error) {
	if int64(a[1]) < 0 {
		return 0, unix.EINVAL
	}
	return withName(t, atCWD, a[0], func(at fs.At) error {
		p, err := at.Lookup()
		if err != nil {
			return err
		}
		if err := checkFileSize(t, int64(a[1])); err != nil {
			return err
		}
		return p.Truncate(t, int64(a[1]))
	})
}

func sysFallocate(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		return 0, file.Allocate(uint32(a[1]), int64(a[2]), int64(a[3]), t.Killed)
	})
}

func sysFsync(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) { return 0, file.Sync() })
}

// sysSync is sync(2). It does nothing: all file systems are in memory.
func sysSync(*task.Task, *amd64.Args) (uint64, error) { return 0, nil }

// sysSyncfs is syncfs(2). It only checks the descriptor.
func sysSyncfs(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(*fs.File) (uint64, error) { return 0, nil })
}

// sysSyncFileRange is sync_file_range(2). It only checks its arguments.
func sysSyncFileRange(t *task.Task, a *amd64.Args) (uint64, error) {
	const known = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	if int64(a[1]) < 0 || int64(a[2]) < 0 || uint32(a[3])&^known != 0 {
		return 0, unix.EINVAL
	}
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		if !file.Operations().Seekable() {
			return 0, unix.ESPIPE
		}
		return 0, nil
	})
}

// sysReadahead is readahead(2). It only checks its arguments: all pages are in
// memory already.
func sysReadahead(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		if !file.Readable() {
			return 0, unix.EBADF
		}
		if file.Inode().Base().Type() != unix.S_IFREG {
			return 0, unix.EINVAL
		}
		return 0, nil
	})
}

// sysFadvise64 is posix_fadvise(2). It only checks its arguments: advice has no
// effect on files in memory.
func sysFadvise64(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		if file.Inode().Base().Type() == unix.S_IFIFO {
			return 0, unix.ESPIPE
		}
		if int64(a[2]) < 0 || uint32(a[3]) > unix.FADV_NOREUSE {
			return 0, unix.EINVAL
		}
		return 0, nil
	})
}
