// Package symbols reads the symbols and the debug information of ELF files: it finds the
// instructions that a probe names, and the function and the line of an address.
//
// Functions come from .symtab and .dynsym, for stripped Go programs from .gopclntab, and
// from DWARF, which adds the names of C++ and Rust, inlined copies and lines. Debug
// information may be in a file of its own, below /usr/lib/debug.
//
// The files are not trusted: a damaged file gives an error, never a panic.
package symbols

import (
	"debug/dwarf"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// Files opens the files of the guest by their paths in the guest.
type Files interface {
	// Open opens a file for reading.
	Open(path string) (*os.File, error)
}

// Object is an ELF file of the guest with its debug information. One goroutine may use it
// at a time.
type Object struct {
	// Path is the path in the guest.
	Path string
	// Go reports whether the Go linker has made the file.
	Go bool

	file    *elf.File
	raw     io.ReaderAt
	size    int64
	debug   *elf.File // has the debug information: file, or another; nil if there is none
	closers []io.Closer

	functions func() *table
	dwarfData func() *dwarf.Data
	index     func() *index
	lines     func() *lineTable
}

// maxObject is the maximum size of an ELF file in bytes.
const maxObject = 4 << 30

// Open opens an ELF file of the guest, and its debug information if there is any. Its
// errors name the file and are sentences for the user.
func Open(files Files, path string) (*Object, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", path, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s cannot be read: %w", path, err)
	}
	o, err := New(path, f, info.Size())
	if err != nil {
		f.Close()
		return nil, err
	}
	o.closers = append(o.closers, f)
	if o.debug == nil {
		o.findDebugFile(files)
	}
	return o, nil
}

// New reads an ELF file from r. It does not look for separate debug information.
func New(path string, r io.ReaderAt, size int64) (*Object, error) {
	if size > maxObject {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", path, size, int64(maxObject))
	}
	o := &Object{Path: path, raw: r, size: size}
	err := guarded(func() (err error) {
		o.file, err = elf.NewFile(io.NewSectionReader(r, 0, size))
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s is not an ELF file, or it is damaged: %w", path, err)
	case o.file.Machine != elf.EM_X86_64 || o.file.Class != elf.ELFCLASS64:
		return nil, fmt.Errorf("%s is a program for %v, not for x86-64", path, o.file.Machine)
	}
	o.Go = o.file.Section(".gopclntab") != nil || o.file.Section(".data.rel.ro.gopclntab") != nil || o.file.Section(".note.go.buildid") != nil
	if hasDebug(o.file) {
		o.debug = o.file
	}
	o.functions = sync.OnceValue(o.readFunctions)
	o.dwarfData = sync.OnceValue(o.readDWARF)
	o.index = sync.OnceValue(o.readIndex)
	o.lines = sync.OnceValue(o.readLines)
	return o, nil
}

// Close closes the files.
func (o *Object) Close() {
	for _, c := range o.closers {
		c.Close()
	}
}

// guarded calls f and turns a panic of a parser of the standard library into an error.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the file is damaged (%v)", p)
		}
	}()
	return f()
}

func hasDebug(f *elf.File) bool {
	return f.Section(".debug_info") != nil || f.Section(".zdebug_info") != nil
}

// readDWARF returns the debug information, or nil if there is none or it is damaged.
func (o *Object) readDWARF() (data *dwarf.Data) {
	if o.debug == nil {
		return nil
	}
	guarded(func() (err error) {
		data, err = o.debug.DWARF()
		return err
	})
	return data
}

// DWARF returns the debug information, or nil if there is none.
func (o *Object) DWARF() *dwarf.Data { return o.dwarfData() }

// maxSection is the maximum size of a section that is read as a whole, in bytes.
const maxSection = 1 << 30

// DebugSection returns the content of a section of the debug information, or nil.
func (o *Object) DebugSection(name string) []byte {
	if o.debug == nil {
		return nil
	}
	return section(o.debug, name)
}

// Section returns the content of a section of the file itself, and its address. The
// content is nil if there is no such section.
func (o *Object) Section(name string) (content []byte, address uint64) {
	s := o.file.Section(name)
	if s == nil {
		return nil, 0
	}
	return section(o.file, name), s.Addr
}

func section(f *elf.File, name string) (content []byte) {
	guarded(func() (err error) {
		if s := f.Section(name); s != nil && s.Type != elf.SHT_NOBITS && s.Size <= maxSection {
			content, err = s.Data()
		}
		return err
	})
	return content
}

// Needed returns the names of the libraries in DT_NEEDED.
func (o *Object) Needed() (names []string) {
	guarded(func() (err error) {
		names, err = o.file.ImportedLibraries()
		return err
	})
	return names
}

// Offset returns the file offset of an address. It fails if the address is in no
// executable segment of the file.
func (o *Object) Offset(address uint64) (uint64, error) {
	for _, p := range o.file.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && address >= p.Vaddr && address-p.Vaddr < p.Filesz {
			return address - p.Vaddr + p.Off, nil
		}
	}
	return 0, fmt.Errorf("the address %#x is in no executable segment of %s", address, o.Path)
}

// Address returns the address at which the byte at a file offset is mapped. It fails if
// the offset is in no executable segment.
func (o *Object) Address(offset uint64) (uint64, bool) {
	for _, p := range o.file.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && offset >= p.Off && offset-p.Off < p.Filesz {
			return offset - p.Off + p.Vaddr, true
		}
	}
	return 0, false
}

// PositionIndependent reports whether the file may be mapped at any address.
func (o *Object) PositionIndependent() bool { return o.file.Type == elf.ET_DYN }

// Code returns up to n bytes of code at an address, fewer at the end of the segment.
func (o *Object) Code(address uint64, n int) []byte {
	for _, p := range o.file.Progs {
		if p.Type != elf.PT_LOAD || p.Flags&elf.PF_X == 0 || address < p.Vaddr || address-p.Vaddr >= p.Filesz {
			continue
		}
		b := make([]byte, min(uint64(n), p.Filesz-(address-p.Vaddr)))
		got, _ := o.raw.ReadAt(b, int64(address-p.Vaddr+p.Off))
		return b[:max(0, got)]
	}
	return nil
}

// Symbol returns the address of a symbol of the program's symbol table.
func (o *Object) Symbol(name string) (address uint64, ok bool) {
	guarded(func() error {
		symbols, err := o.file.Symbols()
		for i := range symbols {
			if symbols[i].Name == name {
				address, ok = symbols[i].Value, true
				return nil
			}
		}
		return err
	})
	return address, ok
}

// Exports reports whether the file exports a function with the name. It reads no debug
// information.
func (o *Object) Exports(name string) (exported bool) {
	guarded(func() error {
		symbols, err := o.file.DynamicSymbols()
		for i := range symbols {
			s := &symbols[i]
			kind := elf.ST_TYPE(s.Info)
			if s.Name == name && s.Section != elf.SHN_UNDEF && (kind == elf.STT_FUNC || kind == elf.STT_GNU_IFUNC) {
				exported = true
			}
		}
		return err
	})
	return exported
}
