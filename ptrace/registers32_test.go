package ptrace

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/task"
)

// onTask32 is onTask with a task in 32-bit code.
func onTask32(t *testing.T, body func(t *task.Task)) {
	t.Helper()
	onTask(t, func(tk *task.Task) {
		tk.Frame.CS = amd64.User32CS
		body(tk)
		tk.Frame.CS = amd64.UserCS
	})
}

// words32 returns the registers of a task in the order of struct user_regs_struct32.
func words32(t *task.Task) [registerCount32]uint32 {
	r := t.Registers32()
	return *registerWords32(&r)
}

func TestRegisterSetsFollowTheCodeOfTheTracee(t *testing.T) {
	onTask(t, func(tk *task.Task) {
		for selector, size := range map[uint64]int{amd64.UserCS: 27 * 8, amd64.User32CS: 68, 0x7: 68} {
			tk.Frame.CS = selector
			if got := regsetsOf(tk)[ntPrstatus].size(); got != size {
				t.Errorf("cs %#x: NT_PRSTATUS has %d bytes, want %d", selector, got, size)
			}
		}
		tk.Frame.CS = amd64.UserCS
	})
}

func TestRegisterSetsOf32BitCodeHaveLinuxSizes(t *testing.T) {
	for note, want := range map[uint64]struct{ size, word int }{
		1: {68, 4}, 2: {108, 4}, 0x46e62b7f: {512, 4}, 0x200: {48, 16}, 0x201: {8192, 4}, 0x202: {amd64.ExtendedSize(), 8},
	} {
		if s := regsets32[note]; s == nil || s.size() != want.size || int(s.word) != want.word {
			t.Errorf("the set %#x is %+v, want %+v", note, s, want)
		}
	}
}

// TestWordsOf32BitRegistersHaveTheirNames writes each word alone and reads the frame.
func TestWordsOf32BitRegistersHaveTheirNames(t *testing.T) {
	onTask32(t, func(tk *task.Task) {
		f := tk.Frame
		for word, register := range map[int]*uint64{
			0: &f.RBX, 1: &f.RCX, 2: &f.RDX, 3: &f.RSI, 4: &f.RDI, 5: &f.RBP, 6: &f.RAX, 11: &f.OrigRAX, 12: &f.RIP, 15: &f.RSP,
		} {
			*register = ^uint64(0)
			if err := writeRegisters32(tk, word, 0x80000001); err != nil || *register != 0x80000001 || words32(tk)[word] != 0x80000001 {
				t.Errorf("word %d: %v, the register is %#x and reads as %#x", word, err, *register, words32(tk)[word])
			}
		}
		f.OrigRAX = amd64.NotInSyscall
		for word, selector := range map[int]uint32{word32DS: 0x2b, word32DS + 1: 0x23, word32CS: amd64.User32CS, word32SS: 0x2b} {
			if err := writeRegisters32(tk, word, selector); err != nil || words32(tk)[word] != selector {
				t.Errorf("word %d: %v, reads as %#x", word, err, words32(tk)[word])
			}
			if err := writeRegisters32(tk, word, amd64.KernelSS); err != unix.EIO {
				t.Errorf("word %d takes a selector of the kernel: %v", word, err)
			}
		}
	})
}

func TestWritingFSIn32BitCodeLoadsTheBaseOfTheSegment(t *testing.T) {
	const base = 0x8049000
	onTask32(t, func(tk *task.Task) {
		d := compat.UserDesc{EntryNumber: 13, BaseAddr: base, Limit: 0xfffff, Flags: compat.Seg32Bit | compat.LimitInPages | compat.Useable}
		if err := tk.SetThreadArea(13, &d); err != nil {
			t.Fatal(err)
		}
		for selector, want := range map[uint32]uint64{13<<3 | 3: base, 0: 0, 0x2b: 0, 7: 0} {
			if err := writeRegisters32(tk, word32FS, selector); err != nil || tk.Frame.FSBase != want {
				t.Errorf("fs = %#x: %v, the base is %#x, want %#x", selector, err, tk.Frame.FSBase, want)
			}
		}
	})
}

func TestPokedCallNumberMakesTheResult32BitsWide(t *testing.T) {
	onTask32(t, func(tk *task.Task) {
		tk.Frame.OrigRAX, tk.Frame.RAX = 1, 0xfffffe00
		if got := tk.CallResult(); got != 0xfffffe00 {
			t.Errorf("the result of a 64-bit call is %#x", got)
		}
		writeRegisters32(tk, word32Number, 0xffffffff)
		if got := tk.CallResult(); got != 0xfffffe00 {
			t.Errorf("the number -1 makes the result %#x", got)
		}
		writeRegisters32(tk, word32Number, 162)
		if got := tk.CallResult(); got != ^uint64(511) {
			t.Errorf("the result is %#x, want -512", got)
		}
		tk.Frame.OrigRAX, tk.Frame.RAX = amd64.NotInSyscall, 0
	})
}

