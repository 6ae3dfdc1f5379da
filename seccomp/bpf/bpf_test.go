package bpf

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

const testArch = 0xc000003e

// reference executes a program instruction by instruction. It is written from the
// manual (bpf(4), The BSD Packet Filter), without code of this package.
func reference(program []Instruction, data [16]uint32) uint32 {
	var a, x uint32
	var memory [16]uint32
	for pc := 0; ; pc++ {
		i := program[pc]
		operand := i.K
		if i.Code&8 != 0 {
			operand = x
		}
		jump := func(condition bool) {
			if condition {
				pc += int(i.JT)
			} else {
				pc += int(i.JF)
			}
		}
		switch i.Code {
		case 0x20:
			a = data[i.K/4]
		case 0x00:
			a = i.K
		case 0x60:
			a = memory[i.K]
		case 0x80:
			a = 64
		case 0x01:
			x = i.K
		case 0x61:
			x = memory[i.K]
		case 0x81:
			x = 64
		case 0x02:
			memory[i.K] = a
		case 0x03:
			memory[i.K] = x
		case 0x04, 0x0c:
			a += operand
		case 0x14, 0x1c:
			a -= operand
		case 0x24, 0x2c:
			a *= operand
		case 0x34, 0x3c:
			if operand == 0 {
				return 0
			}
			a /= operand
		case 0x44, 0x4c:
			a |= operand
		case 0x54, 0x5c:
			a &= operand
		case 0x64, 0x6c:
			a <<= operand & 31
		case 0x74, 0x7c:
			a >>= operand & 31
		case 0x84:
			a = -a
		case 0xa4, 0xac:
			a ^= operand
		case 0x05:
			pc += int(i.K)
		case 0x15, 0x1d:
			jump(a == operand)
		case 0x25, 0x2d:
			jump(a > operand)
		case 0x35, 0x3d:
			jump(a >= operand)
		case 0x45, 0x4d:
			jump(a&operand != 0)
		case 0x06:
			return i.K
		case 0x16:
			return a
		case 0x07:
			x = a
		case 0x87:
			a = x
		default:
			panic(fmt.Sprintf("code %#x", i.Code))
		}
	}
}

func dataOf(words [16]uint32) *Data {
	d := &Data{NR: int32(words[0]), Arch: words[1], IP: uint64(words[2]) | uint64(words[3])<<32, Args: new([6]uint64)}
	for i := range d.Args {
		d.Args[i] = uint64(words[4+2*i]) | uint64(words[5+2*i])<<32
	}
	return d
}

// decode returns a program and data from the bytes of a fuzzer. Operands and codes are
// drawn from small sets, so that most programs pass Check.
func decode(raw []byte) (program []Instruction, data [16]uint32) {
	codes := []uint16{
		0x20, 0x20, 0x20, 0x15, 0x15, 0x15, 0x25, 0x35, 0x15, 0x45, 0x06, 0x06, 0x16, 0x00, 0x60, 0x80, 0x01, 0x61, 0x81, 0x02, 0x03,
		0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c, 0x54, 0x5c, 0x64, 0x6c, 0x74, 0x7c, 0x84, 0xa4, 0xac, 0x05, 0x1d, 0x2d,
		0x3d, 0x4d, 0x07, 0x87, 0x94, 0x30, 0x15, 0x25, 0x35,
	}
	values := []uint32{0, 1, 2, 3, 4, 8, 12, 16, 20, 31, 32, 60, 64, 0xffff, 0x7fff0000, 0x80000000, 0xfffffffe, 0xffffffff, testArch}
	for i := range data {
		if len(raw) > 0 {
			data[i], raw = values[int(raw[0])%len(values)], raw[1:]
		}
	}
	for len(raw) >= 4 {
		program = append(program, Instruction{
			Code: codes[int(raw[0])%len(codes)], JT: raw[1] % 8, JF: raw[2] % 8, K: values[int(raw[3])%len(values)],
		})
		raw = raw[4:]
	}
	return append(program, Instruction{Code: 0x06, K: 0x7fff0000}), data
}

// repair makes jumps and operands valid where a small change does it.
func repair(program []Instruction) {
	for pc := range program {
		i := &program[pc]
		left := len(program) - pc - 1
		if i.conditional() {
			i.JT, i.JF = uint8(min(int(i.JT), left-1)), uint8(min(int(i.JF), left-1))
		}
		switch i.Code {
		case jumpAlways:
			i.K = min(i.K, uint32(left-1))
		case loadABS:
			i.K = i.K % 16 * 4
		}
	}
}

