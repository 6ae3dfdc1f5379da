package ptrace

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/task"
)

// onTask executes body with a task whose registers may be changed as if a tracer had
// stopped it.
func onTask(t *testing.T, body func(t *task.Task)) {
	t.Helper()
	newWorld(t).process(func(tk *task.Task) {
		body(tk)
		if !tk.Exiting() {
			tk.ExitGroup(task.ExitStatus(0))
		}
	})
}

func TestRegistersAreWrittenUntilTheFirstBadOne(t *testing.T) {
	onTask(t, func(tk *task.Task) {
		r := registersIn(tk)
		words := *registerWords(&r)
		words[0], words[wordFSBase] = 15, 1<<63
		if err := writeRegisters(tk, 0, words[:]...); err != unix.EIO {
			t.Errorf("a bad fs_base: %v", err)
		}
		if got := registersIn(tk); got.R15 != 15 || got.FSBase != r.FSBase {
			t.Errorf("r15 %d, fs_base %#x", got.R15, got.FSBase)
		}
	})
}

func TestSegmentRegistersTakeSelectorsOfUserModeOnly(t *testing.T) {
	for _, c := range []struct {
		word           int
		selector, want uint64
		err            error
	}{
		{wordDS, amd64.UserSS, amd64.UserSS, nil},
		{wordDS, 0, 0, nil},
		{wordDS, 0x28, 0, unix.EIO},
		{wordGS, 0x47, 0x47, nil}, // not in the table: the CPU will load 0
		{wordGS, amd64.KernelSS, 0, unix.EIO},
		{wordCS, 0, amd64.UserCS, unix.EIO},
		{wordCS, amd64.KernelCS, amd64.UserCS, unix.EIO},
		{wordCS, 0x1234567 << 16, amd64.UserCS, unix.EIO},
		{wordSS, amd64.UserSS | 0x10000, amd64.UserSS, nil},
	} {
		onTask(t, func(tk *task.Task) {
			if err := writeRegisters(tk, c.word, c.selector); err != c.err {
				t.Errorf("word %d = %#x: %v, want %v", c.word, c.selector, err, c.err)
			}
			r := registersIn(tk)
			if got := registerWords(&r)[c.word]; got != c.want {
				t.Errorf("word %d = %#x reads as %#x, want %#x", c.word, c.selector, got, c.want)
			}
		})
	}
}

func TestSelectorsOfOtherSegmentsAreReadBack(t *testing.T) {
	onTask(t, func(tk *task.Task) {
		if err := writeRegisters(tk, wordCS, 0x43); err != nil {
			t.Fatal(err)
		}
		if got := registersIn(tk); got.CS != 0x43 || tk.Frame.CS != 0x43 {
			t.Errorf("the tracer reads %#x, the frame has %#x", got.CS, tk.Frame.CS)
		}
		writeRegisters(tk, wordCS, amd64.UserCS)
		if got := registersIn(tk); got.CS != amd64.UserCS {
			t.Errorf("cs is %#x after it was set right", got.CS)
		}
		tk.ExitGroup(task.ExitStatus(0))
	})
}

func TestForcedTFIsHiddenFromTracerAndProgram(t *testing.T) {
	onTask(t, func(tk *task.Task) {
		f := tk.Frame
		enableStep(tk, stepInstruction)
		if f.RFLAGS&amd64.FlagTF == 0 {
			t.Error("TF is not set")
		}
		r := registersIn(tk)
		if r.EFlags&amd64.FlagTF != 0 {
			t.Error("the tracer sees TF")
		}
		writeRegisters(tk, 0, registerWords(&r)[:]...)
		if f.RFLAGS&amd64.FlagTF == 0 || !f.StepForced() {
			t.Error("TF is lost when the tracer writes the flags that it has read")
		}
		writeRegisters(tk, wordFlags, r.EFlags|amd64.FlagTF)
		if got := registersIn(tk); got.EFlags&amd64.FlagTF == 0 {
			t.Error("a TF that the tracer has set is hidden")
		}
		disableStep(tk)
		if f.RFLAGS&amd64.FlagTF == 0 {
			t.Error("the end of the step has cleared the program's TF")
		}
		writeRegisters(tk, wordFlags, r.EFlags)
		enableStep(tk, stepInstruction)
		f.Flags &^= amd64.LeaveByIRET // as after SYSCALL
		f.Settle()
		if f.R11&amd64.FlagTF != 0 {
			t.Error("R11 has the tracer's TF after a system call")
		}
		disableStep(tk)
		if f.RFLAGS&amd64.FlagTF != 0 {
			t.Error("TF is left after the step")
		}
	})
}

func TestInstructionsThatUseTFAreDecoded(t *testing.T) {
	for _, c := range []struct {
		code   string
		compat bool
		want   instruction
	}{
		{"\x9d", false, instruction{loadsFlags, 1}},
		{"\x66\x9d", false, instruction{loadsFlags, 2}},
		{"\x48\xcf", false, instruction{loadsFlags, 2}},
		{"\x48\x9d", true, instruction{}}, // DEC EAX
		{"\x9c", false, instruction{pushesFlags, 1}},
		{"\xf3\x66\x48\x9c", false, instruction{pushesFlags, 4}},
		{"\x90\x9d", false, instruction{}},
		{"", false, instruction{}},
		{"\x66\x66", false, instruction{}},
	} {
		if got := decode([]byte(c.code), c.compat); got != c.want {
			t.Errorf("% x: %+v, want %+v", c.code, got, c.want)
		}
	}
}

