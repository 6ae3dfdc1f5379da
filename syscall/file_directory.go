package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/task"
)

// maxDirectoryBuffer is the most bytes that one getdents call returns.
const maxDirectoryBuffer = 64 << 10

// appendEntry appends a directory entry to records, as a record of size bytes.
type appendEntry func(records []byte, e *fs.DirectoryEntry, size int) []byte

// appendDirent64 appends a struct linux_dirent64.
func appendDirent64(records []byte, e *fs.DirectoryEntry, size int) []byte {
	header := abi.Dirent64{Ino: e.Inode, Off: e.Next, Reclen: uint16(size), Type: uint8(e.Type >> 12)}
	end := len(records) + size
	records = append(records, abi.Bytes(&header)[:direntHeader+1]...)
	records = append(records, e.Name...)
	return append(records, make([]byte, end-len(records))...)
}

// appendDirent appends a struct linux_dirent, whose last byte is the type.
func appendDirent(records []byte, e *fs.DirectoryEntry, size int) []byte {
	header := abi.Dirent{Ino: e.Inode, Off: e.Next, Reclen: uint16(size)}
	end := len(records) + size
	records = append(records, abi.Bytes(&header)[:direntHeader]...)
	records = append(records, e.Name...)
	records = append(records, make([]byte, end-len(records))...)
	records[end-1] = uint8(e.Type >> 12)
	return records
}

// direntHeader is the size of a struct linux_dirent up to the name. In a struct
// linux_dirent64 the type precedes the name.
const direntHeader = 18

// entryOverhead is the size of a record without the name and the padding: the
// header, the type, and the NUL after the name.
const entryOverhead = direntHeader + 2

// directoryRead is the state of one getdents call. It keeps the end of each
// record, because a fault may cut the copy to user memory short. The next call
// then starts with the first record that was not copied.
type directoryRead struct {
	records []byte
	ends    []recordEnd
	full    bool // a record did not fit
}

// recordEnd is the end of a record: the size of all records up to it in bytes,
// and the directory position after it.
type recordEnd struct {
	size     int
	position int64
}

func readDirectory(t *task.Task, a *amd64.Args, appendTo appendEntry) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		start, err := file.Seek(0, unix.SEEK_CUR)
		if err != nil {
			return 0, unix.ENOTDIR
		}
		room := int(min(uint64(uint32(a[2])), maxDirectoryBuffer))
		r := directoryRead{records: make([]byte, 0, room)}
		if err := file.ReadDirectory(func(e fs.DirectoryEntry) bool { return r.add(&e, appendTo) }); err != nil {
			return 0, err
		}
		if len(r.ends) == 0 && r.full {
			return 0, unix.EINVAL
		}
		n, err := t.CopyOutSome(a[1], r.records)
		if err == nil {
			return uint64(n), nil
		}
		last := r.complete(n, start)
		if _, seekErr := file.Seek(last.position, unix.SEEK_SET); seekErr != nil {
			return 0, seekErr
		}
		return moved(uint64(last.size), err)
	})
}

// add appends a record. It returns false if the record does not fit.
func (r *directoryRead) add(e *fs.DirectoryEntry, appendTo appendEntry) bool {
	size := (entryOverhead + len(e.Name) + 7) &^ 7
	if len(r.records)+size > cap(r.records) {
		r.full = true
		return false
	}
	r.records = appendTo(r.records, e, size)
	r.ends = append(r.ends, recordEnd{len(r.records), e.Next})
	return true
}

// complete returns the end of the last record that is entirely within the first
// n bytes. If there is none, the call ends at position start with size 0.
func (r *directoryRead) complete(n int, start int64) recordEnd {
	last := recordEnd{0, start}
	for _, end := range r.ends {
		if end.size <= n {
			last = end
		}
	}
	return last
}

func sysGetdents64(t *task.Task, a *amd64.Args) (uint64, error) {
	return readDirectory(t, a, appendDirent64)
}

func sysGetdents(t *task.Task, a *amd64.Args) (uint64, error) {
	return readDirectory(t, a, appendDirent)
}
