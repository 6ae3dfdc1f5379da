package vdso

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/mm"
	"slowpath/mm/mmtest"
)

// TestImageHasVersionedSymbols reads the object through its sections, as debuggers do.
func TestImageHasVersionedSymbols(t *testing.T) {
	image := Object64.Image(ByInt80)
	if len(image) > mm.PageSize {
		t.Fatalf("the image has %d bytes, more than a page", len(image))
	}
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != elf.ET_DYN || f.Machine != elf.EM_X86_64 {
		t.Errorf("type %v, machine %v", f.Type, f.Machine)
	}
	if names, err := f.DynString(elf.DT_SONAME); err != nil || len(names) != 1 || names[0] != "linux-vdso.so.1" {
		t.Errorf("SONAME %v, %v", names, err)
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	text := f.Section(".text")
	for _, s := range symbols {
		if s.Version != "LINUX_2.6" {
			t.Errorf("%s has version %q", s.Name, s.Version)
		}
		if s.Value < text.Addr || s.Value+s.Size > text.Addr+text.Size {
			t.Errorf("%s is at %#x, outside of the text", s.Name, s.Value)
		}
	}
	if len(symbols) != 2*len(functions64) {
		t.Errorf("%d symbols, want two for each of %d functions", len(symbols), len(functions64))
	}
	if !bytes.Equal(image, Object64.Image(ByInt80)) {
		t.Error("two images differ")
	}
}

// loader reads the object as ld.so, musl and the Go runtime do: only through the program
// headers and the dynamic table.
type loader struct {
	image []byte
	tags  map[elf.DynTag]uint64
}

func newLoader(t *testing.T, image []byte) *loader {
	l := &loader{image: image, tags: map[elf.DynTag]uint64{}}
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	if p := f.Progs[0]; p.Type != elf.PT_LOAD || p.Off != 0 || p.Vaddr != 0 || p.Filesz != uint64(len(image)) {
		t.Errorf("the first segment is %+v", p.ProgHeader)
	}
	for at := f.Progs[1].Vaddr; ; at += 16 {
		tag := elf.DynTag(l.word64(at))
		if tag == elf.DT_NULL {
			return l
		}
		l.tags[tag] = l.word64(at + 8)
	}
}

func (l *loader) word64(at uint64) uint64 { return binary.LittleEndian.Uint64(l.image[at:]) }
func (l *loader) word32(at uint64) uint32 { return binary.LittleEndian.Uint32(l.image[at:]) }

func (l *loader) text(offset uint32) string {
	s := l.image[l.tags[elf.DT_STRTAB]+uint64(offset):]
	return string(s[:bytes.IndexByte(s, 0)])
}

// find looks up a symbol in the hash table and its version in the definitions.
func (l *loader) find(name string) (value uint64, version string) {
	hash := l.tags[elf.DT_HASH]
	buckets, count := l.word32(hash), l.word32(hash+4)
	i := l.word32(hash + 8 + 4*uint64(hashName(name)%buckets))
	for steps := uint32(0); i != 0 && steps < count; steps++ {
		symbol := l.tags[elf.DT_SYMTAB] + 24*uint64(i)
		if l.text(l.word32(symbol)) == name {
			index := binary.LittleEndian.Uint16(l.image[l.tags[elf.DT_VERSYM]+2*uint64(i):])
			return l.word64(symbol + 8), l.version(index)
		}
		i = l.word32(hash + 8 + 4*uint64(buckets) + 4*uint64(i))
	}
	return 0, ""
}

func (l *loader) version(index uint16) string {
	for at := l.tags[elf.DT_VERDEF]; ; {
		if binary.LittleEndian.Uint16(l.image[at+4:]) == index {
			return l.text(l.word32(at + uint64(l.word32(at+12))))
		}
		next := l.word32(at + 16)
		if next == 0 {
			return ""
		}
		at += uint64(next)
	}
}

func TestLoaderFindsFunctions(t *testing.T) {
	l := newLoader(t, Object64.Image(ByInt80))
	for _, f := range functions64 {
		long, version := l.find(f.name)
		short, _ := l.find(f.name[len("__vdso_"):])
		if long == 0 || long != short || version != "LINUX_2.6" {
			t.Errorf("%s: %#x and %#x, version %q", f.name, long, short, version)
		}
	}
	if at, _ := l.find("__vdso_sgx_enter_enclave"); at != 0 {
		t.Errorf("a function that does not exist is found at %#x", at)
	}
	if hashName("LINUX_2.6") != 0x3ae75f6 {
		t.Errorf("the hash of LINUX_2.6 is %#x", hashName("LINUX_2.6"))
	}
}

// TestFunctionsAreShort checks that reading a clock is fast.
func TestFunctionsAreShort(t *testing.T) {
	for _, f := range functions64 {
		a := &assembler{}
		f.emit(a)
		if a.count > 48 || len(a.code) > 200 {
			t.Errorf("%s has %d instructions in %d bytes", f.name, a.count, len(a.code))
		}
	}
}

func TestMapMapsDataAndCode(t *testing.T) {
	memory, _ := mmtest.New(t, 256)
	v, err := New(memory, Clock{Start: 1, Scale: 2}, clock.Parameters{Wall: 3}, ByInt80)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Free)
	as, err := memory.NewAddressSpace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(as.DecRef)
	at, err := v.Map(as, Object64)
	if err != nil {
		t.Fatal(err)
	}
	v.Set(clock.Parameters{Rate: clock.Rate{Raw: 4, Ratio: 5, Mono: 6}, Wall: 7, TAI: 8})
	var data [dataSize]byte
	if _, err := as.CopyIn(data[:], at-mm.PageSize); err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint64{1, 2, 2, 4, 5, 6, 7, 8} {
		if got := binary.LittleEndian.Uint64(data[8*i:]); got != want {
			t.Errorf("word %d of the data page is %d, want %d", i, got, want)
		}
	}
	magic := make([]byte, 4)
	if _, err := as.CopyIn(magic, at); err != nil || string(magic) != elf.ELFMAG {
		t.Errorf("the image begins with % x, %v", magic, err)
	}
	if _, err := as.CopyOut(at, magic); err != unix.EFAULT {
		t.Errorf("a write to the code returns %v, want EFAULT", err)
	}
}

func TestNewFailsWithoutMemory(t *testing.T) {
	memory, machine := mmtest.New(t, 256)
	memory.Drain()
	for frames := range 3 {
		machine.Limit(frames)
		if _, err := New(memory, Clock{}, clock.Parameters{}, ByInt80); err != unix.ENOMEM {
			t.Errorf("with %d frames: %v", frames, err)
		}
		memory.Drain()
	}
	machine.Limit(-1)
}
