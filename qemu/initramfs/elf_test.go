package initramfs

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"os"
	"strings"
	"testing"
)

// program describes a minimal ELF file: a header, program headers, and data at
// dataOffset. Its section headers and versions are nonsense, as Linux's loader
// ignores them.
type program struct {
	class, order  byte
	kind, machine uint16
	segments      []elf.ProgHeader
	data          []byte
}

const dataOffset = 0x1000

func newProgram() *program {
	return &program{
		class: byte(elf.ELFCLASS64), order: byte(elf.ELFDATA2LSB), kind: uint16(elf.ET_EXEC), machine: uint16(elf.EM_X86_64),
		segments: []elf.ProgHeader{{Type: elf.PT_LOAD, Off: 0, Vaddr: 0x400000, Filesz: dataOffset + 0x100}},
		data:     make([]byte, 0x100),
	}
}

func (p *program) bytes() []byte {
	file := make([]byte, dataOffset+len(p.data))
	copy(file, elf.ELFMAG)
	file[elf.EI_CLASS], file[elf.EI_DATA], file[elf.EI_VERSION] = p.class, p.order, 1
	binary.LittleEndian.PutUint16(file[16:], p.kind)
	binary.LittleEndian.PutUint16(file[18:], p.machine)
	binary.LittleEndian.PutUint64(file[32:], elfHeaderSize)
	binary.LittleEndian.PutUint64(file[40:], 1<<62)  // e_shoff
	binary.LittleEndian.PutUint16(file[60:], 0xfffe) // e_shnum
	binary.LittleEndian.PutUint16(file[54:], 56)
	binary.LittleEndian.PutUint16(file[56:], uint16(len(p.segments)))
	for i, s := range p.segments {
		entry := file[elfHeaderSize+i*56:]
		binary.LittleEndian.PutUint32(entry, uint32(s.Type))
		binary.LittleEndian.PutUint64(entry[8:], s.Off)
		binary.LittleEndian.PutUint64(entry[16:], s.Vaddr)
		binary.LittleEndian.PutUint64(entry[32:], s.Filesz)
	}
	copy(file[dataOffset:], p.data)
	return file
}

func read(file []byte) (*binaryFile, error) {
	return readELF(bytes.NewReader(file), int64(len(file)))
}

func TestStaticProgramNeedsNothing(t *testing.T) {
	b, err := read(newProgram().bytes())
	if err != nil || b.interpreter != "" || len(b.needed) != 0 {
		t.Errorf("got %+v, %v", b, err)
	}
}

// dynamicProgram returns a program with an interpreter and two libraries.
func dynamicProgram() *program {
	p := newProgram()
	copy(p.data[0x00:], "/lib64/ld.so\x00")
	copy(p.data[0x20:], "\x00libc.so.6\x00libm.so.6\x00$ORIGIN/../lib:/opt\x00")
	for i, pair := range []elf.Dyn64{
		{Tag: int64(elf.DT_NEEDED), Val: 1}, {Tag: int64(elf.DT_NEEDED), Val: 11}, {Tag: int64(elf.DT_RUNPATH), Val: 21},
		{Tag: int64(elf.DT_STRTAB), Val: 0x400000 + dataOffset + 0x20}, {Tag: int64(elf.DT_NULL)},
	} {
		binary.LittleEndian.PutUint64(p.data[0x60+16*i:], uint64(pair.Tag))
		binary.LittleEndian.PutUint64(p.data[0x68+16*i:], pair.Val)
	}
	p.segments = append(p.segments,
		elf.ProgHeader{Type: elf.PT_INTERP, Off: dataOffset, Filesz: 13},
		elf.ProgHeader{Type: elf.PT_DYNAMIC, Off: dataOffset + 0x60, Filesz: 0x50})
	return p
}

func TestDynamicProgramNeedsLoaderAndLibraries(t *testing.T) {
	b, err := read(dynamicProgram().bytes())
	if err != nil {
		t.Fatal(err)
	}
	if b.interpreter != "/lib64/ld.so" || strings.Join(b.needed, " ") != "libc.so.6 libm.so.6" || strings.Join(b.searchPath, " ") != "$ORIGIN/../lib /opt" {
		t.Errorf("got %+v", b)
	}
}

func TestUnsuitableFilesAreExplained(t *testing.T) {
	for want, change := range map[string]func(p *program){
		"for 32-bit x86":              func(p *program) { p.machine = 3 },
		"is an x32 program":           func(p *program) { p.class = byte(elf.ELFCLASS32) },
		"for 64-bit ARM":              func(p *program) { p.machine = 183 },
		"ELF machine 77":              func(p *program) { p.machine = 77 },
		"for S/390":                   func(p *program) { p.order, p.machine = 2, 22<<8 },
		"for 32-bit ARM":              func(p *program) { p.class, p.machine = byte(elf.ELFCLASS32), 40 },
		"damaged header":              func(p *program) { p.class = 9 },
		"link it first":               func(p *program) { p.kind = 1 },
		"damaged program headers":     func(p *program) { p.segments = nil },
		"without anything to load":    func(p *program) { p.segments[0].Type = elf.PT_PHDR },
		"is cut short":                func(p *program) { p.segments[0].Filesz++ },
		"damaged dynamic section":     func(p *program) { *p = *dynamicProgram(); p.segments[0].Vaddr += 1 << 20 },
		"cut short; copy or build it": func(p *program) { *p = *dynamicProgram(); p.segments[1].Off = 1 << 63 },
	} {
		t.Run(want, func(t *testing.T) {
			p := newProgram()
			change(p)
			if b, err := read(p.bytes()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %+v, %v; want an error with %q", b, err, want)
			}
		})
	}
}

func TestTruncatedFileIsRefused(t *testing.T) {
	file := dynamicProgram().bytes()
	for n := range len(file) {
		if b, err := read(file[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes give %+v", n, len(file), b)
		}
	}
}

func TestOwnExecutableIsAccepted(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read(file); err != nil {
		t.Error(err)
	}
}

// panickingReader panics on every read, as debug/elf may on a damaged file.
type panickingReader struct{}

func (panickingReader) ReadAt([]byte, int64) (int, error) { panic("index out of range") }

var _ io.ReaderAt = panickingReader{}

func TestPanicOfParserBecomesError(t *testing.T) {
	b, err := readELF(panickingReader{}, 1<<20)
	if b != nil || err == nil || !strings.Contains(err.Error(), "cannot be parsed (index out of range)") {
		t.Errorf("got %+v, %v", b, err)
	}
}

// FuzzReadELF checks that no file makes readELF panic or return neither a
// result nor an error.
func FuzzReadELF(f *testing.F) {
	f.Add(newProgram().bytes())
	f.Add(dynamicProgram().bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		b, err := read(file)
		if (b == nil) == (err == nil) {
			t.Errorf("got %+v, %v", b, err)
		}
		if err == nil && len(b.interpreter) > maxStringLength {
			t.Error("the interpreter's path is longer than the limit")
		}
	})
}

// FuzzScriptInterpreter checks that an interpreter's path is absolute.
func FuzzScriptInterpreter(f *testing.F) {
	f.Add([]byte("#! /bin/sh -e\n"))
	f.Fuzz(func(t *testing.T, start []byte) {
		if path, ok := scriptInterpreter(start); ok && path[0] != '/' {
			t.Errorf("the interpreter is %q", path)
		}
	})
}
