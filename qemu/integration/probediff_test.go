package integration

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"testing"

	"slowpath/uprobe/insn"
	"slowpath/uprobe/insn/insntest"
)

// The layout of the memory of probediff.c.
const (
	probediffCode  = 0x1000_0000
	probediffData  = 0x2000_0000
	probediffSize  = 4096
	probediffSlot  = 64
	probediffPlace = 24
	probediffFS    = probediffData + 0x100
	probediffGS    = probediffData + 0x200
)

// corpus are files of different compilers whose instructions are executed: busybox, glibc, a
// program of Go, and a library with AVX.
var corpus = []string{"/bin/busybox", "/lib/x86_64-linux-gnu/libc.so.6", slowpathKernel, "/lib/x86_64-linux-gnu/libm.so.6"}

// slowpathKernel is a program of Go that make build makes.
const slowpathKernel = binaries + "/hello"

// probediffInput is the input of probediff.c.
type probediffInput struct {
	insntest.Generator
	bytes.Buffer
	cases int
	seen  map[string]bool // the encodings
}

// add adds a case of the instruction at the beginning of code, unless there is one with the
// same encoding.
func (p *probediffInput) add(code []byte) {
	at := uint64(probediffCode + p.cases*probediffSlot + probediffPlace)
	memory := insntest.Range{Start: probediffData, Size: probediffSize}
	c := insntest.NewCase(p.Generator, code, at, memory, [2]uint64{probediffFS, probediffGS})
	if c == nil || p.seen[encodingOf(c)] {
		return
	}
	p.seen[encodingOf(c)] = true
	keepInSlot(c)
	p.cases++
	var record [16]byte
	record[0] = byte(len(c.Code))
	copy(record[1:], c.Code)
	p.Write(record[:])
	for n := range uint8(16) {
		binary.Write(p, binary.LittleEndian, *c.Registers.Register(n))
	}
	binary.Write(p, binary.LittleEndian, c.Registers.RFLAGS)
}

// encodingOf identifies an encoding: the instruction without its displacement and branch
// target, of which there are too many.
func encodingOf(c *insntest.Case) string {
	code := bytes.Clone(c.Code)
	if o, ok := c.Instruction.Operand(); ok && o.DisplacementAt != 0 {
		clear(code[o.DisplacementAt:][:4])
	}
	if at, size := c.Instruction.RelativeAt(); size != 0 {
		clear(code[at:][:size])
	}
	return string(code)
}

// keepInSlot makes a relative branch go to the INT3 instructions after it.
func keepInSlot(c *insntest.Case) {
	if at, size := c.Instruction.RelativeAt(); size != 0 {
		clear(c.Code[at:][:size])
		c.Code[at] = 3
	}
}

// addFile adds encodings of a program, at most limit, which are spread over its code.
func (p *probediffInput) addFile(t *testing.T, path string, limit int) {
	encodings, err := insntest.Encodings(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Logf("%s is missing", path)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	p.Shuffle(len(encodings), func(a, b int) { encodings[a], encodings[b] = encodings[b], encodings[a] })
	end := p.cases + limit
	for _, code := range encodings {
		if p.cases == end {
			return
		}
		p.add(code)
	}
}

// TestProbedInstructionsDoWhatTheyDoWithout executes instructions in the guest with and
// without a probe.
func TestProbedInstructionsDoWhatTheyDoWithout(t *testing.T) {
	t.Parallel()
	p := &probediffInput{Generator: insntest.New(11), seen: map[string]bool{}}
	data := make([]byte, probediffSize)
	p.Fill(data)
	p.Write(data)
	for range choose(2, 4) {
		for _, code := range p.Round() {
			p.add(code)
		}
	}
	for _, path := range corpus {
		p.addFile(t, path, choose(1500, 2500))
	}
	if input := os.Getenv("SLOWPATH_PROBEDIFF"); input != "" {
		os.WriteFile(input, p.Bytes(), 0o644)
		return
	}
	got := onSlowpath(t, p.String(), "--mem", "512M", program("probediff"))
	if got.code != 0 {
		t.Errorf("exit code %d\n%s%s", got.code, got.out, shorten(got.errors))
	}
	var cases, executed int
	fmt.Sscanf(got.out, "%d cases, %d executed", &cases, &executed)
	if cases != p.cases || executed < 5000 {
		t.Errorf("only %d of %d cases executed:\n%s", executed, p.cases, got.out)
	}
	t.Log(got.out)
}

var _ = insn.MaxLength
