package vdso

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/mm"
)

// emitMain32 is emitMain for a call of a function of Object32.
func emitMain32(a *assembler, target int, c call) {
	a.immediate(c.rsi, 0x68) // PUSH the second argument
	a.immediate(c.rdi, 0x68) // PUSH the first argument
	next := a.start + len(a.code) + 5
	a.immediate(uint32(int32(target-next)), 0xe8) // CALL target
	a.immediate(bufferAt+24, 0xa3)                // [bufferAt+24] = EAX
	a.movEAX(4)                                   // write
	a.immediate(1, 0xbb)                          // EBX = 1
	a.immediate(bufferAt, 0xb9)                   // ECX = bufferAt
	a.immediate(bufferSize, 0xba)                 // EDX = bufferSize
	a.int80()
	a.movEAX(252) // exit_group
	a.immediate(0, 0xbb)
	a.int80()
}

// run32 runs the call on the host's CPU and returns the buffer as six words of 32 bits,
// and EAX.
func run32(t *testing.T, clock machine, c call) (words [6]uint32, eax int32) {
	t.Helper()
	builder := Object32.build(ByInt80)
	a := &assembler{start: mainAt - imageAt}
	emitMain32(a, int(builder.symbol(c.name)), c)
	memory := make([]byte, 3*mm.PageSize)
	copy(memory, clock.page())
	copy(memory[mm.PageSize:], builder.finish())
	copy(memory[2*mm.PageSize:], a.code)
	header := elf.Header32{
		Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_386), Version: 1, Entry: mainAt,
		Phoff: 52, Ehsize: 52, Phentsize: 32, Phnum: 1,
	}
	copy(header.Ident[:], "\x7fELF\x01\x01\x01")
	segment := elf.Prog32{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W | elf.PF_X), Off: mm.PageSize,
		Vaddr: programBase, Paddr: programBase, Filesz: uint32(len(memory)), Memsz: uint32(len(memory)), Align: mm.PageSize,
	}
	file := append(encode(header), encode(segment)...)
	file = append(file, make([]byte, mm.PageSize-len(file))...)
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, append(file, memory...), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path).Output()
	if errors.Is(err, unix.ENOEXEC) {
		t.Skip("the kernel of this host runs no 32-bit programs")
	}
	if err != nil || len(out) != bufferSize {
		t.Fatalf("%+v: %d bytes, %v", c, len(out), err)
	}
	binary.Read(bytes.NewReader(out), binary.LittleEndian, &words)
	return words, int32(binary.LittleEndian.Uint32(out[24:]))
}

func TestFunctionsOf32BitObjectReturnClockOrError(t *testing.T) {
	const invalid = -int32(unix.EINVAL)
	late := machine{Clock{}, clock.Parameters{Rate: unadjusted, Wall: 5_000_000_000_123_456_789}} // seconds need 33 bits
	for _, c := range []struct {
		clock machine
		call
		words [6]uint32
		eax   int32
	}{
		{stopped, call{"__vdso_clock_gettime", unix.CLOCK_REALTIME, bufferAt}, [6]uint32{1700000000, 123456789}, 0},
		{stopped, call{"__vdso_clock_gettime", unix.CLOCK_TAI, bufferAt}, [6]uint32{1700000037, 123456789}, 0},
		{slewed, call{"__vdso_clock_gettime", unix.CLOCK_MONOTONIC_RAW, bufferAt}, [6]uint32{}, 0},
		{slewed, call{"__vdso_clock_gettime", unix.CLOCK_MONOTONIC, bufferAt}, [6]uint32{1, 500000001}, 0},
		{slewed, call{"__vdso_clock_gettime", unix.CLOCK_REALTIME, bufferAt}, [6]uint32{8, 500000001}, 0},
		{slewed, call{"__vdso_gettimeofday", bufferAt, 0}, [6]uint32{8, 500000}, 0},
		{slewed, call{"__vdso_time", 0, 0}, [6]uint32{}, 8},
		{stopped, call{"__vdso_clock_gettime", unix.CLOCK_MONOTONIC, bufferAt}, [6]uint32{}, 0},
		{stopped, call{"__vdso_clock_gettime", 99, bufferAt}, [6]uint32{}, invalid},
		{stopped, call{"__vdso_clock_gettime", 12, bufferAt}, [6]uint32{}, invalid},
		{stopped, call{"__vdso_clock_gettime64", unix.CLOCK_REALTIME, bufferAt}, [6]uint32{1700000000, 0, 123456789}, 0},
		{late, call{"__vdso_clock_gettime64", unix.CLOCK_REALTIME, bufferAt}, [6]uint32{705032704, 1, 123456789}, 0},
		{stopped, call{"__vdso_clock_gettime64", 1 << 31, bufferAt}, [6]uint32{}, invalid},
		{stopped, call{"__vdso_clock_getres", unix.CLOCK_MONOTONIC, bufferAt}, [6]uint32{0, 1}, 0},
		{stopped, call{"__vdso_clock_getres", unix.CLOCK_MONOTONIC, 0}, [6]uint32{}, 0},
		{stopped, call{"__vdso_clock_getres", 99, bufferAt}, [6]uint32{}, invalid},
		{stopped, call{"__vdso_gettimeofday", bufferAt, 0}, [6]uint32{1700000000, 123456}, 0},
		{stopped, call{"__vdso_gettimeofday", 0, 0}, [6]uint32{}, 0},
		{stopped, call{"__vdso_time", bufferAt, 0}, [6]uint32{1700000000}, 1700000000},
		{stopped, call{"__vdso_time", 0, 0}, [6]uint32{}, 1700000000},
	} {
		words, eax := run32(t, c.clock, c.call)
		if words != c.words || eax != c.eax {
			t.Errorf("%+v: %v and %d, want %v and %d", c.call, words, eax, c.words, c.eax)
		}
	}
	if words, eax := run32(t, stopped, call{"__vdso_clock_gettime", unix.CLOCK_PROCESS_CPUTIME_ID, bufferAt}); eax != 0 || words[1] == 0 {
		t.Errorf("CPU time, which takes a system call: %v, %d", words, eax)
	}
}

