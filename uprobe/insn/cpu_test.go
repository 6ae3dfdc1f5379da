package insn_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/uprobe/insn"
	"slowpath/uprobe/insn/insntest"
)

// long reports whether tests may take minutes.
func long() bool { return os.Getenv("SLOWPATH_SOAK") == "long" }

// TestExecutionEqualsCPU executes instructions on this CPU: natively, by Emulate, and
// out of line. Registers, flags, memory, vectors and signals must be the same.
func TestExecutionEqualsCPU(t *testing.T) {
	c := newComparison(t, 1)
	rounds := 2
	if long() {
		rounds = 100
	}
	for range rounds {
		for _, code := range c.Round() {
			c.check(code)
		}
	}
	c.report("generated")
}

// TestExecutionOfProgramsEqualsCPU does the same with the instructions of programs.
func TestExecutionOfProgramsEqualsCPU(t *testing.T) {
	c := newComparison(t, 2)
	for _, path := range programs {
		encodings := slices.Clone(encodingsOf(t, path))
		c.Shuffle(len(encodings), func(a, b int) { encodings[a], encodings[b] = encodings[b], encodings[a] })
		if !long() && len(encodings) > 1000 {
			encodings = encodings[:1000]
		}
		for _, code := range encodings {
			c.check(code)
		}
		c.report(path)
	}
}

// comparison compares the ways of execution.
type comparison struct {
	insntest.Generator
	t      *testing.T
	p      *puppet
	start  unix.PtraceRegs // segment registers and what else is never chosen
	memory []byte          // before each instruction
	vector []byte
	begin  time.Time

	executed, emulated, moved, faulted int
}

func newComparison(t *testing.T, seed uint64) *comparison {
	c := &comparison{Generator: insntest.New(seed), t: t, p: newPuppet(t), begin: time.Now()}
	c.start = c.p.regs
	c.memory = make([]byte, memory.size())
	c.Fill(c.memory)
	c.vector = c.p.extendedState(make([]byte, 16384))
	c.fillVectors()
	return c
}

// fillVectors puts values into the state that the puppet has at its start: XMM, and all
// other components that this CPU enables for it, by the layout that CPUID tells.
func (c *comparison) fillVectors() {
	const xmm, xmmEnd, xstateHeader, softwareBytes = 160, 416, 512, 464
	enabled := binary.LittleEndian.Uint64(c.vector[softwareBytes:])
	binary.LittleEndian.PutUint64(c.vector[xstateHeader:], enabled&0xe7) // x87, SSE, AVX, AVX-512
	c.Fill(c.vector[xmm:xmmEnd])
	c.Fill(c.vector[576:])
	// The first write tells which bytes the CPU keeps.
	c.p.loadExtendedState(c.vector)
	c.vector = c.p.extendedState(c.vector)
	c.p.vector = append(c.p.vector[:0], c.vector...)
}

func (c *comparison) report(what string) {
	c.t.Logf("%s: %d executed, %d of them emulated, %d with another operand out of line, %d faulted, %v",
		what, c.executed, c.emulated, c.moved, c.faulted, time.Since(c.begin).Round(time.Millisecond))
	if c.executed < 1000 || c.emulated < 200 || c.moved < 20 {
		c.t.Error("too few instructions were compared")
	}
}

// state is what an execution leaves.
type state struct {
	regs    unix.PtraceRegs
	signal  unix.Signal
	address uint64 // of a fault
	memory  []byte
	vector  []byte
}

// check compares the executions of the instruction at the beginning of code.
func (c *comparison) check(code []byte) {
	at := home.address + c.Uint64N(pageSize-2*insn.MaxLength)
	t := insntest.NewCase(c.Generator, code, at, data, [2]uint64{c.Uint64N(4096), c.Uint64N(4096)})
	if t == nil {
		return
	}
	i, regs := &t.Instruction, c.registers(t.Registers)
	c.executed++
	native := c.native(i, t.Code, regs)
	if native.signal != unix.SIGTRAP {
		c.faulted++
	}
	if i.Emulated() {
		c.emulated++
		c.compareEmulated(i, regs, native)
	}
	if !insntest.Branches(i) {
		c.compareOutOfLine(i, regs, native)
	}
}

