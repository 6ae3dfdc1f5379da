// Package elf reads the headers of an ELF program for execve(2). The file is
// untrusted user data: the package checks every field before it uses it, and no
// input makes it panic or allocate more than 64 KiB.
//
// Like Linux 6.1 (fs/binfmt_elf.c, fs/compat_binfmt_elf.c), it accepts executables
// (ET_EXEC) and position-independent executables (ET_DYN) for x86-64 and for i386.
package elf

import (
	"errors"
	"io"
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/abi"
)

// File is a file to read. ReadAt is like io.ReaderAt, but a short read at the end
// of the file may return a nil error.
type File interface {
	ReadAt(p []byte, offset int64) (int, error)
}

// Image is a program as its headers describe it. Addresses are as in the file. The
// loader of a relocatable image adds the same offset to each of them.
type Image struct {
	// Class is Class64, or Class32 for an i386 program.
	Class Class
	// Entry is the address of the first instruction.
	Entry uint64
	// Relocatable is set for ET_DYN: position-independent programs, and dynamic
	// loaders.
	Relocatable bool
	// Segments are the PT_LOAD headers in the file's order.
	Segments []Segment
	// Interpreter is the path of PT_INTERP, the dynamic loader, or empty.
	Interpreter string
	// Headers is the address of the loaded program headers (AT_PHDR), or 0 if no
	// segment contains them.
	Headers uint64
	// HeaderCount is the number of program headers (AT_PHNUM).
	HeaderCount int
	// ExecutableStack is the execute flag of PT_GNU_STACK. Without that header
	// it is false, as on Linux for x86-64.
	ExecutableStack bool
	// StackUnspecified is set if there is no PT_GNU_STACK. For an i386 program every
	// readable mapping is executable then (arch/x86/include/asm/elf.h).
	StackUnspecified bool
	// Align is the largest alignment of all segments in bytes: a power of two,
	// at least PageSize.
	Align uint64
}

// Segment is a PT_LOAD header.
type Segment struct {
	Offset, Address, FileSize, MemorySize uint64
	Read, Write, Execute                  bool
}

// HeaderSize is the size of a program header of Class64 in bytes, and FileHeaderSize that
// of the ELF header (elf(5)).
const (
	HeaderSize     = 56
	FileHeaderSize = 64
)

// PageSize is the page size in bytes.
const PageSize = 4096

// Constants of the ELF specification and its x86-64 supplement, and the limits of
// Linux.
const (
	littleEndian = 1          // ELFDATA2LSB
	typeExec     = 2          // ET_EXEC
	typeDyn      = 3          // ET_DYN
	maxTableSize = 65536      // of the program headers, in bytes
	loadSegment  = 1          // PT_LOAD
	interpreter  = 3          // PT_INTERP
	gnuStack     = 0x6474e551 // PT_GNU_STACK
	flagExecute  = 1          // PF_X
	flagWrite    = 2          // PF_W
	flagRead     = 4          // PF_R
	maxPath      = 4096       // PATH_MAX, with the NUL
	maxOffset    = 1 << 62    // of anything in the file
)

// Magic is the first four bytes of an ELF file.
const Magic = "\x7fELF"

// Read reads the headers of file. It may sleep.
//
// Errors: ENOEXEC if the file is not an ELF program of a Class or has not all of its program
// headers, EIO if it ends before the end of the interpreter's name, and every error of
// file.ReadAt.
func Read(file File) (*Image, error) {
	class, header, err := readHeader(file)
	switch {
	case err == errEnd:
		return nil, unix.ENOEXEC
	case err != nil:
		return nil, err
	}
	if err := class.checkHeader(header); err != nil {
		return nil, err
	}
	image := &Image{
		Class:            class,
		Entry:            header.Entry,
		Relocatable:      header.Type == typeDyn,
		HeaderCount:      int(header.Phnum),
		Align:            PageSize,
		StackUnspecified: true,
	}
	table, err := class.readTable(file, header.Phoff, image.HeaderCount)
	if err != nil {
		return nil, err
	}
	for i := range table {
		if err := image.add(file, &table[i]); err != nil {
			return nil, err
		}
	}
	image.Headers = image.addressOf(header.Phoff)
	return image, nil
}

// checkHeader returns ENOEXEC unless the file is a program of the class.
func (c Class) checkHeader(header *abi.Elf64Ehdr) error {
	switch {
	case string(header.Ident[:len(Magic)]) != Magic,
		header.Ident[5] != littleEndian,
		header.Type != typeExec && header.Type != typeDyn,
		!slices.Contains(c.facts().machines, header.Machine),
		int(header.Phentsize) != c.HeaderSize():
		return unix.ENOEXEC
	}
	return nil
}