func TestX87StateIsWrittenInTheFormatOfFSave(t *testing.T) {
	onTask32(t, func(tk *task.Task) {
		x87 := make([]byte, x87Size)
		if err := x87Set32.read(tk, x87); err != nil {
			t.Fatal(err)
		}
		binary.LittleEndian.PutUint32(x87, 0xffff027f) // the control word
		for i := range 10 {
			x87[28+i] = byte(i + 1)
		}
		binary.LittleEndian.PutUint32(x87[8:], 0xfffffffc) // the first register is valid
		if err := x87Set32.write(tk, x87[:100]); err != unix.EINVAL {
			t.Errorf("a part of the set: %v", err)
		}
		if err := x87Set32.write(tk, x87); err != nil {
			t.Fatal(err)
		}
		fx := make([]byte, fxsaveSize)
		fxsaveSet32.read(tk, fx)
		if got := binary.LittleEndian.Uint16(fx); got != 0x27f || !bytes.Equal(fx[32:42], x87[28:38]) || fx[4] != 1 {
			t.Errorf("FXSAVE has the control word %#x, the tags %#x and st0 % x", got, fx[4], fx[32:42])
		}
	})
}

func TestSegmentsAreASetOf32BitCode(t *testing.T) {
	onTask32(t, func(tk *task.Task) {
		d := [3]compat.UserDesc{{BaseAddr: 0x1000, Limit: 5, Flags: compat.Seg32Bit | compat.Useable}}
		if err := segmentSet32.write(tk, abi.SliceBytes(d[:1])); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 48)
		segmentSet32.read(tk, b)
		d[0].EntryNumber, d[1].EntryNumber, d[2].EntryNumber = 12, 13, 14
		for i := range d[1:] { // as Linux shows an entry that is not used
			d[1+i].Flags = compat.ReadExecOnly | compat.SegNotPresent
		}
		if !bytes.Equal(b, abi.SliceBytes(d[:])) {
			t.Errorf("the set reads as % x\nwant % x", b, abi.SliceBytes(d[:]))
		}
		bad := [2]compat.UserDesc{d[0], {Limit: 5, BaseAddr: 1}}
		bad[0].BaseAddr = 0x2000
		if err := segmentSet32.write(tk, abi.SliceBytes(bad[:])); err != unix.EINVAL || tk.Frame.TLS(0).Base() != 0x1000 {
			t.Errorf("a segment of 16 bits: %v, the base of the first is %#x", err, tk.Frame.TLS(0).Base())
		}
	})
}

func TestRequestsOfA32BitTracerHaveWordsOf32Bits(t *testing.T) {
	for number, want := range map[int32]string{
		unix.PTRACE_PEEKDATA: "PEEKDATA", unix.PTRACE_GETFPXREGS: "GETFPXREGS", unix.PTRACE_SETFPXREGS: "SETFPXREGS",
		unix.PTRACE_CONT: "CONT", unix.PTRACE_ARCH_PRCTL: "", unix.PTRACE_GET_THREAD_AREA: "GET_THREAD_AREA",
	} {
		if got := requests32.row(number).name; got != want {
			t.Errorf("the request %d is %q, want %q", number, got, want)
		}
	}
	if got := requests.row(unix.PTRACE_GETFPXREGS).name; got != "" {
		t.Errorf("a 64-bit tracer has the request %s", got)
	}
}

// FuzzRegisters32 writes any values to the registers of 32-bit code: the frame stays one
// that can be loaded, and reads back.
func FuzzRegisters32(f *testing.F) {
	f.Add(make([]byte, registers32Size))
	f.Add(bytes.Repeat([]byte{0xff}, registers32Size))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:min(len(b), registers32Size)/wordSize32*wordSize32]
		onTask32(t, func(tk *task.Task) {
			for first := range len(b) / wordSize32 {
				value := binary.LittleEndian.Uint32(b[first*wordSize32:])
				if writeRegisters32(tk, first, value) == nil && first < word32DS && words32(tk)[first] != value {
					t.Errorf("word %d = %#x reads as %#x", first, value, words32(tk)[first])
				}
			}
			fr := tk.Frame
			if fr.CS&3 != 3 || fr.SS&3 != 3 || fr.RFLAGS&^(amd64.UserFlags|amd64.FlagID) != amd64.FlagIF|amd64.FlagFixed {
				t.Errorf("cs %#x, ss %#x, rflags %#x", fr.CS, fr.SS, fr.RFLAGS)
			}
			if fr.RIP >= 1<<32 || fr.FSBase >= 1<<32 || fr.GSBase >= 1<<32 {
				t.Errorf("rip %#x, bases %#x and %#x", fr.RIP, fr.FSBase, fr.GSBase)
			}
			fr.SS = amd64.UserSS
		})
	})
}
