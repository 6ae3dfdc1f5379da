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

func readDirectory(t *task.Task, f *amd64.Frame, pack packEntry) (uint64, error) {
	return withFile(t, f.RDI, func(file *fs.File) (uint64, error) {
		room := int(min(uint64(uint32(f.RDX)), maxDirectoryBuffer))
		buffer := make(packer, 0, room)
		refused := false
		err := file.ReadDirectory(func(e fs.DirectoryEntry) bool {
			size := (entryHeader + len(e.Name) + 7) &^ 7
			if len(buffer)+size > room {
				refused = true
				return false
			}
			pack(&buffer, &e, size)
			return true
		})
		if err != nil {
			return 0, err
		}
		if len(buffer) == 0 && refused {
			return 0, unix.EINVAL
		}
		return uint64(len(buffer)), t.CopyOut(f.RSI, buffer)
	})
}

func sysGetdents64(t *task.Task, f *amd64.Frame) (uint64, error) {
	return readDirectory(t, f, packEntry64)
}

func sysGetdents(t *task.Task, f *amd64.Frame) (uint64, error) {
	return readDirectory(t, f, packEntryOld)
}