func compareWithReference(t *testing.T, raw []byte) {
	program, data := decode(raw)
	repair(program)
	if Check(program) != nil {
		return
	}
	want := reference(program, data)
	d := dataOf(data)
	compiled := Compile(program, testArch)
	if got := compiled.Run(d); got != want {
		t.Fatalf("Run returned %#x, want %#x\nprogram %+v\ndata %#x", got, want, program, data)
	}
	if constant, ok := Constant(program, d.NR, d.Arch); ok && constant != want {
		t.Fatalf("Constant returned %#x, want %#x\nprogram %+v\ndata %#x", constant, want, program, data)
	}
}

func FuzzCompiledProgramEqualsReference(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 0, 0, 0, 3, 1, 0, 5, 10, 0, 0, 4})
	f.Fuzz(func(t *testing.T, raw []byte) { compareWithReference(t, raw) })
}

func TestRandomProgramsEqualReference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 30000 {
		raw := make([]byte, 16+4*r.IntN(40))
		for i := range raw {
			raw[i] = byte(r.Uint32())
		}
		compareWithReference(t, raw)
	}
}

// FuzzCheckAcceptsOnlyProgramsThatRun executes every program that Check accepts, for
// arbitrary bytes.
func FuzzCheckAcceptsOnlyProgramsThatRun(f *testing.F) {
	f.Add([]byte{0x06, 0, 0, 0, 0, 0, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var program []Instruction
		for ; len(raw) >= 8; raw = raw[8:] {
			program = append(program, Instruction{binary.LittleEndian.Uint16(raw), raw[2], raw[3], binary.LittleEndian.Uint32(raw[4:])})
		}
		if Check(program) != nil {
			return
		}
		data := [16]uint32{39, testArch}
		if got, want := Compile(program, testArch).Run(dataOf(data)), reference(program, data); got != want {
			t.Fatalf("Run returned %#x, want %#x", got, want)
		}
	})
}

func ret(k uint32) Instruction { return Instruction{Code: 0x06, K: k} }

func TestCheckFollowsLinux(t *testing.T) {
	long := make([]Instruction, MaxInstructions+1)
	for i := range long {
		long[i] = ret(0)
	}
	for name, c := range map[string]struct {
		program []Instruction
		valid   bool
	}{
		"empty":                       {nil, false},
		"RET K":                       {[]Instruction{ret(1)}, true},
		"RET A":                       {[]Instruction{{Code: 0x16}}, true},
		"RET X":                       {[]Instruction{{Code: 0x0e}}, false},
		"no RET at the end":           {[]Instruction{ret(0), {Code: 0x00}}, false},
		"4096 instructions":           {long[1:], true},
		"4097 instructions":           {long, false},
		"load of the last word":       {[]Instruction{{Code: 0x20, K: 60}, ret(0)}, true},
		"load behind the data":        {[]Instruction{{Code: 0x20, K: 64}, ret(0)}, false},
		"unaligned load":              {[]Instruction{{Code: 0x20, K: 2}, ret(0)}, false},
		"load of a byte":              {[]Instruction{{Code: 0x30, K: 0}, ret(0)}, false},
		"ancillary load":              {[]Instruction{{Code: 0x20, K: 0xfffff000}, ret(0)}, false},
		"load of the length":          {[]Instruction{{Code: 0x80}, ret(0)}, true},
		"load of the length into X":   {[]Instruction{{Code: 0x81}, ret(0)}, true},
		"MSH":                         {[]Instruction{{Code: 0xb1}, ret(0)}, false},
		"MOD":                         {[]Instruction{{Code: 0x94, K: 1}, ret(0)}, false},
		"division by 0":               {[]Instruction{{Code: 0x34}, ret(0)}, false},
		"division by X":               {[]Instruction{{Code: 0x3c}, ret(0)}, true},
		"shift by 31":                 {[]Instruction{{Code: 0x64, K: 31}, ret(0)}, true},
		"shift by 32":                 {[]Instruction{{Code: 0x64, K: 32}, ret(0)}, false},
		"jump to the last":            {[]Instruction{{Code: 0x05, K: 0}, ret(0)}, true},
		"jump behind the last":        {[]Instruction{{Code: 0x05, K: 1}, ret(0)}, false},
		"jump that wraps":             {[]Instruction{{Code: 0x05, K: 0xffffffff}, ret(0)}, false},
		"true branch behind the last": {[]Instruction{{Code: 0x15, JT: 1}, ret(0)}, false},
		"false branch behind":         {[]Instruction{{Code: 0x15, JF: 1}, ret(0)}, false},
		"load before store":           {[]Instruction{{Code: 0x60}, ret(0)}, false},
		"load after store":            {[]Instruction{{Code: 0x02, K: 15}, {Code: 0x60, K: 15}, ret(0)}, true},
		"store of word 16":            {[]Instruction{{Code: 0x02, K: 16}, ret(0)}, false},
		"store on one path only":      {[]Instruction{{Code: 0x15, JF: 1}, {Code: 0x02}, {Code: 0x61}, ret(0)}, false},
		"store on both paths":         {[]Instruction{{Code: 0x15, JF: 2}, {Code: 0x02}, {Code: 0x05, K: 1}, {Code: 0x03}, {Code: 0x60}, ret(0)}, true},
	} {
		if err := Check(c.program); (err == nil) != c.valid {
			t.Errorf("%s: Check returned %v, valid is %v", name, err, c.valid)
		}
	}
}

