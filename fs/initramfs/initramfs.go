// Package initramfs unpacks the boot archive into the root file system.
package initramfs

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/fs"
	"slowpath/fs/cpio"
)

// Unpack creates every member of the archive, plain or compressed with gzip,
// below the caller's root. A member replaces a file of the same name, unless
// both are directories. The error is a sentence for the user. It describes the
// fault of the archive, or names the member that does not fit into memory.
func Unpack(caller fs.Caller, archive io.Reader) error {
	r, err := cpio.NewReader(archive)
	if err != nil {
		return err
	}
	u := unpacker{caller: caller, reader: r, linked: make(map[identity]string)}
	for {
		header, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := u.member(header); err != nil {
			return err
		}
	}
}

// identity is equal for members that are hard links to the same file.
type identity struct{ major, minor, inode uint32 }

type unpacker struct {
	caller fs.Caller
	reader *cpio.Reader
	linked map[identity]string
}

// memberError describes for the user why a member could not be unpacked.
func memberError(name string, err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("the initramfs does not fit into memory (at %q); give the machine more memory with --mem", name)
	}
	return fmt.Errorf("the member %q of the initramfs cannot be unpacked: %w", name, err)
}

func (u *unpacker) at(name string) fs.At { return fs.At{Caller: u.caller, Name: name} }

func (u *unpacker) member(h *cpio.Header) error {
	name := path.Clean("/" + h.Name)
	if name == "/" {
		return u.finish(name, h)
	}
	err := u.make(name, h)
	if err == unix.ENOENT {
		if err = u.makeParents(name); err == nil {
			err = u.make(name, h)
		}
	}
	if err != nil {
		var errno unix.Errno
		if !errors.As(err, &errno) {
			return err // an error of package cpio, which is a sentence already
		}
		return memberError(name, err)
	}
	return u.finish(name, h)
}

// make creates the inode of a member and writes its data.
func (u *unpacker) make(name string, h *cpio.Header) error {
	kind := h.Mode & cpio.ModeType
	if err := u.removeOld(name, kind); err != nil {
		return err
	}
	switch kind {
	case cpio.ModeDir:
		err := u.at(name).MakeDirectory(h.Mode & 0o7777)
		if err == unix.EEXIST {
			return nil
		}
		return err
	case cpio.ModeSymlink:
		target, err := u.reader.Rest(fs.MaxPathLength)
		if err != nil {
			return err
		}
		return u.at(name).MakeLink(string(target))
	case cpio.ModeRegular:
		return u.regular(name, h)
	}
	_, err := u.at(name).MakeNode(h.Mode, fs.DeviceNumber(h.RdevMajor, h.RdevMinor))
	return err
}

// removeOld removes the file that has the member's name, unless both are regular
// files or both are directories.
func (u *unpacker) removeOld(name string, kind uint32) error {
	old, err := u.at(name).Attributes()
	if err != nil || old.Type() == kind && (kind == cpio.ModeDir || kind == cpio.ModeRegular) {
		return nil
	}
	if old.IsDirectory() {
		return u.at(name).RemoveDirectory()
	}
	return u.at(name).Unlink()
}

func (u *unpacker) makeParents(name string) error {
	parts := strings.Split(strings.TrimPrefix(path.Dir(name), "/"), "/")
	for i := range parts {
		err := u.at("/" + strings.Join(parts[:i+1], "/")).MakeDirectory(0o755)
		if err != nil && err != unix.EEXIST {
			return err
		}
	}
	return nil
}

// regular makes a regular file. If a hard link to it was unpacked before, it
// makes another hard link.
func (u *unpacker) regular(name string, h *cpio.Header) error {
	if h.Links > 1 {
		id := identity{h.DevMajor, h.DevMinor, h.Inode}
		if first, seen := u.linked[id]; seen {
			u.at(name).Unlink()
			if err := u.at(name).LinkTo(u.at(first)); err != nil {
				return err
			}
		} else {
			u.linked[id] = name
		}
		if h.Size == 0 {
			return u.create(name, h, unix.O_CREAT)
		}
	}
	return u.create(name, h, unix.O_CREAT|unix.O_TRUNC)
}

func (u *unpacker) create(name string, h *cpio.Header, flags int) error {
	f, err := u.at(name).Open(flags|unix.O_WRONLY|unix.O_NOFOLLOW, h.Mode&0o7777)
	if err != nil {
		return err
	}
	defer f.DecRef()
	src := &readerSource{reader: u.reader, left: int(h.Size)}
	for src.left > 0 {
		n, err := f.Write(src)
		if src.err != nil {
			return src.err
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return unix.EIO
		}
	}
	return nil
}

// readerSource is a source that reads the data of a member. It copies from the
// archive directly into the pages of the file.
type readerSource struct {
	reader *cpio.Reader
	left   int
	err    error
}

// Get implements fs.Source.
func (s *readerSource) Get(p []byte) (int, error) {
	n, err := io.ReadFull(s.reader, p[:min(len(p), s.left)])
	s.left -= n
	if err != nil {
		s.err = err
		return n, unix.EIO
	}
	return n, nil
}

// Remaining implements fs.Source.
func (s *readerSource) Remaining() int { return s.left }

// finish sets the owner, the times, and the mode without the umask.
func (u *unpacker) finish(name string, h *cpio.Header) error {
	p, err := u.at(name).Lookup()
	if err != nil {
		return memberError(name, err)
	}
	change := fs.Changes{
		Mask: fs.ChangeMode | fs.ChangeUID | fs.ChangeGID | fs.ChangeModify | fs.ChangeAccess,
		Mode: h.Mode & 0o7777, UID: h.UID, GID: h.GID,
		Modify: int64(h.ModTime) * clock.Second, Access: int64(h.ModTime) * clock.Second,
	}
	if err := p.Inode().Change(change); err != nil {
		return memberError(name, err)
	}
	return nil
}
