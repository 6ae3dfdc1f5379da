package insn

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
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
		for _, code := range c.round(true) {
			c.check(code)
		}
	}
	c.report("generated")
}

// TestExecutionOfProgramsEqualsCPU does the same with the instructions of programs.
func TestExecutionOfProgramsEqualsCPU(t *testing.T) {
	c := newComparison(t, 2)
	for _, path := range programs {
		encodings := encodingsOf(t, path)
		c.Shuffle(len(encodings), func(a, b int) { encodings[a], encodings[b] = encodings[b], encodings[a] })
		if !long() && len(encodings) > 2000 {
			encodings = encodings[:2000]
		}
		for _, code := range encodings {
			c.check(code)
		}
		c.report(path)
	}
}

// comparison compares the ways of execution.
type comparison struct {
	generator
	t      *testing.T
	p      *puppet
	start  unix.PtraceRegs // segment registers and what else is never chosen
	memory []byte          // before each instruction
	vector []byte
	begin  time.Time

	executed, emulated, moved, faulted int
}

func newComparison(t *testing.T, seed uint64) *comparison {
	c := &comparison{generator: generator{rand.New(rand.NewPCG(seed, 9))}, t: t, p: newPuppet(t), begin: time.Now()}
	c.start = c.p.regs
	c.memory = make([]byte, memory.size())
	c.fill(c.memory)
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
	c.fill(c.vector[xmm:xmmEnd])
	c.fill(c.vector[576:])
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
	i, err := Decode(code)
	if err != nil || i.Steppable() != nil || unrepeatable(&i) {
		return
	}
	code = append([]byte{}, code[:i.Len()]...)
	at := home.address + uint64(c.IntN(pageSize-2*MaxLength))
	regs := c.registers(&i)
	regs.Rip = at
	c.aim(&i, code, at, &regs)
	i, err = Decode(code)
	if err != nil || i.Len() != len(code) {
		c.t.Fatalf("% x: %v after the operand was changed", code, err)
	}
	c.executed++
	native := c.native(&i, code, regs)
	if native.signal != unix.SIGTRAP {
		c.faulted++
	}
	if i.Emulated() {
		c.emulated++
		c.compareEmulated(&i, regs, native)
	}
	if !isBranch(&i) {
		c.compareOutOfLine(&i, regs, native)
	}
}

func isBranch(i *Instruction) bool { return i.IsCall() || i.IsJump() || i.IsReturn() }

// unrepeatable reports whether two executions may differ, or wait: RDTSC, RDRAND, and
// others.
func unrepeatable(i *Instruction) bool {
	switch {
	case i.IsSyscall(), i.is(map0F, 0x31, 0x31), i.is(map0F, 0x33, 0x33), i.is(map0F, 0xa2, 0xa2):
		return true
	case i.is(map0F, 0x01, 0x01):
		return i.modRM >= 0xf9 // RDTSCP, MWAITX, RDPRU
	case i.is(map0F, 0xc7, 0xc7):
		return i.modRM >= 0xf0 // RDRAND, RDSEED, RDPID
	case i.is(map0F, 0xae, 0xae):
		return i.modRM >= 0xf0 && i.prefixes&(prefixRepeatNot|prefixOperandSize|prefixRepeat) != 0 // UMWAIT, TPAUSE
	}
	return false
}

// registers chooses registers. Those that instructions use as addresses without naming them
// are addresses in memory.
func (c *comparison) registers(i *Instruction) unix.PtraceRegs {
	r := c.start
	for _, v := range []*uint64{&r.Rax, &r.Rcx, &r.Rdx, &r.R8, &r.R9, &r.R10, &r.R11, &r.R12, &r.R13, &r.R14, &r.R15} {
		*v = c.value()
	}
	for _, v := range []*uint64{&r.Rbx, &r.Rsp, &r.Rbp, &r.Rsi, &r.Rdi} {
		*v = c.target()
	}
	if i.Repeats() {
		r.Rcx = c.Uint64N(4)
	}
	r.Orig_rax = ^uint64(0)
	// ptrace(2) cannot change ID: it is what POPF has made it.
	r.Eflags = amd64.FlagFixed | amd64.FlagIF | c.Uint64()&(statusFlags|amd64.FlagDF) | c.p.regs.Eflags&amd64.FlagID
	r.Fs_base, r.Gs_base = c.Uint64N(4096), c.Uint64N(4096)
	return r
}

