package elf

import (
	"bytes"
	stdelf "debug/elf"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// program returns an ELF file of type kind with the given program headers.
func program(kind uint16, headers ...stdelf.Prog64) []byte {
	return Headers(stdelf.Type(kind), 0x401000, headers...)
}

// load returns a PT_LOAD header for the bytes from the start of the file.
func load(flags uint32, address, filesz, memsz uint64) stdelf.Prog64 {
	return stdelf.Prog64{Type: loadSegment, Flags: flags, Vaddr: address, Filesz: filesz, Memsz: memsz, Align: PageSize}
}

func TestReadStaticProgram(t *testing.T) {
	data := program(typeExec, load(5, 0x400000, 176, 176), load(6, 0x500000, 0, 0x3000),
		stdelf.Prog64{Type: gnuStack, Flags: 7})
	image, err := Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if image.Relocatable || image.Entry != 0x401000 || image.Headers != 0x400040 || !image.ExecutableStack {
		t.Errorf("Read returned %+v, want a static program with an executable stack", image)
	}
	start, end, err := image.Span()
	if start != 0x400000 || end != 0x503000 || err != nil {
		t.Errorf("Span returned %#x to %#x, %v, want 0x400000 to 0x503000", start, end, err)
	}
}

func TestReadAgreesWithDebugELF(t *testing.T) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	image, err := Read(self)
	if err != nil {
		t.Fatal(err)
	}
	reference, err := stdelf.NewFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if image.Entry != reference.Entry || image.HeaderCount != len(reference.Progs) {
		t.Errorf("entry %#x with %d headers, want %#x with %d", image.Entry, image.HeaderCount, reference.Entry, len(reference.Progs))
	}
}

func TestReadRejectsInvalidFiles(t *testing.T) {
	good := func() []byte { return program(typeExec, load(5, 0x400000, 120, 120)) }
	patch := func(at int, with ...byte) []byte {
		data := good()
		copy(data[at:], with)
		return data
	}
	interp := func(size uint64) []byte {
		return append(program(typeDyn, stdelf.Prog64{Type: interpreter, Off: FileHeaderSize + HeaderSize, Filesz: size}), "/lib/ld\x00"...)
	}
	for name, c := range map[string]struct {
		data []byte
		want unix.Errno
	}{
		"empty":                   {nil, unix.ENOEXEC},
		"text":                    {[]byte("echo hello, this is a script without its first line, and long enough"), unix.ENOEXEC},
		"cut in file header":      {good()[:40], unix.ENOEXEC},
		"32-bit class":            {patch(4, 1), unix.ENOEXEC},
		"big endian":              {patch(5, 2), unix.ENOEXEC},
		"relocatable object":      {patch(16, 1), unix.ENOEXEC},
		"another machine":         {patch(18, 183), unix.ENOEXEC},
		"odd header size":         {patch(54, 32), unix.ENOEXEC},
		"no headers":              {patch(56, 0, 0), unix.ENOEXEC},
		"too many headers":        {patch(56, 0xff, 0xff), unix.ENOEXEC},
		"cut in headers":          {good()[:100], unix.ENOEXEC},
		"header offset too large": {patch(32, 0, 0, 0, 0, 0, 0, 0, 0xff), unix.ENOEXEC},
		"interpreter empty":       {interp(1), unix.ENOEXEC},
		"interpreter too long":    {interp(5000), unix.ENOEXEC},
		"interpreter without NUL": {interp(7), unix.ENOEXEC},
		"interpreter cut short":   {interp(100), unix.EIO},
	} {
		if _, err := Read(bytes.NewReader(c.data)); err != c.want {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
	}
	image, err := Read(bytes.NewReader(interp(8)))
	if err != nil || image.Interpreter != "/lib/ld" {
		t.Errorf("the interpreter is %q, %v, want /lib/ld", image.Interpreter, err)
	}
}

func TestSpanRejectsUnmappableSegments(t *testing.T) {
	for name, s := range map[string]Segment{
		"file larger than memory": {Address: 0x1000, FileSize: 2, MemorySize: 1},
		"in the kernel's half":    {Address: 1 << 63, MemorySize: 1},
		"ends past user space":    {Address: 0x1000, MemorySize: 1 << 47},
		"address wraps around":    {Address: 0x1000, MemorySize: ^uint64(0)},
		"offset not congruent":    {Address: 0x1010, Offset: 0x20, MemorySize: 1},
	} {
		image := Image{Segments: []Segment{s}}
		if _, _, err := image.Span(); err != unix.EINVAL {
			t.Errorf("%s: error %v, want EINVAL", name, err)
		}
	}
	if _, _, err := (&Image{}).Span(); err != unix.EINVAL {
		t.Errorf("an image without segments: error %v, want EINVAL", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(program(typeExec, load(5, 0x400000, 120, 120)))
	f.Add(append(program(typeDyn, stdelf.Prog64{Type: interpreter, Off: 120, Filesz: 3}), "/x\x00"...))
	f.Add(program32(typeExec, stdelf.Prog32{Type: loadSegment, Flags: 5, Vaddr: 0x8048000, Filesz: 84, Memsz: 84}))
	f.Fuzz(func(t *testing.T, data []byte) {
		image, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		start, end, err := image.Span()
		if err == nil && (start >= end && end != start || end > 1<<47) {
			t.Errorf("Span returned %#x to %#x, which is not a range of user addresses", start, end)
		}
	})
}

// failingFile is a file whose reads beyond an offset fail.
type failingFile struct {
	data []byte
	at   int64
	err  error
}

func (f failingFile) ReadAt(p []byte, offset int64) (int, error) {
	if offset+int64(len(p)) > f.at {
		return 0, f.err
	}
	return copy(p, f.data[offset:]), nil
}

// TestReadReturnsTheErrorsOfTheFile checks that a failed read is not reported as
// ENOEXEC: a shell would then run the file as a script.
func TestReadReturnsTheErrorsOfTheFile(t *testing.T) {
	data := program(typeExec, load(5, 0x400000, 176, 176))
	for _, err := range []error{unix.EIO, unix.EINTR, unix.ENOMEM} {
		for _, at := range []int64{0, FileHeaderSize} {
			if _, got := Read(failingFile{data, at, err}); got != err {
				t.Errorf("reads at offset %d fail with %v: Read returned %v", at, err, got)
			}
		}
	}
	for size, want := range map[int]error{0: unix.ENOEXEC, FileHeaderSize - 1: unix.ENOEXEC, FileHeaderSize: unix.ENOEXEC} {
		if _, got := Read(bytes.NewReader(data[:size])); got != want {
			t.Errorf("a file of %d bytes: %v, want %v", size, got, want)
		}
	}
}
