package integration

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"slowpath/uprobe/insn/insntest"
)

// The layout of the memory of probediff.c.
const (
	probediffCode  = 0x1000_0000
	probediffData  = 0x2000_0000
	probediffSize  = 4096
	probediffSlot  = 64
	probediffPlace = 24
)

// probediffBases are the bases of FS and GS.
var probediffBases = [2]uint64{probediffData + 0x100, probediffData + 0x200}

// corpus are files of different compilers whose instructions are executed: busybox, glibc, a
// program of Go, and a library with AVX.
var corpus = []string{"/bin/busybox", "/lib/x86_64-linux-gnu/libc.so.6", binaries + "/hello", "/lib/x86_64-linux-gnu/libm.so.6"}

// probediffInput makes the input of probediff.c.
type probediffInput struct {
	insntest.Generator
	bytes.Buffer
	codes [][]byte        // the bytes of each case, and what follows them
	seen  map[string]bool // encodings of the cases
}

func newProbediffInput() *probediffInput {
	p := &probediffInput{Generator: insntest.New(11), seen: map[string]bool{}}
	data := make([]byte, probediffSize)
	p.Fill(data)
	p.Write(data)
	return p
}

// add adds a case of the instruction at the beginning of code, unless there is one with the
// same encoding.
func (p *probediffInput) add(code []byte) {
	at := uint64(probediffCode + len(p.codes)*probediffSlot + probediffPlace)
	memory := insntest.Range{Start: probediffData, Size: probediffSize}
	c := insntest.NewCase(p.Generator, code, at, memory, probediffBases)
	if c == nil || wrongInQEMU(c) || p.seen[encodingOf(c)] {
		return
	}
	p.seen[encodingOf(c)] = true
	p.codes = append(p.codes, code)
	keepInSlot(c)
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

// wrongInQEMU reports whether QEMU 7.2 executes the instruction differently from a CPU, so that
// it differs from its emulation: REX before another prefix has an effect, TEST has no second
// encoding, the operand of RET has a sign, and SHLD and SHRD ignore their immediate in an
// address relative to RIP. VROUNDSS and VROUNDSD with VEX.L end QEMU itself.
func wrongInQEMU(c *insntest.Case) bool {
	i := &c.Instruction
	table, opcode := i.Opcode()
	modRM, _ := i.ModRM()
	operand, _ := i.Operand()
	switch {
	case i.Vector():
		return table == 3 && opcode&^1 == 0x0a
	case table == 0 && opcode&^1 == 0xf6:
		return modRM>>3&7 == 1
	case table == 1 && (opcode == 0xa4 || opcode == 0xac):
		return operand.RIPRelative
	case table == 0 && opcode == 0xc2:
		return c.Code[len(c.Code)-1] >= 0x80
	}
	return rexBeforePrefix(c.Code)
}

func rexBeforePrefix(code []byte) bool {
	rex := false
	for _, b := range code {
		switch {
		case b&0xf0 == 0x40:
			rex = true
		case bytes.IndexByte([]byte{0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3}, b) >= 0:
			if rex {
				return true
			}
		default:
			return false
		}
	}
	return false
}

// addFile adds encodings of a program, at most limit, which are spread over its code.
func (p *probediffInput) addFile(t *testing.T, path string, limit int) {
	encodings, err := insntest.Encodings(path, math.MaxInt)
	if errors.Is(err, os.ErrNotExist) {
		t.Logf("%s is missing", path)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	p.Shuffle(len(encodings), func(a, b int) { encodings[a], encodings[b] = encodings[b], encodings[a] })
	for end := len(p.codes) + limit; len(p.codes) < end && len(encodings) > 0; encodings = encodings[1:] {
		p.add(encodings[0])
	}
}

// only makes an input of some cases: of those that this CPU has. Some instructions that no
// CPU has end QEMU 7.2.
func only(t *testing.T, codes [][]byte) *probediffInput {
	all := newProbediffInput()
	for _, code := range codes {
		all.add(code)
	}
	host := onHost(t, all.String(), program("probediff"), "invalid")
	if host.code != 0 {
		t.Fatalf("on Linux: %+v", host)
	}
	invalid := map[int]bool{}
	for _, number := range strings.Fields(host.out) {
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		invalid[n] = true
	}
	valid := newProbediffInput()
	for n, code := range all.codes {
		if !invalid[n] {
			valid.add(code)
		}
	}
	return valid
}

// TestProbedInstructionsDoWhatTheyDoWithoutProbe executes thousands of instructions in the
// guest with and without a probe. The long form takes all of the programs'. The host's CPU
// says which of them it has.
func TestProbedInstructionsDoWhatTheyDoWithoutProbe(t *testing.T) {
	t.Parallel()
	all := newProbediffInput()
	for range choose(2, 20) {
		for _, code := range all.Round() {
			all.add(code)
		}
	}
	for _, path := range corpus {
		all.addFile(t, path, choose(2000, 1_000_000))
	}
	executed := 0
	for codes := range slices.Chunk(all.codes, 12_000) {
		executed += compareProbed(t, only(t, codes))
	}
	if executed < 5000 {
		t.Errorf("only %d of %d instructions were executed", executed, len(all.codes))
	}
}

// compareProbed runs probediff.c. It returns the number of instructions that did not fault.
func compareProbed(t *testing.T, p *probediffInput) (executed int) {
	got := onSlowpath(t, p.String(), "--mem", "512M", program("probediff"))
	if got.code != 0 {
		t.Errorf("exit code %d\n%s%s", got.code, shorten(got.out), shorten(got.errors))
	}
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	summary := lines[len(lines)-1]
	var cases int
	fmt.Sscanf(summary, "%d cases, %d executed", &cases, &executed)
	if cases != len(p.codes) {
		t.Errorf("there are %d cases, but: %s", len(p.codes), summary)
	}
	t.Log(summary)
	return executed
}
