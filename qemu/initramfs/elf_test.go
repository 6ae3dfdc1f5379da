package initramfs

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

// program is a minimal ELF file: a header, program headers, and data that
// begins at dataOffset.
type program struct {
	class, order  byte
	kind, machine uint16
	segments      []segment
	data          []byte
}

const dataOffset = 0x1000

func newProgram() *program {
	return &program{
		class: class64, order: dataLSB, kind: typeExec, machine: machine64,
		segments: []segment{{kind: segmentLoad, offset: 0, address: 0x400000, fileSize: dataOffset + 0x100}},
		data:     make([]byte, 0x100),
	}
}

func (p *program) bytes() []byte {
	file := make([]byte, dataOffset+len(p.data))
	copy(file, elfMagic)
	file[4], file[5], file[6] = p.class, p.order, 1
	binary.LittleEndian.PutUint16(file[16:], p.kind)
	binary.LittleEndian.PutUint16(file[18:], p.machine)
	binary.LittleEndian.PutUint64(file[32:], elfHeaderSize)
	binary.LittleEndian.PutUint16(file[54:], elfEntrySize)
	binary.LittleEndian.PutUint16(file[56:], uint16(len(p.segments)))
	for i, s := range p.segments {
		entry := file[elfHeaderSize+i*elfEntrySize:]
		binary.LittleEndian.PutUint32(entry, s.kind)
		binary.LittleEndian.PutUint64(entry[8:], s.offset)
		binary.LittleEndian.PutUint64(entry[16:], s.address)
		binary.LittleEndian.PutUint64(entry[32:], s.fileSize)
	}
	copy(file[dataOffset:], p.data)
	return file
}

func read(file []byte) (*binaryFile, error) {
	return readELF(bytes.NewReader(file), int64(len(file)))
}

func TestStaticProgram(t *testing.T) {
	b, err := read(newProgram().bytes())
	if err != nil || b.interpreter != "" || len(b.needed) != 0 {
		t.Errorf("got %+v, %v", b, err)
	}
}

// dynamicProgram has an interpreter and two libraries.
func dynamicProgram() *program {
	p := newProgram()
	copy(p.data[0x00:], "/lib64/ld.so\x00")
	copy(p.data[0x20:], "\x00libc.so.6\x00libm.so.6\x00$ORIGIN/../lib:/opt\x00")
	for i, pair := range [][2]uint64{{dynamicNeeded, 1}, {dynamicNeeded, 11}, {dynamicRunPath, 21}, {dynamicStrings, 0x400000 + dataOffset + 0x20}, {0, 0}} {
		binary.LittleEndian.PutUint64(p.data[0x60+16*i:], pair[0])
		binary.LittleEndian.PutUint64(p.data[0x68+16*i:], pair[1])
	}
	p.segments = append(p.segments,
		segment{kind: segmentInterpreter, offset: dataOffset, fileSize: 13},
		segment{kind: segmentDynamic, offset: dataOffset + 0x60, fileSize: 0x50})
	return p
}

func TestDynamicProgram(t *testing.T) {
	b, err := read(dynamicProgram().bytes())
	if err != nil {
		t.Fatal(err)
	}
	if b.interpreter != "/lib64/ld.so" || strings.Join(b.needed, " ") != "libc.so.6 libm.so.6" || strings.Join(b.searchPath, " ") != "$ORIGIN/../lib /opt" {
		t.Errorf("got %+v", b)
	}
}

func TestOtherFilesAreExplained(t *testing.T) {
	for want, change := range map[string]func(p *program){
		"is a 32-bit program":         func(p *program) { p.class, p.machine = class32, 3 },
		"is an x32 program":           func(p *program) { p.class = class32 },
		"for 64-bit ARM":              func(p *program) { p.machine = 183 },
		"ELF machine 77":              func(p *program) { p.machine = 77 },
		"for S/390":                   func(p *program) { p.order, p.machine = 2, 22<<8 },
		"for 32-bit ARM":              func(p *program) { p.class, p.machine = class32, 40 },
		"damaged header":              func(p *program) { p.class = 9 },
		"link it first":               func(p *program) { p.kind = 1 },
		"damaged program headers":     func(p *program) { p.segments = nil },
		"without anything to load":    func(p *program) { p.segments[0].kind = 6 },
		"is cut short":                func(p *program) { p.segments[0].fileSize++ },
		"damaged dynamic section":     func(p *program) { *p = *dynamicProgram(); p.segments[0].address += 1 << 20 },
		"cut short; copy or build it": func(p *program) { *p = *dynamicProgram(); p.segments[1].offset = 1 << 63 },
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

func TestEveryTruncationIsRefused(t *testing.T) {
	file := dynamicProgram().bytes()
	for n := range len(file) {
		if b, err := read(file[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes give %+v", n, len(file), b)
		}
	}
}

func TestOurselves(t *testing.T) {
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

func FuzzReadELF(f *testing.F) {
	f.Add(newProgram().bytes())
	f.Add(dynamicProgram().bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		b, err := read(file)
		if err == nil && len(b.interpreter) > maxStringLength {
			t.Error("the interpreter's path is too long")
		}
	})
}

func FuzzScriptInterpreter(f *testing.F) {
	f.Add([]byte("#! /bin/sh -e\n"))
	f.Fuzz(func(t *testing.T, start []byte) {
		if path, ok := scriptInterpreter(start); ok && path[0] != '/' {
			t.Errorf("the interpreter is %q", path)
		}
	})
}