// data is the range of the region memory.
var data = insntest.Range{Start: memory.address, Size: uint64(memory.size())}

// registers returns the puppet's registers for a frame.
func (c *comparison) registers(f *amd64.Frame) unix.PtraceRegs {
	r := c.start
	for n := range uint8(16) {
		*registerOf(&r, n) = *f.Register(n)
	}
	r.Rip, r.Orig_rax, r.Fs_base, r.Gs_base = f.RIP, ^uint64(0), f.FSBase, f.GSBase
	// ptrace(2) cannot change ID: it is what POPF has made it.
	r.Eflags = f.RFLAGS | c.p.regs.Eflags&amd64.FlagID
	return r
}

// registerOf returns a register by its number.
func registerOf(r *unix.PtraceRegs, number uint8) *uint64 {
	return [...]*uint64{&r.Rax, &r.Rcx, &r.Rdx, &r.Rbx, &r.Rsp, &r.Rbp, &r.Rsi, &r.Rdi,
		&r.R8, &r.R9, &r.R10, &r.R11, &r.R12, &r.R13, &r.R14, &r.R15}[number&15]
}

// place writes the code, and restores memory and vectors.
func (c *comparison) place(r region, at uint64, code []byte) {
	copy(r.of(c.p)[at-r.address:], code)
	copy(memory.of(c.p), c.memory)
	c.p.loadExtendedState(c.vector)
}

// execute steps through an instruction until it is left.
func (c *comparison) execute(i *insn.Instruction, regs unix.PtraceRegs) state {
	c.p.regs = regs
	s := state{signal: c.p.step()}
	for i.Repeats() && s.signal == unix.SIGTRAP && c.p.regs.Rip == regs.Rip {
		s.signal = c.p.step()
	}
	s.regs = c.p.regs
	s.regs.Orig_rax = ^uint64(0)
	if s.signal == unix.SIGSEGV || s.signal == unix.SIGBUS {
		s.address = c.p.faultAddress()
	}
	s.memory = bytes.Clone(memory.of(c.p))
	c.p.vector = c.p.extendedState(c.p.vector)
	s.vector = bytes.Clone(c.p.vector)
	clear(s.vector[6:24]) // the addresses of the last x87 instruction and its operand
	return s
}

func (c *comparison) native(i *insn.Instruction, code []byte, regs unix.PtraceRegs) state {
	c.place(home, regs.Rip, code)
	s := c.execute(i, regs)
	s.regs.Eflags &^= amd64.FlagTF | amd64.FlagRF
	if insntest.PushesFlags(i) && s.signal == unix.SIGTRAP {
		s.memory[s.regs.Rsp-memory.address+1] &^= amd64.FlagTF >> 8 // of the step
	}
	return s
}

func (c *comparison) compareOutOfLine(i *insn.Instruction, before unix.PtraceRegs, native state) {
	o := i.OutOfLine()
	at := slot.address + uint64(c.IntN(pageSize-len(o.Code)))
	regs := before
	regs.Rip = at
	if o.Scratch != insn.NoScratch {
		c.moved++
		*registerOf(&regs, o.Scratch) = o.Base(before.Rip)
	}
	c.place(slot, at, o.Code[:])
	s := c.execute(i, regs)
	s.regs.Eflags &^= amd64.FlagTF | amd64.FlagRF
	s.regs.Rip = s.regs.Rip - at + before.Rip
	if o.Scratch != insn.NoScratch {
		if got := registerOf(&s.regs, o.Scratch); *got == o.Base(before.Rip) {
			*got = *registerOf(&before, o.Scratch)
		} else {
			c.t.Errorf("% x: the instruction changes its scratch register %d", encoding(i), o.Scratch)
		}
	}
	if insntest.PushesFlags(i) && s.signal == unix.SIGTRAP {
		s.memory[s.regs.Rsp-memory.address+1] &^= amd64.FlagTF >> 8
	}
	c.compare("out of line", i, before, native, s)
}