func Test32BitMonotonicClockIsScaledTSC(t *testing.T) {
	read := func(scale uint64) uint64 {
		words, eax := run32(t, machine{Clock{Scale: scale}, clock.Parameters{Rate: unadjusted}}, call{"__vdso_clock_gettime64", unix.CLOCK_MONOTONIC, bufferAt})
		if eax != 0 || words[2] >= 1e9 {
			t.Fatalf("%v, %d", words, eax)
		}
		return (uint64(words[0])|uint64(words[1])<<32)*1e9 + uint64(words[2])
	}
	first, half, large, last := read(1<<32), read(1<<31), read(3<<32+1<<31), read(1<<32)
	if first == 0 || half < first/2 || half > last/2 || last <= first || large < 7*first/2 || large > 7*last/2 {
		t.Errorf("with a tick of 1 ns the clock reads %d and %d, in between %d with 0.5 ns and %d with 3.5 ns", first, last, half, large)
	}
}

// TestImageOf32BitObject reads the object as loaders and debuggers do.
func TestImageOf32BitObject(t *testing.T) {
	for _, i := range []Instruction{ByInt80, BySYSCALL, BySYSENTER} {
		builder := Object32.build(i)
		image := builder.finish()
		if len(image) > mm.PageSize {
			t.Fatalf("the image has %d bytes, more than a page", len(image))
		}
		f, err := elf.NewFile(bytes.NewReader(image))
		if err != nil {
			t.Fatal(err)
		}
		if names, err := f.DynString(elf.DT_SONAME); f.Machine != elf.EM_386 || err != nil || len(names) != 1 || names[0] != "linux-gate.so.1" {
			t.Errorf("machine %v, SONAME %v, %v", f.Machine, names, err)
		}
		symbols, err := f.DynamicSymbols()
		if err != nil {
			t.Fatal(err)
		}
		for at, s := range symbols {
			want := "LINUX_2.6"
			if s.Name[:6] != "__vdso" {
				want = "LINUX_2.5"
			}
			if s.Version != want || s.Name != functions32[at].name {
				t.Errorf("symbol %d is %s with version %q, want %s with %s", at, s.Name, s.Version, functions32[at].name, want)
			}
		}
		sizes := map[string]uint64{kernelVsyscall: vsyscallSize, "__kernel_sigreturn": sigReturnSize, "__kernel_rt_sigreturn": rtSigReturnSize}
		for _, s := range symbols[:3] {
			if s.Size != sizes[s.Name] {
				t.Errorf("%s has %d bytes, its unwind table covers %d", s.Name, s.Size, sizes[s.Name])
			}
		}
		landing := image[builder.kernelSymbols().LandingPad-2:]
		if want := []byte{0xcd, 0x80, 0x5d, 0x5a, 0x59, 0xc3}; !bytes.Equal(landing[:6], want) {
			t.Errorf("around the landing pad are % x, want % x", landing[:6], want)
		}
	}
}
