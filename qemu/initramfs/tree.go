// Package initramfs builds, on the host, the archive from which the kernel
// fills its root file system. The archive has either a directory of the host or
// a program with the files that it needs to start.
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

// Tree is a root file system under construction: files by their path in the
// guest. The zero value is not usable; call [NewTree]. A Tree must not be used
// by several goroutines at once.
type Tree struct {
	files     map[string]*file
	lastInode uint32
}

// file is one member of the archive.
type file struct {
	header cpio.Header
	data   []byte // content, or a symbolic link's target, unless source is set
	source string // the path on the host whose content Archive reads
	link   *file  // for a further hard link, the first one
}

// NewTree returns a tree that has only the root directory.
func NewTree() *Tree {
	t := &Tree{files: make(map[string]*file)}
	t.put("/", &file{header: cpio.Header{Mode: cpio.ModeDir | 0o755, Links: 2}})
	return t
}

// put adds a file under a clean absolute path and creates missing parent
// directories. It replaces an entry with the same path.
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

// Has reports whether the tree has a file of any type with that absolute path.
func (t *Tree) Has(name string) bool { return t.files[path.Clean(name)] != nil }

// Directory adds a directory with the permission bits of mode (0o7777), and its
// missing parent directories. It replaces an entry with the same path.
func (t *Tree) Directory(name string, mode uint32) {
	t.put(path.Clean("/"+name), &file{header: cpio.Header{Mode: cpio.ModeDir | mode, Links: 2}})
}

// File adds a regular file with the permission bits of mode, and its missing
// parent directories. It keeps content, which must be smaller than 4 GiB and
// must not change afterwards. It replaces an entry with the same path.
func (t *Tree) File(name string, mode uint32, content []byte) {
	t.put(path.Clean("/"+name), &file{
		header: cpio.Header{Mode: cpio.ModeRegular | mode, Links: 1, Size: uint32(len(content))},
		data:   content,
	})
}

// Symlink adds a symbolic link to target, which need not exist, and its missing
// parent directories. It replaces an entry with the same path.
func (t *Tree) Symlink(name, target string) {
	t.put(path.Clean("/"+name), &file{
		header: cpio.Header{Mode: cpio.ModeSymlink | 0o777, Links: 1, Size: uint32(len(target))},
		data:   []byte(target),
	})
}

// HostFile adds a copy of the host's file source, with its permissions and
// modification time. It follows symbolic links on the host. Archive reads the
// content. HostFile fails, with a sentence for the user, if source does not
// exist, is not a regular file, or is larger than 4 GiB.
func (t *Tree) HostFile(name, source string) error {
	info, err := os.Stat(source)
	if err != nil {
		return fmt.Errorf("cannot pack %s: %w", source, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("cannot pack %s: it is not a regular file", source)
	}
	if info.Size() > math.MaxUint32 {
		return fmt.Errorf("cannot pack %s: it has %d bytes, and a file in the initramfs is limited to 4 GiB", source, info.Size())
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

// Archive returns the tree as a cpio archive in the newc format. A directory
// comes before its entries, and the same tree always gives the same bytes. It
// fails if a file of the host cannot be read or a name is too long for the
// format.
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

// countLinks gives all hard links of a file the same header except for the name,
// and only the last of them the content, as the newc format requires.
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
