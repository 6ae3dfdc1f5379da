package vdso

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/mm"
)

// These tests run the code on the host's CPU. They write an ELF program that has the
// data page, the image, and a main function. The main function calls one function of
// the image with a buffer for its results and writes the buffer to standard output.

const (
	programBase = 0x10000000
	imageAt     = programBase + mm.PageSize
	mainAt      = imageAt + mm.PageSize
	bufferAt    = mainAt + 512
	bufferSize  = 32 // 24 bytes for results, 8 for RAX
)

// call is a call of a function of the object. An argument of bufferAt or above is a
// pointer to the buffer.
type call struct {
	name     string
	rdi, rsi uint32
}

// emitMain emits the call and the code that prints its results.
func emitMain(a *assembler, target int, c call) {
	a.immediate(c.rdi, 0xbf) // EDI = rdi
	a.immediate(c.rsi, 0xbe) // ESI = rsi
	next := a.start + len(a.code) + 5
	a.immediate(uint32(int32(target-next)), 0xe8)    // CALL target
	a.immediate(bufferAt+24, 0x48, 0x89, 0x04, 0x25) // [bufferAt+24] = RAX
	a.immediate(1, 0xbf)                             // EDI = 1
	a.immediate(bufferAt, 0xbe)                      // ESI = bufferAt
	a.immediate(bufferSize, 0xba)                    // EDX = bufferSize
	a.movEAX(unix.SYS_WRITE)
	a.syscall()
	a.immediate(0, 0xbf) // EDI = 0
	a.movEAX(unix.SYS_EXIT_GROUP)
	a.syscall()
}

// program returns the ELF file.
func program(t *testing.T, clock machine, c call) []byte {
	image := Object64.Image(ByInt80)
	target, _ := newLoader(t, image).find(c.name)
	a := &assembler{start: mainAt - imageAt}
	emitMain(a, int(target), c)
	memory := make([]byte, 3*mm.PageSize)
	copy(memory, clock.page())
	copy(memory[mm.PageSize:], image)
	copy(memory[2*mm.PageSize:], a.code)
	header := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Entry: mainAt,
		Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	copy(header.Ident[:], "\x7fELF\x02\x01\x01")
	segment := elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W | elf.PF_X), Off: mm.PageSize,
		Vaddr: programBase, Paddr: programBase, Filesz: uint64(len(memory)), Memsz: uint64(len(memory)), Align: mm.PageSize,
	}
	file := append(encode(header), encode(segment)...)
	file = append(file, make([]byte, mm.PageSize-len(file))...)
	return append(file, memory...)
}

// run runs the call and returns the three words of the buffer, and RAX.
func run(t *testing.T, clock machine, c call) (words [3]uint64, rax int64) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, program(t, clock, c), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path).Output()
	if err != nil || len(out) != bufferSize {
		t.Fatalf("%+v: %d bytes, %v", c, len(out), err)
	}
	binary.Read(bytes.NewReader(out), binary.LittleEndian, &words)
	return words, int64(binary.LittleEndian.Uint64(out[24:]))
}

// machine is what the data page has.
type machine struct {
	Clock
	clock.Parameters
}

func (m machine) page() []byte { return m.Clock.page(m.Parameters) }

// unadjusted is the rate of a clock that nobody has adjusted.
var unadjusted = clock.Rate{Ratio: 1 << 32}

// stopped is a clock with scale 0. Its results do not depend on the TSC.
var stopped = machine{Clock{Start: 12345}, clock.Parameters{Rate: unadjusted, Wall: 1700000000_123456789, TAI: 37_000_000_000}}

// slewed has CLOCK_MONOTONIC_RAW at 0 and CLOCK_MONOTONIC at 1.500000001 s.
var slewed = machine{Clock{Start: 12345}, clock.Parameters{
	Rate: clock.Rate{Raw: -1_000_000_002, Mono: 1_000_000_000, Ratio: 1 << 31}, Wall: 7_000_000_000,
}}

