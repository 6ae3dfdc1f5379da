// Package initramfs builds, on the host, the archive from which the kernel
// fills its root file system: a directory packed as it is, or the program that
// is to run with what it needs to start.
package initramfs

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path"
	"sort"
	"strings"

	"slowpath/fs/cpio"
)

// Tree is the root file system to be: files by their path in the guest. The
// zero value is not ready; use [NewTree].
type Tree struct {
	files     map[string]*file
	lastInode uint32
}

// file is one member of the archive.
type file struct {
	header cpio.Header
	data   []byte // content or target, unless source is set
	source string // path on the host to read the content from
	link   *file  // for a hard link, the file that it is another name of
}

// NewTree returns a tree that has only the root directory.
func NewTree() *Tree {
	t := &Tree{files: make(map[string]*file)}
	t.put("/", &file{header: cpio.Header{Mode: cpio.ModeDir | 0o755, Links: 2}})
	return t
}

// put adds a file under a clean absolute path, with the directories above it.
// An entry of that path is replaced.
func (t *Tree) put(name string, f *file) {
	if parent := path.Dir(name); parent != name && t.files[parent] == nil {
		t.Directory(parent, 0o755)
	}
	if f.link == nil {
		t.lastInode++
		f.header.Inode = t.lastInode
	}
	f.header.Name = strings.TrimPrefix(name, "/")
	t.files[name] = f
}

// Has reports whether the tree has a file of that absolute path, of any type.
func (t *Tree) Has(name string) bool { return t.files[path.Clean(name)] != nil }

// Directory adds a directory with the permissions of mode (0o7777), and those
// above it where there are none. A file of that path is replaced.
func (t *Tree) Directory(name string, mode uint32) {
	t.put(path.Clean("/"+name), &file{header: cpio.Header{Mode: cpio.ModeDir | mode, Links: 2}})
}

// File adds a regular file with the permissions of mode and the given content,
// which must not change any more and have less than 4 GiB, and the directories
// above it. A file of that path is replaced.
func (t *Tree) File(name string, mode uint32, content []byte) {
	t.put(path.Clean("/"+name), &file{
		header: cpio.Header{Mode: cpio.ModeRegular | mode, Links: 1, Size: uint32(len(content))},
		data:   content,
	})
}

// Symlink adds a symbolic link to target, which need not be there, and the
// directories above it. A file of that path is replaced.
func (t *Tree) Symlink(name, target string) {
	t.put(path.Clean("/"+name), &file{
		header: cpio.Header{Mode: cpio.ModeSymlink | 0o777, Links: 1, Size: uint32(len(target))},
		data:   []byte(target),
	})
}

// HostFile adds a copy of a regular file of the host, with its permissions
// and modification time. Symbolic links on the host are followed. It fails when
// there is no such file, for what is no regular file, and above 4 GiB, with a
// sentence for the user; the content is read by Archive.
func (t *Tree) HostFile(name, source string) error {
	info, err := os.Stat(source)
	if err != nil {
		return fmt.Errorf("cannot pack %s: %w", source, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("cannot pack %s: it is not a regular file", source)
	}
	if info.Size() > math.MaxUint32 {
		return fmt.Errorf("cannot pack %s: it has %d bytes, and the initramfs holds files up to 4 GiB", source, info.Size())
	}
	t.put(path.Clean("/"+name), &file{
		header: cpio.Header{
			Mode:    cpio.ModeRegular | uint32(info.Mode().Perm()),
			Links:   1,
			Size:    uint32(info.Size()),
			ModTime: uint32(info.ModTime().Unix()),
		},
		source: source,
	})
	return nil
}

// Archive returns the tree as a newc archive. Directories come before what is
// in them, and the same tree always gives the same bytes. It fails when a file
// of the host can no longer be read, or has a name too long for the format.
func (t *Tree) Archive() ([]byte, error) {
	names := make([]string, 0, len(t.files))
	for name := range t.files {
		names = append(names, name)
	}
	sort.Strings(names)
	t.countLinks(names)
	var archive bytes.Buffer
	w := cpio.NewWriter(&archive)
	for _, name := range names {
		if err := t.files[name].write(w); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}

// countLinks gives hard links of each other the same header but for the name,
// and the content to the last of them, as the format wants it.
func (t *Tree) countLinks(names []string) {
	groups := make(map[*file][]*file)
	for _, name := range names {
		if f := t.files[name]; f.link != nil {
			groups[f.link] = append(groups[f.link], f)
		} else if f.header.Mode&cpio.ModeType == cpio.ModeRegular {
			groups[f] = append(groups[f], f)
		}
	}
	for first, group := range groups {
		header, data, source := first.header, first.data, first.source
		header.Links = uint32(len(group))
		for i, f := range group {
			header.Name = f.header.Name
			f.header, f.data, f.source = header, data, source
			if i < len(group)-1 {
				f.header.Size, f.data, f.source = 0, nil, ""
			}
		}
	}
}

// write adds the file to the archive.
func (f *file) write(w *cpio.Writer) error {
	content := f.data
	header := f.header
	if header.Name == "" {
		header.Name = "."
	}
	if f.source != "" {
		var err error
		if content, err = os.ReadFile(f.source); err != nil {
			return fmt.Errorf("cannot pack %s: %w", f.source, err)
		}
		header.Size = uint32(len(content))
	}
	if err := w.WriteHeader(&header); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}
