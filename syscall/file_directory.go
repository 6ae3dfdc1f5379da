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

// direntFormat is a format of directory entries.
type direntFormat struct {
	overhead int // bytes of a record without the name and the padding: the header, the type, and the NUL
	align    int // of a record, in bytes
	// append appends an entry to records, as a record of size bytes.
	append func(records []byte, e *fs.DirectoryEntry, size int) []byte
}

var (
	dirent64     = direntFormat{direntHeader + 2, 8, appendDirent64}
	dirent       = direntFormat{direntHeader + 2, 8, appendDirent}
	compatDirent = direntFormat{compatDirentHeader + 2, 4, appendCompatDirent}
)

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

func readDirectory(t *task.Task, a *amd64.Args, format *direntFormat) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		start, err := file.Seek(0, unix.SEEK_CUR)
		if err != nil {
			return 0, unix.ENOTDIR
		}
		room := int(min(uint64(uint32(a[2])), maxDirectoryBuffer))
		r := directoryRead{records: make([]byte, 0, room)}
		if err := file.ReadDirectory(func(e fs.DirectoryEntry) bool { return r.add(&e, format) }); err != nil {
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
func (r *directoryRead) add(e *fs.DirectoryEntry, format *direntFormat) bool {
	size := (format.overhead + len(e.Name) + format.align - 1) &^ (format.align - 1)
	if len(r.records)+size > cap(r.records) {
		r.full = true
		return false
	}
	r.records = format.append(r.records, e, size)
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
	return readDirectory(t, a, &dirent64)
}

func sysGetdents(t *task.Task, a *amd64.Args) (uint64, error) {
	return readDirectory(t, a, &dirent)
}