func TestFunctionsReturnClockOrError(t *testing.T) {
	const invalid = -int64(unix.EINVAL)
	for _, c := range []struct {
		machine
		call
		words [3]uint64
		rax   int64
	}{
		{stopped, call{"__vdso_clock_gettime", unix.CLOCK_REALTIME, bufferAt}, [3]uint64{1700000000, 123456789}, 0},
		{stopped, call{"__vdso_clock_gettime", unix.CLOCK_REALTIME_COARSE, bufferAt}, [3]uint64{1700000000, 123456789}, 0},
		{stopped, call{"__vdso_clock_gettime", unix.CLOCK_TAI, bufferAt}, [3]uint64{1700000037, 123456789}, 0},
		{slewed, call{"__vdso_clock_gettime", unix.CLOCK_MONOTONIC_RAW, bufferAt}, [3]uint64{}, 0},
		{slewed, call{"__vdso_clock_gettime", unix.CLOCK_MONOTONIC, bufferAt}, [3]uint64{1, 500000001}, 0},
		{slewed, call{"__vdso_clock_gettime", unix.CLOCK_REALTIME, bufferAt}, [3]uint64{8, 500000001}, 0},
		{slewed, call{"__vdso_gettimeofday", bufferAt, 0}, [3]uint64{8, 500000}, 0},
		{slewed, call{"__vdso_time", 0, 0}, [3]uint64{}, 8},
		{stopped, call{"__vdso_clock_gettime", unix.CLOCK_MONOTONIC, bufferAt}, [3]uint64{}, 0},
		{stopped, call{"__vdso_clock_gettime", unix.CLOCK_BOOTTIME, bufferAt}, [3]uint64{}, 0},
		{stopped, call{"__vdso_clock_gettime", 99, bufferAt}, [3]uint64{}, invalid},
		{stopped, call{"__vdso_clock_gettime", 12, bufferAt}, [3]uint64{}, invalid},
		{stopped, call{"__vdso_clock_gettime", 1 << 31, bufferAt}, [3]uint64{}, invalid},
		{stopped, call{"__vdso_clock_getres", unix.CLOCK_MONOTONIC, bufferAt}, [3]uint64{0, 1}, 0},
		{stopped, call{"__vdso_clock_getres", unix.CLOCK_MONOTONIC, 0}, [3]uint64{}, 0},
		{stopped, call{"__vdso_clock_getres", 99, bufferAt}, [3]uint64{}, invalid},
		{stopped, call{"__vdso_gettimeofday", bufferAt, 0}, [3]uint64{1700000000, 123456}, 0},
		{stopped, call{"__vdso_gettimeofday", 0, 0}, [3]uint64{}, 0},
		{stopped, call{"__vdso_time", bufferAt, 0}, [3]uint64{1700000000}, 1700000000},
		{stopped, call{"__vdso_time", 0, 0}, [3]uint64{}, 1700000000},
	} {
		words, rax := run(t, c.machine, c.call)
		if words != c.words || rax != c.rax {
			t.Errorf("%+v: %v and %d, want %v and %d", c.call, words, rax, c.words, c.rax)
		}
	}
}

// TestMonotonicClockIsScaledTSC checks that the time since boot grows, and that half the
// scale gives half the time.
func TestMonotonicClockIsScaledTSC(t *testing.T) {
	read := func(scale uint64) uint64 {
		words, rax := run(t, machine{Clock{Scale: scale}, clock.Parameters{Rate: unadjusted}}, call{"__vdso_clock_gettime", unix.CLOCK_MONOTONIC, bufferAt})
		if rax != 0 || words[1] >= 1e9 {
			t.Fatalf("%v, %d", words, rax)
		}
		return words[0]*1e9 + words[1]
	}
	first, half, last := read(1<<32), read(1<<31), read(1<<32)
	if first == 0 || half < first/2 || half > last/2 || last <= first {
		t.Errorf("with a tick of 1 ns the clock reads %d and %d, with 0.5 ns in between %d", first, last, half)
	}
}

// TestOtherRequestsMakeSystemCalls checks the requests that the code does not compute
// itself. In this test, the host's kernel serves the system calls.
func TestOtherRequestsMakeSystemCalls(t *testing.T) {
	words, rax := run(t, stopped, call{"__vdso_clock_gettime", unix.CLOCK_PROCESS_CPUTIME_ID, bufferAt})
	if rax != 0 || words[1] == 0 || words[1] >= 1e9 {
		t.Errorf("CPU time: %v, %d", words, rax)
	}
	words, rax = run(t, stopped, call{"__vdso_getcpu", bufferAt, bufferAt + 8})
	if rax != 0 || words[0] > 4096 {
		t.Errorf("getcpu: %v, %d", words, rax)
	}
	words, rax = run(t, stopped, call{"__vdso_gettimeofday", bufferAt, bufferAt + 16})
	if rax != 0 || words[0] == 1700000000 || words[0] == 0 {
		t.Errorf("gettimeofday with a time zone: %v, %d", words, rax)
	}
}