func TestRegisterSetsCheckLengthAndContents(t *testing.T) {
	onTask(t, func(tk *task.Task) {
		legacy := make([]byte, fxsaveSize)
		if err := fxsaveSet.read(tk, legacy); err != nil {
			t.Fatal(err)
		}
		if err := fxsaveSet.write(tk, legacy[:8]); err != unix.EINVAL {
			t.Errorf("a part of the FXSAVE area: %v", err)
		}
		binary.LittleEndian.PutUint32(legacy[xsaveMXCSR:], 1<<31)
		if err := fxsaveSet.write(tk, legacy); err != unix.EINVAL {
			t.Errorf("a reserved bit of MXCSR: %v", err)
		}
		short := make([]byte, 2*wordSize)
		binary.LittleEndian.PutUint64(short[wordSize:], 14)
		if err := generalSet.write(tk, short); err != nil || tk.Frame.R14 != 14 {
			t.Errorf("two registers: %v, r14 is %d", err, tk.Frame.R14)
		}
	})
}

// FuzzRegisters writes any values to the registers: the frame stays one that can be
// loaded, after the check before user mode.
func FuzzRegisters(f *testing.F) {
	f.Add(make([]byte, registerCount*wordSize))
	bad := make([]byte, registerCount*wordSize)
	for i := range bad {
		bad[i] = 0xff
	}
	f.Add(bad)
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:min(len(b), registerCount*wordSize)/wordSize*wordSize]
		onTask(t, func(tk *task.Task) {
			for first := range registerCount { // a bad word does not hide the rest
				if first*wordSize < len(b) {
					writeRegisters(tk, first, binary.LittleEndian.Uint64(b[first*wordSize:]))
				}
			}
			fr := tk.Frame
			if fr.CS&3 != 3 || fr.SS&3 != 3 {
				t.Errorf("cs %#x, ss %#x", fr.CS, fr.SS)
			}
			if fr.FSBase >= amd64.UserLimit || fr.GSBase >= amd64.UserLimit {
				t.Errorf("fs_base %#x, gs_base %#x", fr.FSBase, fr.GSBase)
			}
			if fr.RFLAGS&^(amd64.UserFlags|amd64.FlagID) != amd64.FlagIF|amd64.FlagFixed {
				t.Errorf("rflags %#x", fr.RFLAGS)
			}
			task.WorkHandlers().BeforeUser(tk)
			if (fr.RIP >= amd64.UserLimit || fr.Code32() && fr.RIP >= 1<<32) && !tk.Interrupted() {
				t.Errorf("rip %#x, and no signal is pending", fr.RIP)
			}
		})
	})
}

// FuzzExtendedState loads any bytes as extended state: MXCSR keeps bits that the CPU has.
func FuzzExtendedState(f *testing.F) {
	f.Add(make([]byte, fxsaveSize))
	f.Add(make([]byte, xsaveEnd))
	f.Fuzz(func(t *testing.T, b []byte) {
		onTask(t, func(tk *task.Task) {
			for _, set := range []*regset{&fxsaveSet, &xsaveSet, &generalSet} {
				if err := set.write(tk, b[:min(len(b), set.size())]); err != nil && err != unix.EINVAL && err != unix.EFAULT && err != unix.ENODEV && err != unix.EIO {
					t.Error(err)
				}
			}
			if tk.Frame.MXCSR&^0xffff != 0 {
				t.Errorf("MXCSR is %#x", tk.Frame.MXCSR)
			}
		})
	})
}

// FuzzInstruction decodes any bytes.
func FuzzInstruction(f *testing.F) {
	f.Add([]byte("\x66\x9d"), false)
	f.Fuzz(func(t *testing.T, code []byte, compat bool) {
		if i := decode(code, compat); i.length > uint64(len(code)) {
			t.Errorf("an instruction of %d bytes in %d", i.length, len(code))
		}
	})
}

func TestWordsOfRegistersHaveTheirNames(t *testing.T) {
	r := abi.UserRegs{EFlags: 1, CS: 2, SS: 3, FSBase: 4, GSBase: 5, DS: 6, GS: 7}
	words := registerWords(&r)
	for word, want := range map[int]uint64{wordFlags: 1, wordCS: 2, wordSS: 3, wordFSBase: 4, wordGSBase: 5, wordDS: 6, wordGS: 7} {
		if words[word] != want {
			t.Errorf("word %d is %d, want %d", word, words[word], want)
		}
	}
}

// registersIn returns the registers of a task.
func registersIn(t *task.Task) (r abi.UserRegs) {
	readRegisters(t, &r)
	return r
}

// TestAllRegistersAreWrittenLikeWords compares the two ways to write registers.
func TestAllRegistersAreWrittenLikeWords(t *testing.T) {
	onTask(t, func(tk *task.Task) {
		original := registersIn(tk)
		for word := range registerCount {
			for _, value := range []uint64{0, 3, 0x23, 0x2b, 0x33, 0x28, 0x100, amd64.UserLimit, ^uint64(0)} {
				r := original
				registerWords(&r)[word] = value
				for i := range 4 {
					registerWords(&r)[i] = uint64(i)
				}
				err := writeAllRegisters(tk, &r)
				all := registersIn(tk)
				writeAllRegisters(tk, &original)
				if wordsErr := writeRegisters(tk, 0, registerWords(&r)[:]...); wordsErr != err {
					t.Errorf("word %d = %#x: %v, and %v by words", word, value, err, wordsErr)
				}
				if words := registersIn(tk); words != all {
					t.Errorf("word %d = %#x: %+v, and %+v by words", word, value, all, words)
				}
				writeAllRegisters(tk, &original)
			}
		}
		tk.ExitGroup(task.ExitStatus(0))
	})
}