// readTable reads count program headers at a file offset.
func (c Class) readTable(file File, at uint64, count int) ([]abi.Elf64Phdr, error) {
	if count == 0 || count*c.HeaderSize() > maxTableSize {
		return nil, unix.ENOEXEC
	}
	if at > maxOffset {
		return nil, unix.ENOEXEC
	}
	table, err := c.facts().readTable(file, int64(at), count)
	if err == errEnd {
		err = unix.ENOEXEC
	}
	return table, err
}

// add adds the contents of one program header to the image.
func (image *Image) add(file File, header *abi.Elf64Phdr) error {
	switch header.Type {
	case loadSegment:
		image.addSegment(header)
	case interpreter:
		return image.readInterpreter(file, header)
	case gnuStack:
		image.ExecutableStack, image.StackUnspecified = header.Flags&flagExecute != 0, false
	}
	return nil
}

// addSegment adds a PT_LOAD header.
func (image *Image) addSegment(header *abi.Elf64Phdr) {
	image.Segments = append(image.Segments, Segment{
		Offset:     header.Offset,
		Address:    header.Vaddr,
		FileSize:   header.Filesz,
		MemorySize: header.Memsz,
		Read:       header.Flags&flagRead != 0,
		Write:      header.Flags&flagWrite != 0,
		Execute:    header.Flags&flagExecute != 0,
	})
	if header.Align&(header.Align-1) == 0 && header.Align > image.Align && header.Align < image.Class.facts().limit {
		image.Align = header.Align
	}
}

// readInterpreter reads the path of PT_INTERP, which has 2 to maxPath bytes with
// its NUL. It ignores all such headers but the first.
func (image *Image) readInterpreter(file File, header *abi.Elf64Phdr) error {
	if image.Interpreter != "" {
		return nil
	}
	offset, size := header.Offset, header.Filesz
	if size < 2 || size > maxPath || offset > maxOffset {
		return unix.ENOEXEC
	}
	path := make([]byte, size)
	if err := readRest(file, path, int64(offset)); err != nil {
		return err
	}
	if path[size-1] != 0 {
		return unix.ENOEXEC
	}
	for i, c := range path {
		if c == 0 {
			path = path[:i]
			break
		}
	}
	image.Interpreter = string(path)
	return nil
}

// addressOf returns the address at which the byte at a file offset is loaded, or 0
// if no segment contains it.
func (image *Image) addressOf(offset uint64) uint64 {
	for _, s := range image.Segments {
		if s.Offset <= offset && offset-s.Offset < s.FileSize {
			return offset - s.Offset + s.Address
		}
	}
	return 0
}

// Span returns the smallest page-aligned range of addresses that contains all
// segments. EINVAL if the image has no segment, or one that cannot be mapped.
func (image *Image) Span() (start, end uint64, err error) {
	if len(image.Segments) == 0 {
		return 0, 0, unix.EINVAL
	}
	limit := image.Class.facts().limit
	start = limit
	for _, s := range image.Segments {
		if err := s.check(limit); err != nil {
			return 0, 0, err
		}
		start = min(start, s.Address&^(PageSize-1))
		end = max(end, (s.Address+s.MemorySize+PageSize-1)&^(PageSize-1))
	}
	return start, end, nil
}

// check returns EINVAL if the segment cannot be mapped: it does not end below limit, has
// more bytes in the file than in memory, or its offset and address differ within a page.
func (s *Segment) check(limit uint64) error {
	if s.Address >= limit || s.MemorySize > limit-s.Address || s.FileSize > s.MemorySize {
		return unix.EINVAL
	}
	if s.Offset > maxOffset || (s.Offset-s.Address)%PageSize != 0 {
		return unix.EINVAL
	}
	return nil
}

// errEnd reports that the file ends before the end of a read.
var errEnd = errors.New("the file is too short")

// readRest is readFull for data that a header refers to: EIO at the end of the
// file.
func readRest(file File, p []byte, offset int64) error {
	err := readFull(file, p, offset)
	if err == errEnd {
		return unix.EIO
	}
	return err
}

// readFull reads exactly len(p) bytes. It returns errEnd if the file ends before.
func readFull(file File, p []byte, offset int64) error {
	for len(p) > 0 {
		n, err := file.ReadAt(p, offset)
		if n > 0 {
			p, offset = p[min(n, len(p)):], offset+int64(n)
			continue
		}
		if err == nil || err == io.EOF {
			return errEnd
		}
		return err
	}
	return nil
}
