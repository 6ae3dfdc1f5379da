// Package function finds the functions of a program in its ELF file: their extents, and the
// instructions by which control leaves them. A return probe that has a breakpoint at each of
// these needs no change of the program's stack.
//
// The files are those of programs, and may contain anything: what does not make sense is an
// error, and memory is bounded (see Open).
package function

import (
	"errors"
	"fmt"
	"io"
)

// Errors of At and Exits.
var (
	// ErrUnknown says that the file does not tell which function contains the offset, or
	// where that ends.
	ErrUnknown = errors.New("the function's extent is not known")
	// ErrNotDecoded is wrapped by the error of Exits: some code of the function was not
	// understood.
	ErrNotDecoded = errors.New("the function is not decoded")
)

// Image is what is known about the functions of one ELF file. It is immutable, and safe for
// concurrent use if the file's reader is. It keeps 16 bytes for each function, and reads
// names and Go's table in the file when they are needed.
type Image struct {
	file     file
	segments []segment
	stubs    []Extent // the procedure linkage tables
	symbols  symbols
	frames   []frame
	golang   goTable
	isGo     bool
}

// Extent is a range of file offsets.
type Extent struct{ Start, End uint64 }

func (e Extent) contains(offset uint64) bool { return offset >= e.Start && offset < e.End }

// Function is a function of an Image.
type Function struct {
	// Start and End are file offsets.
	Start, End uint64
	// Name is the name of the symbol, or "".
	Name string
	// Go is set if Go's compiler or assembler has made the function: its stack may be
	// moved while it runs, so its return address must not be replaced.
	Go bool
}

// Open reads the tables of a 64-bit ELF file of x86-64: section headers, symbols, call
// frame information, and Go's table of functions. It does not keep more than 16 MiB.
// Errors say what is wrong with the file.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	i := &Image{file: file{r, uint64(max(size, 0))}}
	header, err := i.file.header()
	if err != nil {
		return nil, err
	}
	var notes []segment
	if i.segments, notes, err = i.file.segments(header); err != nil {
		return nil, err
	}
	sections, err := i.file.sections(header)
	if err != nil {
		return nil, err
	}
	if err := i.read(header, sections); err != nil {
		return nil, err
	}
	i.isGo = sections.goTable() != nil || i.file.hasGoNote(notes)
	return i, nil
}

func (i *Image) read(header header, sections sections) (err error) {
	for _, s := range sections {
		if s.isStubs() {
			i.stubs = append(i.stubs, Extent{s.offset, s.offset + s.size})
		}
	}
	if i.symbols, err = i.readSymbols(sections); err != nil {
		return fmt.Errorf("the symbol table: %w", err)
	}
	if i.frames, err = i.readFrames(sections); err != nil {
		return fmt.Errorf("the call frame information: %w", err)
	}
	i.golang, err = i.readGoTable(header, sections)
	if err != nil {
		return fmt.Errorf("Go's table of functions: %w", err)
	}
	return nil
}

// Go reports whether the file has functions of Go. If At does not know such a file's
// function, its return address must not be replaced.
func (i *Image) Go() bool { return i.isGo }

// At returns the function that contains a file offset, by the tables in this order: Go's, the
// symbols, the call frame information. The error is ErrUnknown, or one of the reader.
func (i *Image) At(offset uint64) (Function, error) {
	address, ok := i.address(offset)
	if !ok {
		return Function{}, ErrUnknown
	}
	if f, err := i.golang.at(i, address); err != ErrUnknown {
		return f, err
	}
	if s, ok := i.symbols.at(offset); ok {
		name, err := i.symbols.name(i.file, s)
		return Function{Start: s.start, End: s.start + uint64(s.size), Name: name, Go: i.golang.missing(i)}, err
	}
	if f := frameAt(i.frames, offset); f != nil {
		return Function{Start: f.start, End: f.start + uint64(f.size), Go: i.golang.missing(i)}, nil
	}
	return Function{}, ErrUnknown
}

// address returns the address at which the file wants to have an executable offset.
func (i *Image) address(offset uint64) (uint64, bool) {
	for _, s := range i.segments {
		if offset-s.offset < s.size {
			return offset - s.offset + s.address, true
		}
	}
	return 0, false
}

// offset returns the file offset of an executable address.
func (i *Image) offset(address uint64) (uint64, bool) {
	for _, s := range i.segments {
		if address-s.address < s.size {
			return address - s.address + s.offset, true
		}
	}
	return 0, false
}

// extent returns the file offsets of a range of addresses within one executable segment.
func (i *Image) extent(address, size uint64) (Extent, bool) {
	start, ok := i.offset(address)
	if !ok || size == 0 {
		return Extent{}, false
	}
	last, ok := i.offset(address + size - 1)
	if !ok || last-start != size-1 {
		return Extent{}, false
	}
	return Extent{start, start + size}, true
}
