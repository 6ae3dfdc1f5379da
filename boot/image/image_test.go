package image

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slowpath/arch/amd64"
)

// kernel builds the kernel as make build does, and returns the linker's output.
func kernel(t *testing.T) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "kernel.raw")
	cmd := exec.Command("go", "build", "-ldflags=-T=-0x7fe00000", "-o", out, "slowpath/cmd/kernel")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// maxKernelSize is the maximum size of the kernel's file in bytes.
const maxKernelSize = 8_500_000

func TestLinkedKernelHasSegmentsAndNote(t *testing.T) {
	linked, err := Link(kernel(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(linked) > maxKernelSize {
		t.Errorf("the image has %d bytes, more than the limit of %d", len(linked), maxKernelSize)
	}
	f, err := elf.NewFile(bytes.NewReader(linked))
	if err != nil {
		t.Fatal(err)
	}
	notes := 0
	for _, p := range f.Progs {
		switch p.Type {
		case elf.PT_LOAD:
			if p.Paddr != p.Vaddr-amd64.ImageBase || p.Paddr%amd64.PageSize != p.Off%amd64.PageSize {
				t.Errorf("segment at %#x has physical address %#x, offset %#x", p.Vaddr, p.Paddr, p.Off)
			}
		case elf.PT_NOTE:
			notes++
			text := make([]byte, p.Filesz)
			p.ReadAt(text, 0)
			if !bytes.Equal(text, note(Base)) {
				t.Errorf("the note is % x", text)
			}
		}
	}
	if notes != 1 {
		t.Errorf("the image has %d notes, want 1", notes)
	}
}

func TestUnsuitableInputIsRefused(t *testing.T) {
	other, err := os.ReadFile(os.Args[0]) // a Go program, but not the kernel
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"text":            {[]byte("#!/bin/sh\n"), "not an ELF file"},
		"empty":           {nil, "not an ELF file"},
		"another program": {other, "no symbol"},
		"cut short":       {other[:4096], ""},
	} {
		if _, err := Link(c.raw); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

// TestStubsPushVectorAndJump decodes the stub of each vector.
func TestStubsPushVectorAndJump(t *testing.T) {
	const trap, paranoid = amd64.ImageBase + 0x300000, amd64.ImageBase + 0x300100
	stubs := vectorStubs(trap, paranoid)
	if len(stubs) != 256*16 {
		t.Fatalf("the stubs have %d bytes, want %d", len(stubs), 256*16)
	}
	for v := range 256 {
		s := stubs[16*v : 16*v+16]
		at := amd64.StubBase + uint64(16*v)
		if !pushesError(v) {
			if !bytes.Equal(s[:2], []byte{0x6a, 0}) {
				t.Fatalf("the stub of vector %d pushes no error code", v)
			}
			s, at = s[2:], at+2
		}
		pushed := uint32(v)
		if v == 0x80 {
			pushed = amd64.Int80
		}
		if s[0] != 0x68 || le.Uint32(s[1:]) != pushed || s[5] != 0xe9 {
			t.Fatalf("the stub of vector %d is % x", v, s)
		}
		target := at + 10 + uint64(int64(int32(le.Uint32(s[6:]))))
		want := uint64(trap)
		if v == 1 || v == 2 || v == 8 || v == 18 {
			want = paranoid
		}
		if target != want {
			t.Errorf("vector %d jumps to %#x, want %#x", v, target, want)
		}
	}
}

func TestEntryCodeFitsIntoSegment(t *testing.T) {
	if n := len(firstProcessor(0)); n > gdtAt-Base {
		t.Errorf("the first processor's code has %d bytes", n)
	}
	if n := len(otherProcessor(0)); n > trampolineGDT-TrampolineRuns {
		t.Errorf("the other processors' code has %d bytes", n)
	}
}