// chain returns a filter with n comparisons of one word.
func chain(word uint32, n int) []Instruction {
	program := []Instruction{{Code: 0x20, K: word}}
	for i := range n {
		program = append(program, Instruction{Code: 0x15, JF: 1, K: uint32(i * 7919)}, ret(uint32(i)))
	}
	return append(program, ret(0x7fff0000))
}

func TestChainOfComparisonsIsOneNode(t *testing.T) {
	p := Compile(chain(16, 200), testArch)
	if len(p.nodes) != 1 || len(p.nodes[0].bounds) < 200 {
		t.Errorf("%d nodes, %d bounds in the first", len(p.nodes), len(p.nodes[0].bounds))
	}
}

func TestNumberAndArchitectureAreEvaluatedOnce(t *testing.T) {
	program := append([]Instruction{{Code: 0x20, K: 4}, {Code: 0x15, JT: 1, K: testArch}, ret(0), {Code: 0x20}, {Code: 0x15, JT: 1, K: 39}, ret(1)},
		chain(16, 3)...)
	p := Compile(program, testArch)
	if n := p.nodes[p.starts[39]]; n.load != 4 {
		t.Errorf("a run for call 39 begins with word %d, want the first argument", n.load)
	}
	if verdict, ok := Constant(program, 38, testArch); verdict != 1 || !ok {
		t.Errorf("the verdict of call 38 is %d, %v", verdict, ok)
	}
	if _, ok := Constant(program, 39, testArch); ok {
		t.Error("the verdict of call 39 depends on its argument")
	}
	if verdict, ok := Constant(program, 39, 1); verdict != 0 || !ok {
		t.Errorf("the verdict of another architecture is %d, %v", verdict, ok)
	}
}

// TestHostileProgramsCompileQuickly has programs that would make the search for
// intervals long, or its result large.
func TestHostileProgramsCompileQuickly(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for name, next := range map[string]func(left int) Instruction{
		"equal": func(left int) Instruction {
			return Instruction{Code: 0x15, K: r.Uint32(), JF: uint8(min(left-1, r.IntN(4)/3))}
		},
		"greater": func(left int) Instruction { return Instruction{Code: 0x25, K: r.Uint32()} },
		"long jumps": func(left int) Instruction {
			return Instruction{Code: 0x35, K: r.Uint32(), JT: uint8(r.IntN(min(left, 256))), JF: uint8(r.IntN(min(left, 256)))}
		},
		"returns": func(left int) Instruction {
			if r.IntN(2) == 0 {
				return ret(r.Uint32())
			}
			return Instruction{Code: 0x15, K: r.Uint32(), JF: uint8(r.IntN(min(left, 2)))}
		},
	} {
		program := make([]Instruction, MaxInstructions)
		for pc := range program {
			program[pc] = next(max(len(program)-pc-1, 1))
			if pc == len(program)-1 {
				program[pc] = ret(7)
			}
			if pc == len(program)-2 {
				program[pc].JT, program[pc].JF = 0, 0
			}
			if name == "long jumps" && pc%9 == 8 {
				program[pc] = ret(r.Uint32() >> 1)
			}
		}
		if err := Check(program); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		begin := time.Now()
		p := Compile(program, testArch)
		intervals, ops := 0, 0
		for _, n := range p.nodes {
			intervals += len(n.next)
			ops += len(n.ops)
		}
		t.Logf("%s: %v, %d nodes, %d intervals", name, time.Since(begin), len(p.nodes), intervals)
		if took := time.Since(begin); took > 2*time.Second || intervals > (intervalsPerOne+4)*MaxInstructions {
			t.Errorf("%s: %v, %d intervals", name, took, intervals)
		}
		for range 100 {
			data := [16]uint32{r.Uint32(), testArch, r.Uint32()}
			if got, want := p.Run(dataOf(data)), reference(program, data); got != want {
				t.Errorf("%s: Run returned %#x, want %#x", name, got, want)
			}
		}
	}
}

func TestRunDoesNotAllocate(t *testing.T) {
	p := Compile([]Instruction{{Code: 0x20, K: 16}, {Code: 0x02}, {Code: 0x60}, {Code: 0x45, K: 1}, ret(0), {Code: 0x16}}, testArch)
	d := dataOf([16]uint32{39, testArch})
	if n := testing.AllocsPerRun(100, func() { p.Run(d) }); n != 0 {
		t.Errorf("Run allocates %v times", n)
	}
}