// target is an address in the middle of memory.
func (c *comparison) target() uint64 {
	return memory.address + uint64(memory.size()/2) + c.Uint64N(1024)
}

// registerOf returns a register by its number.
func registerOf(r *unix.PtraceRegs, number uint8) *uint64 {
	return [...]*uint64{&r.Rax, &r.Rcx, &r.Rdx, &r.Rbx, &r.Rsp, &r.Rbp, &r.Rsi, &r.Rdi,
		&r.R8, &r.R9, &r.R10, &r.R11, &r.R12, &r.R13, &r.R14, &r.R15}[number&15]
}

// aim makes the operand an address in memory, or sometimes one that faults: it changes the
// registers of the address, or the displacement in code.
func (c *comparison) aim(i *Instruction, code []byte, at uint64, r *unix.PtraceRegs) {
	if i.layout == offset && !i.has(prefixAddressSize) {
		binary.LittleEndian.PutUint64(code[i.immediateAt:], c.target())
	}
	if !i.memory() {
		return
	}
	goal := c.target()
	if i.ripRelative() || i.modRM&0xc7 == 4 && i.sib&7 == 5 {
		if !i.ripRelative() {
			c.aimIndex(i, r)
		}
		place := len(code) - int(i.immediateSize()) - 4
		old := i.offsetIn(frameOf(r), at) - uint64(i.displacement)
		binary.LittleEndian.PutUint32(code[place:], uint32(goal-old))
		return
	}
	if c.IntN(20) == 0 {
		goal = c.badAddress(i)
	}
	base := i.modRM & 7
	if base == 4 {
		c.aimIndex(i, r)
		base = i.sib & 7
	}
	register := registerOf(r, base|i.rex&rexB<<3)
	if i.index(frameOf(r)) != 0 && registerOf(r, i.indexRegister()) == register {
		*register = (goal - uint64(i.displacement)) / (1 + 1<<(i.sib>>6))
		return
	}
	*register += goal - i.offsetIn(frameOf(r), at)
}

// aimIndex makes the index register of a SIB small.
func (c *comparison) aimIndex(i *Instruction, r *unix.PtraceRegs) {
	if number := i.indexRegister(); number != rsp {
		*registerOf(r, number) = 1 + c.Uint64N(16)
	}
}

// badAddress returns an address that faults.
func (c *comparison) badAddress(i *Instruction) uint64 {
	if i.has(prefixAddressSize) || c.IntN(2) == 0 {
		return c.Uint64N(0x8000)
	}
	return 1<<63 | c.Uint64()
}

// place writes the code, and restores memory and vectors.
func (c *comparison) place(r region, at uint64, code []byte) {
	copy(r.of(c.p)[at-r.address:], code)
	copy(memory.of(c.p), c.memory)
	c.p.loadExtendedState(c.vector)
}

