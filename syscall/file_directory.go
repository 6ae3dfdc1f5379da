package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/task"
)

// maxDirectoryBuffer is the most that one getdents fills, in bytes.
const maxDirectoryBuffer = 64 << 10

// packEntry appends one record to the buffer of a getdents call.
type packEntry func(p *packer, e *fs.DirectoryEntry, size int)

// packEntry64 lays out struct linux_dirent64.
func packEntry64(p *packer, e *fs.DirectoryEntry, size int) {
	start := len(*p)
	p.u64(e.Inode)
	p.i64(e.Next)
	p.u16(uint16(size))
	*p = append(*p, byte(e.Type>>12))
	*p = append(*p, e.Name...)
	p.zeros(size - (len(*p) - start))
}

// packEntryOld lays out struct linux_dirent, which has the type at its end.
func packEntryOld(p *packer, e *fs.DirectoryEntry, size int) {
	start := len(*p)
	p.u64(e.Inode)
	p.i64(e.Next)
	p.u16(uint16(size))
	*p = append(*p, e.Name...)
	p.zeros(size - 1 - (len(*p) - start))
	*p = append(*p, byte(e.Type>>12))
}

// entryHeader is what both layouts have besides the name: 19 bytes with the
// type, and the name's end.
const entryHeader = 20

// directoryRead is one getdents call: the records, and where each ends, so that
// those the user's buffer cannot take are read again by the next call.
type directoryRead struct {
	records packer
	ends    []recordEnd
	refused bool // a record did not fit
}

// recordEnd is where a record ends in the buffer, and the position behind it.
type recordEnd struct {
	size     int
	position int64
}

func readDirectory(t *task.Task, a *amd64.Args, pack packEntry) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		start, err := file.Seek(0, unix.SEEK_CUR)
		if err != nil {
			return 0, unix.ENOTDIR
		}
		room := int(min(uint64(uint32(a[2])), maxDirectoryBuffer))
		r := directoryRead{records: make(packer, 0, room)}
		if err := file.ReadDirectory(func(e fs.DirectoryEntry) bool { return r.add(&e, pack) }); err != nil {
			return 0, err
		}
		if len(r.ends) == 0 && r.refused {
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
		return partial(uint64(last.size), err)
	})
}

// add appends a record, unless it does not fit.
func (r *directoryRead) add(e *fs.DirectoryEntry, pack packEntry) bool {
	size := (entryHeader + len(e.Name) + 7) &^ 7
	if len(r.records)+size > cap(r.records) {
		r.refused = true
		return false
	}
	pack(&r.records, e, size)
	r.ends = append(r.ends, recordEnd{len(r.records), e.Next})
	return true
}

// complete returns the end of the last record of which all is in the first n
// bytes, or the position at which the call began.
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
	return readDirectory(t, a, packEntry64)
}

func sysGetdents(t *task.Task, a *amd64.Args) (uint64, error) {
	return readDirectory(t, a, packEntryOld)
}
