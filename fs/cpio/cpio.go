// Package cpio reads and writes archives in the "newc" format, which is what
// an initramfs is. It runs on the host, which packs them, and in the kernel,
// which unpacks one at boot. A Reader and a Writer are for one goroutine each;
// they sleep only if the stream below does.
//
// The format is described in the Linux kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst. A member is a
// header of 110 ASCII characters, its name, and its data, name and data each
// padded to a multiple of four bytes. Members that are hard links to each
// other have the same inode number and a link count above one; the data is
// with the last of them, the others have none. A symbolic link's data is its
// target.
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
	Name      string // path without a leading slash, as the archive has it
	Inode     uint32 // with DevMajor and DevMinor, identifies hard links
	Mode      uint32 // file type and permissions, as in stat(2)
	UID, GID  uint32
	Links     uint32 // number of hard links
	ModTime   uint32 // seconds since 1970
	Size      uint32 // bytes of data
	DevMajor  uint32 // device that held the file
	DevMinor  uint32
	RdevMajor uint32 // device of a character or block special file
	RdevMinor uint32
}

// ErrFormat is the error, found with [errors.Is], of an archive that is not
// in the newc format.
var ErrFormat = errors.New("the initramfs is not a cpio archive in the newc format")

// ErrTruncated is the error, found with [errors.Is], of an archive that ends
// before its trailer does.
var ErrTruncated = errors.New("the initramfs is cut short; build or copy it again")

const (
	magic       = "070701" // newc without checksums
	magicCRC    = "070702" // the same with a checksum that Linux ignores too
	trailer     = "TRAILER!!!"
	headerSize  = 110
	fieldCount  = 13
	maxNameSize = 4096 // PATH_MAX, the terminating NUL included
)

// fields lists where the header's numbers go, in the archive's order. The name
// size and the checksum have no place in Header.
func (h *Header) fields(nameSize, checksum *uint32) [fieldCount]*uint32 {
	return [fieldCount]*uint32{
		&h.Inode, &h.Mode, &h.UID, &h.GID, &h.Links, &h.ModTime, &h.Size,
		&h.DevMajor, &h.DevMinor, &h.RdevMajor, &h.RdevMinor, nameSize, checksum,
	}
}

// parse fills h from a header of 110 characters and returns the size of the
// name that follows, its NUL included.
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

// parseHex reads eight hexadecimal digits.
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

// padding returns how many bytes come after n to reach a multiple of four.
func padding(n int64) int64 { return -n & 3 }