// execute steps through an instruction until it is left.
func (c *comparison) execute(i *Instruction, regs unix.PtraceRegs) state {
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

func (c *comparison) native(i *Instruction, code []byte, regs unix.PtraceRegs) state {
	c.place(home, regs.Rip, code)
	s := c.execute(i, regs)
	s.regs.Eflags &^= amd64.FlagTF | amd64.FlagRF
	if i.is(primary, 0x9c, 0x9c) && s.signal == unix.SIGTRAP {
		s.memory[s.regs.Rsp-memory.address+1] &^= amd64.FlagTF >> 8 // of the step
	}
	return s
}

func (c *comparison) compareOutOfLine(i *Instruction, before unix.PtraceRegs, native state) {
	o := i.OutOfLine()
	at := slot.address + uint64(c.IntN(pageSize-len(o.Code)))
	regs := before
	regs.Rip = at
	if o.Scratch != NoScratch {
		c.moved++
		*registerOf(&regs, o.Scratch) = o.Base(before.Rip)
	}
	c.place(slot, at, o.Code[:])
	s := c.execute(i, regs)
	s.regs.Eflags &^= amd64.FlagTF | amd64.FlagRF
	s.regs.Rip = s.regs.Rip - at + before.Rip
	if o.Scratch != NoScratch {
		if got := registerOf(&s.regs, o.Scratch); *got == o.Base(before.Rip) {
			*got = *registerOf(&before, o.Scratch)
		} else {
			c.t.Errorf("% x: the instruction changes its scratch register %d", i.bytes[:i.length], o.Scratch)
		}
	}
	if i.is(primary, 0x9c, 0x9c) && s.signal == unix.SIGTRAP {
		s.memory[s.regs.Rsp-memory.address+1] &^= amd64.FlagTF >> 8
	}
	c.compare("out of line", i, before, native, s)
}

// frameOf returns a frame with the registers.
func frameOf(r *unix.PtraceRegs) *amd64.Frame {
	f := &amd64.Frame{RIP: r.Rip, RFLAGS: r.Eflags, FSBase: r.Fs_base, CS: r.Cs, SS: r.Ss}
	for n := range uint8(16) {
		*f.Register(n) = *registerOf(r, n)
	}
	return f
}

// bytesMemory is the memory of the puppet as Emulate sees it.
type bytesMemory []byte

func (b bytesMemory) at(address uint64, size int) ([]byte, error) {
	offset := address - memory.address
	if offset > uint64(len(b)-size) {
		return nil, unix.EFAULT
	}
	return b[offset:][:size], nil
}

func (b bytesMemory) Load(address uint64, size int) (uint64, error) {
	data, err := b.at(address, size)
	var word [8]byte
	copy(word[:], data)
	return binary.LittleEndian.Uint64(word[:]), err
}

func (b bytesMemory) Store(address uint64, size int, value uint64) error {
	data, err := b.at(address, size)
	if err != nil {
		return err
	}
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], value)
	copy(data, word[:])
	return nil
}

func (c *comparison) compareEmulated(i *Instruction, before unix.PtraceRegs, native state) {
	f := frameOf(&before)
	m := bytes.Clone(c.memory)
	err := i.Emulate(f, before.Rip, bytesMemory(m))
	s := state{regs: before, signal: unix.SIGTRAP, memory: m, vector: native.vector}
	// A step hides the TF that POPF loads.
	s.regs.Rip, s.regs.Eflags = f.RIP, f.RFLAGS&^amd64.FlagTF
	for n := range uint8(16) {
		*registerOf(&s.regs, n) = *f.Register(n)
	}
	if err != nil {
		if native.signal == unix.SIGTRAP && !c.touchesCode(i, before) {
			c.t.Errorf("% x: %v, but the CPU executes it; registers %+v", i.bytes[:i.length], err, before)
		}
		s.signal = native.signal
		native.regs, native.memory, native.address = before, c.memory, 0 // nothing has changed
	}
	c.compare("emulated", i, before, native, s)
}

// touchesCode reports whether the operand is in another region than memory.
func (c *comparison) touchesCode(i *Instruction, before unix.PtraceRegs) bool {
	if i.layout == offset {
		return true
	}
	offset := i.address(frameOf(&before), before.Rip) - memory.address
	return i.memory() && offset >= uint64(memory.size())
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
func (c *comparison) compare(how string, i *Instruction, before unix.PtraceRegs, native, other state) {
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
		c.t.Errorf("% x %s: %q\nbefore: %+v", i.bytes[:i.length], how, differences, before)
	}
}