// frameOf returns a frame with the registers.
func frameOf(r *unix.PtraceRegs) *amd64.Frame {
	f := &amd64.Frame{RIP: r.Rip, RFLAGS: r.Eflags, FSBase: r.Fs_base, GSBase: r.Gs_base, CS: r.Cs, SS: r.Ss}
	for n := range uint8(16) {
		*f.Register(n) = *registerOf(r, n)
	}
	return f
}

func (c *comparison) compareEmulated(i *insn.Instruction, before unix.PtraceRegs, native state) {
	f := frameOf(&before)
	m := bytes.Clone(c.memory)
	err := i.Emulate(f, before.Rip, insntest.Memory{Start: memory.address, Data: m})
	s := state{regs: before, signal: unix.SIGTRAP, memory: m, vector: native.vector}
	// A step hides the TF that POPF loads.
	s.regs.Rip, s.regs.Eflags = f.RIP, f.RFLAGS&^amd64.FlagTF
	for n := range uint8(16) {
		*registerOf(&s.regs, n) = *f.Register(n)
	}
	if err != nil {
		if native.signal == unix.SIGTRAP && !c.touchesCode(i, before) {
			c.t.Errorf("% x: %v, but the CPU executes it; registers %+v", encoding(i), err, before)
		}
		s.signal = native.signal
		native.regs, native.memory, native.address = before, c.memory, 0 // nothing has changed
	}
	c.compare("emulated", i, before, native, s)
}

// touchesCode reports whether the operand is in another region than memory.
func (c *comparison) touchesCode(i *insn.Instruction, before unix.PtraceRegs) bool {
	o, ok := i.Operand()
	return ok && (o.AbsoluteAt != 0 || !data.Contains(i.Address(frameOf(&before), before.Rip)))
}

// encoding returns the bytes of an instruction.
func encoding(i *insn.Instruction) []byte {
	code := i.Bytes()
	return code[:i.Len()]
}

// firstDifference returns the first index at which two slices of one length differ, or -1.
func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	n := 0
	for a[n] == b[n] {
		n++
	}
	return n
}

// compare reports the differences of two states.
func (c *comparison) compare(how string, i *insn.Instruction, before unix.PtraceRegs, native, other state) {
	fault := native.signal != unix.SIGTRAP
	var differences []string
	differ := func(format string, values ...any) { differences = append(differences, fmt.Sprintf(format, values...)) }
	if native.signal != other.signal {
		differ("signal %v, not %v", other.signal, native.signal)
	}
	if native.address != other.address && how != "emulated" {
		differ("the fault's address is %#x, not %#x", other.address, native.address)
	}
	got, want := reflect.ValueOf(other.regs), reflect.ValueOf(native.regs)
	for n := range want.NumField() {
		if a, b := got.Field(n).Uint(), want.Field(n).Uint(); a != b {
			differ("%s is %#x, not %#x", want.Type().Field(n).Name, a, b)
		}
	}
	if fault && other.regs.Rip != before.Rip {
		differ("RIP %#x of a fault", other.regs.Rip)
	}
	if n := firstDifference(native.memory, other.memory); n >= 0 {
		differ("memory at %#x: %#x, not %#x", memory.address+uint64(n), other.memory[n], native.memory[n])
	}
	if n := firstDifference(native.vector, other.vector); n >= 0 {
		differ("extended state at %d: %#x, not %#x", n, other.vector[n], native.vector[n])
	}
	if len(differences) > 0 {
		c.t.Errorf("% x %s: %q\nbefore: %+v", encoding(i), how, differences, before)
	}
}
