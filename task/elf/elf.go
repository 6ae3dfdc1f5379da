// Package elf reads the headers of an ELF program for execve(2). The file is
// the user's and may be anything: every field is checked before it is used,
// and no input makes the reader panic or allocate more than 64 KiB.
//
// It takes only what Linux's loader takes (fs/binfmt_elf.c of 6.1): x86-64
// executables and position-independent ones.
package elf

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"slowpath/abi"
)

// File is what the reader needs of a file: ReadAt as in io.ReaderAt, except
// that a short read at the end of the file may come with a nil error.
type File interface {
	ReadAt(p []byte, offset int64) (int, error)
}

// Image is a program as its headers describe it. Addresses are those of the
// file; a relocatable image is moved as a whole.
type Image struct {
	// Entry is the address of the first instruction.
	Entry uint64
	// Relocatable is set for ET_DYN: static-PIE programs, dynamic ones and
	// their interpreters.
	Relocatable bool
	// Segments are the PT_LOAD headers in the file's order.
	Segments []Segment
	// Interpreter is the path of PT_INTERP, or empty.
	Interpreter string
	// Headers is the address at which the program headers are loaded
	// (AT_PHDR), 0 if no segment has them.
	Headers uint64
	// HeaderCount is AT_PHNUM; a header has HeaderSize bytes.
	HeaderCount int
	// ExecutableStack is what PT_GNU_STACK asks for; without that header it
	// is false, as on Linux for x86-64.
	ExecutableStack bool
	// Align is the largest alignment of a segment, a power of two of at least
	// a page.
	Align uint64
}

// Segment is a PT_LOAD header.
type Segment struct {
	Offset, Address, FileSize, MemorySize uint64
	Read, Write, Execute                  bool
}

// HeaderSize is AT_PHENT, the size of a program header in bytes.
const HeaderSize = 56

// PageSize is the granularity of mappings.
const PageSize = 4096

// limit is the end of the user's half of the address space (TASK_SIZE_MAX).
const limit = 1<<47 - PageSize

// Numbers of the ELF specification and its x86-64 supplement.
const (
	fileHeader  = 64
	class64     = 2
	littleData  = 1
	typeExec    = 2
	typeDyn     = 3
	machineX86  = 62
	maxHeaders  = 65536
	loadSegment = 1
	interpreter = 3
	gnuStack    = 0x6474e551
	flagExecute = 1
	flagWrite   = 2
	flagRead    = 4
	maxPath     = 4096
)

// Magic is what an ELF file starts with.
const Magic = "\x7fELF"

// Read reads the headers of file. It fails with ENOEXEC for what is no x86-64
// ELF program, with EIO for a file that ends within its program headers, and
// with the file's own error, whatever that is. It may sleep.
func Read(file File) (*Image, error) {
	var header abi.Elf64Ehdr
	switch err := readFull(file, abi.Bytes(&header), 0); {
	case err == errEnd:
		return nil, unix.ENOEXEC
	case err != nil:
		return nil, err
	}
	if err := checkHeader(&header); err != nil {
		return nil, err
	}
	image := &Image{
		Entry:       header.Entry,
		Relocatable: header.Type == typeDyn,
		HeaderCount: int(header.Phnum),
		Align:       PageSize,
	}
	table, err := readTable(file, header.Phoff, image.HeaderCount)
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

// checkHeader refuses a program that is not for this machine.
func checkHeader(header *abi.Elf64Ehdr) error {
	switch {
	case string(header.Ident[:len(Magic)]) != Magic,
		header.Ident[4] != class64,
		header.Ident[5] != littleData,
		header.Type != typeExec && header.Type != typeDyn,
		header.Machine != machineX86,
		header.Phentsize != HeaderSize:
		return unix.ENOEXEC
	}
	return nil
}

// readTable reads the program headers.
func readTable(file File, at uint64, count int) ([]abi.Elf64Phdr, error) {
	if count == 0 || count*HeaderSize > maxHeaders {
		return nil, unix.ENOEXEC
	}
	if at > 1<<62 {
		return nil, unix.EINVAL
	}
	table := make([]abi.Elf64Phdr, count)
	return table, readRest(file, abi.SliceBytes(table), int64(at))
}

// add takes one program header into the image.
func (image *Image) add(file File, header *abi.Elf64Phdr) error {
	switch header.Type {
	case loadSegment:
		image.addSegment(header)
	case interpreter:
		return image.readInterpreter(file, header)
	case gnuStack:
		image.ExecutableStack = header.Flags&flagExecute != 0
	}
	return nil
}

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
	if header.Align&(header.Align-1) == 0 && header.Align > image.Align && header.Align < limit {
		image.Align = header.Align
	}
}

// readInterpreter reads the path of PT_INTERP: with its NUL it has 2 to 4096
// bytes. Of several such headers the first counts.
func (image *Image) readInterpreter(file File, header *abi.Elf64Phdr) error {
	if image.Interpreter != "" {
		return nil
	}
	offset, size := header.Offset, header.Filesz
	if size < 2 || size > maxPath || offset > 1<<62 {
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

// addressOf returns where a byte of the file is loaded, 0 if nowhere.
func (image *Image) addressOf(offset uint64) uint64 {
	for _, s := range image.Segments {
		if s.Offset <= offset && offset-s.Offset < s.FileSize {
			return offset - s.Offset + s.Address
		}
	}
	return 0
}

// Span returns the page-aligned range of addresses that the segments take. It
// fails with EINVAL if there is none, or if one is not within the user's half
// of the address space or has more bytes in the file than in memory.
func (image *Image) Span() (start, end uint64, err error) {
	if len(image.Segments) == 0 {
		return 0, 0, unix.EINVAL
	}
	start = limit
	for _, s := range image.Segments {
		if err := s.check(); err != nil {
			return 0, 0, err
		}
		start = min(start, s.Address&^(PageSize-1))
		end = max(end, (s.Address+s.MemorySize+PageSize-1)&^(PageSize-1))
	}
	return start, end, nil
}

// check refuses a segment that cannot be mapped.
func (s *Segment) check() error {
	if s.Address >= limit || s.MemorySize > limit-s.Address || s.FileSize > s.MemorySize {
		return unix.EINVAL
	}
	if s.Offset > 1<<62 || (s.Offset-s.Address)%PageSize != 0 {
		return unix.EINVAL
	}
	return nil
}

// errEnd is the end of the file where there should be more of it.
var errEnd = errors.New("the file is too short")

// readRest is readFull for what a header says is there: the end is EIO.
func readRest(file File, p []byte, offset int64) error {
	err := readFull(file, p, offset)
	if err == errEnd {
		return unix.EIO
	}
	return err
}

// readFull reads len(p) bytes or fails, with errEnd at the end of the file.
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
