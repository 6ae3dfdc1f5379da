// Package cpio reads and writes archives in the "newc" format, the format of an
// initramfs. It runs on the host, which packs archives, and in the kernel, which
// unpacks one at boot. A Reader or Writer must be used by one goroutine only. It
// sleeps only if the underlying stream sleeps.
//
// The format is described in
// Documentation/driver-api/early-userspace/buffer-format.rst of Linux. A member
// is a header of 110 ASCII characters, a name, and data. Name and data are
// padded to a multiple of four bytes. Members that are hard links to each other
// have the same inode number and a link count above one. The last of them has
// the data, the others have none. The data of a symbolic link is its target.
package cpio

import (
	"errors"
	"fmt"
)

// The file types and mode bits of Header.Mode are those of stat(2).
const (
	ModeType    = 0o170000
	ModeSocket  = 0o140000
	ModeSymlink = 0o120000
	ModeRegular = 0o100000
	ModeBlock   = 0o060000
	ModeDir     = 0o040000
	ModeChar    = 0o020000
	ModeFIFO    = 0o010000
)

// Header describes one member of an archive.
type Header struct {
	Name      string // path, usually without a leading slash
	Inode     uint32 // with DevMajor and DevMinor, identifies hard links
	Mode      uint32 // file type and permissions, as in stat(2)
	UID, GID  uint32
	Links     uint32 // number of hard links
	ModTime   uint32 // seconds since 1970-01-01 00:00:00 UTC
	Size      uint32 // bytes of data
	DevMajor  uint32 // device that the file was on
	DevMinor  uint32
	RdevMajor uint32 // device of a character or block special file
	RdevMinor uint32
}

// ErrFormat means that an archive is not in the newc format. Test for it with
// [errors.Is].
var ErrFormat = errors.New("the initramfs is not a cpio archive in the newc format")

// ErrTruncated means that an archive ends before the end of its trailer. Test
// for it with [errors.Is].
var ErrTruncated = errors.New("the initramfs is cut short; build or copy it again")

const (
	magic       = "070701" // newc without checksums
	magicCRC    = "070702" // newc with checksums, which the Reader ignores, as Linux does
	trailer     = "TRAILER!!!"
	headerSize  = 110
	fieldCount  = 13
	maxNameSize = 4096 // PATH_MAX, including the terminating NUL
)

// fields returns pointers to the numbers of a header, in the order of the
// archive. Header has no fields for the name size and the checksum.
func (h *Header) fields(nameSize, checksum *uint32) [fieldCount]*uint32 {
	return [fieldCount]*uint32{
		&h.Inode, &h.Mode, &h.UID, &h.GID, &h.Links, &h.ModTime, &h.Size,
		&h.DevMajor, &h.DevMinor, &h.RdevMajor, &h.RdevMinor, nameSize, checksum,
	}
}

// parse fills h from a header of 110 characters. It returns the size of the name
// that follows, including its NUL.
func (h *Header) parse(text *[headerSize]byte) (nameSize uint32, err error) {
	if m := string(text[:6]); m != magic && m != magicCRC {
		return 0, fmt.Errorf("%w: a member starts with %q", ErrFormat, m)
	}
	var checksum uint32
	for i, field := range h.fields(&nameSize, &checksum) {
		value, ok := parseHex(text[6+8*i : 14+8*i])
		if !ok {
			return 0, fmt.Errorf("%w: %q is not a hexadecimal number", ErrFormat, text[6+8*i:14+8*i])
		}
		*field = value
	}
	if nameSize == 0 || nameSize > maxNameSize {
		return 0, fmt.Errorf("%w: a name has %d bytes", ErrFormat, nameSize)
	}
	return nameSize, nil
}

// parseHex parses hexadecimal digits.
func parseHex(digits []byte) (value uint32, ok bool) {
	for _, c := range digits {
		var digit byte
		switch {
		case c >= '0' && c <= '9':
			digit = c - '0'
		case c >= 'a' && c <= 'f':
			digit = c - 'a' + 10
		case c >= 'A' && c <= 'F':
			digit = c - 'A' + 10
		default:
			return 0, false
		}
		value = value<<4 | uint32(digit)
	}
	return value, true
}

// padding returns the number of bytes from n to the next multiple of four.
func padding(n int64) int64 { return -n & 3 }
