package initramfs

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"slowpath/fs/cpio"
)

// inode identifies a file of the host.
type inode struct{ device, number uint64 }

// HostDirectory adds the content of a host's directory at the root: regular
// files, directories, symbolic links, hard links and fifos with their
// permissions and times. It skips devices and sockets, because the kernel has
// its own. It also skips files that the user may not read, and returns their
// paths. It fails, with a sentence for the user, if directory is not a
// directory, a file is larger than 4 GiB, or a file vanishes during the walk.
func (t *Tree) HostDirectory(directory string) (unreadable []string, err error) {
	info, err := os.Stat(directory)
	if err != nil {
		return nil, fmt.Errorf("cannot pack the root directory: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("cannot pack %s as the root: it is not a directory", directory)
	}
	seen := make(map[inode]*file)
	err = filepath.WalkDir(directory, func(source string, entry fs.DirEntry, err error) error {
		relative, _ := filepath.Rel(directory, source)
		name := path.Clean("/" + filepath.ToSlash(relative))
		if err != nil {
			unreadable = append(unreadable, name)
			return nil
		}
		readable, err := t.hostEntry(name, source, entry, seen)
		if !readable {
			unreadable = append(unreadable, name)
		}
		return err
	})
	return unreadable, err
}

// hostEntry adds one file. readable is false if it was skipped because it
// cannot be read.
func (t *Tree) hostEntry(name, source string, entry fs.DirEntry, seen map[inode]*file) (readable bool, err error) {
	info, err := entry.Info()
	if err != nil {
		return false, nil
	}
	stat := info.Sys().(*syscall.Stat_t)
	f := &file{source: source, header: cpio.Header{
		Mode: stat.Mode, UID: stat.Uid, GID: stat.Gid, Links: 1, ModTime: uint32(stat.Mtim.Sec),
	}}
	switch stat.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		return t.hostRegular(name, f, stat, seen)
	case syscall.S_IFLNK:
		target, err := os.Readlink(source)
		if err != nil {
			return false, nil
		}
		f.data, f.header.Size = []byte(target), uint32(len(target))
	case syscall.S_IFDIR:
		f.header.Links = 2
	case syscall.S_IFIFO:
	default:
		return true, nil
	}
	f.source = ""
	t.put(name, f)
	return true, nil
}

// hostRegular adds a regular file, or a further hard link to one that was added
// before.
func (t *Tree) hostRegular(name string, f *file, stat *syscall.Stat_t, seen map[inode]*file) (readable bool, err error) {
	if stat.Size > math.MaxUint32 {
		return true, fmt.Errorf("cannot pack %s: it has %d bytes, and a file in the initramfs is limited to 4 GiB", f.source, stat.Size)
	}
	f.header.Size = uint32(stat.Size)
	id := inode{uint64(stat.Dev), stat.Ino}
	if first := seen[id]; first != nil && stat.Nlink > 1 {
		t.put(name, &file{link: first})
		return true, nil
	}
	probe, err := os.Open(f.source)
	if err != nil {
		return false, nil
	}
	probe.Close()
	seen[id] = f
	t.put(name, f)
	return true, nil
}
