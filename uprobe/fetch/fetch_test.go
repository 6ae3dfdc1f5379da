package fetch

import (
	"errors"
	"testing"

	"slowpath/arch/amd64"
)

// testMemory is memory from the address base on.
type testMemory struct {
	base  uint64
	bytes []byte
}

func (m *testMemory) Load(address uint64, dst []byte) error {
	if address < m.base || address-m.base > uint64(len(m.bytes)) || uint64(len(m.bytes))-(address-m.base) < uint64(len(dst)) {
		return errors.New("fault")
	}
	copy(dst, m.bytes[address-m.base:])
	return nil
}

const base = 0x10000

// testHit has a text at 0x10000, two pointers to texts and a bad one at 0x10100, and
// numbers at 0x10200. The last text, at 0x10fc0, has no end.
func testHit() *Hit {
	m := &testMemory{base: base, bytes: make([]byte, 0x1000)}
	copy(m.bytes, "hello")
	copy(m.bytes[0x40:], "world\x00")
	copy(m.bytes[0x100:], []byte{0, 0, 1, 0, 0, 0, 0, 0, 0x40, 0, 1, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0})
	copy(m.bytes[0x200:], []byte{0xfe, 0xff, 0x34, 0x12, 0x78, 0x56, 0xbc, 0x9a})
	copy(m.bytes[0xfc0:], "0123456789012345678901234567890123456789012345678901234567890123")
	f := &amd64.Frame{RDI: 0x10200, RSI: 0x10000, RAX: ^uint64(0), RSP: 0x10100, RIP: 0x401000, RDX: 0xffff}
	return &Hit{Frame: f, Memory: m, FileBase: 0x400000, Comm: "sh"}
}

func register(r Register) Step { return Step{Op: LoadRegister, Register: r} }

func TestArgumentsArePrintedAsOnLinux(t *testing.T) {
	add := func(n int64) Step { return Step{Op: Add, Value: n} }
	load := Step{Op: Dereference}
	for _, c := range []struct {
		a    Argument
		want string
	}{
		{Argument{Steps: []Step{register(DI)}, Size: 8, Base: Hexadecimal}, "0x10200"},
		{Argument{Steps: []Step{register(DI)}, Size: 2}, "512"},
		{Argument{Steps: []Step{{Op: ReturnValue}}, Size: 4, Signed: true}, "-1"},
		{Argument{Steps: []Step{{Op: ReturnValue}}, Size: 8}, "18446744073709551615"},
		{Argument{Steps: []Step{register(IP)}, Size: 8, Base: Symbol}, "0x401000"},
		{Argument{Steps: []Step{{Op: StackPointer}}, Size: 8, Base: Hexadecimal}, "0x10100"},
		{Argument{Steps: []Step{{Op: StackSlot, Value: 1}}, Size: 8, Base: Hexadecimal}, "0x10040"},
		{Argument{Steps: []Step{{Op: StackSlot, Value: 1 << 20}}, Size: 8}, "0"},
		{Argument{Steps: []Step{{Op: Immediate, Value: -3}}, Size: 1, Signed: true}, "-3"},
		{Argument{Steps: []Step{{Op: FileOffset, Value: 16}}, Size: 8, Base: Hexadecimal}, "0x400010"},
		{Argument{Steps: []Step{register(DI)}, InMemory: true, Size: 2, Signed: true}, "-2"},
		{Argument{Steps: []Step{register(DI), add(2)}, InMemory: true, Size: 4, Base: Hexadecimal}, "0x56781234"},
		{Argument{Steps: []Step{register(DI), add(2)}, InMemory: true, Size: 4, BitSize: 8, BitOffset: 4}, "35"},
		{Argument{Steps: []Step{register(DX)}, Size: 4, BitSize: 3, BitOffset: 15}, "1"},
		{Argument{Steps: []Step{register(DI)}, InMemory: true, Size: 2, Count: 3}, "{65534,4660,22136}"},
		{Argument{Steps: []Step{{Op: Immediate, Value: 8}}, InMemory: true, Size: 8}, "0"},
		{Argument{Steps: []Step{{Op: Immediate, Value: 0x10ffc}}, InMemory: true, Size: 4, Count: 2}, "{858927408,0}"},
		{Argument{Steps: []Step{register(SI)}, InMemory: true, Kind: String}, `"hello"`},
		{Argument{Steps: []Step{register(SP), add(8), load}, InMemory: true, Kind: String}, `"world"`},
		{Argument{Steps: []Step{register(SP), load, load}, InMemory: true, Kind: String}, "(fault)"},
		{Argument{Steps: []Step{{Op: Immediate, Value: 8}}, InMemory: true, Kind: String}, "(fault)"},
		{Argument{Steps: []Step{{Op: Immediate, Value: 0x10fc0}}, InMemory: true, Kind: String}, "(fault)"},
		{Argument{Steps: []Step{register(SP)}, InMemory: true, Kind: String, Count: 3}, `{"hello","world",(fault)}`},
		{Argument{Steps: []Step{{Op: Comm}}, Kind: String}, `"sh"`},
		{Argument{Steps: []Step{{Op: Literal, Text: "abc"}}, Kind: String}, `"abc"`},
		{Argument{Steps: []Step{register(IP)}, Kind: SymbolString}, `"0x401000"`},
		{Argument{Steps: []Step{register(SI)}, Kind: Bytes, Max: 3}, "{0x68,0x65,0x6c}"},
		{Argument{Steps: []Step{register(SI)}, Kind: Bytes, Max: 9, Length: []Step{{Op: Immediate, Value: 2}}}, "{0x68,0x65}"},
		{Argument{Steps: []Step{register(SI)}, Kind: Bytes, Max: 2, Length: []Step{{Op: Immediate, Value: 1 << 40}}}, "{0x68,0x65}"},
		{Argument{Steps: []Step{register(SI)}, Kind: Bytes, Max: 2, Length: []Step{{Op: Immediate, Value: -1}}}, "{}"},
		{Argument{Steps: []Step{register(DX)}, Kind: Bytes, Max: 2}, "{}"},
	} {
		const header = 16
		c.a.Name = "a"
		record := make([]byte, header+c.a.FixedSize(), 4096)
		record = c.a.Fetch(testHit(), record, header, cap(record))
		if got := string(c.a.Print(nil, record, header)); got != " a="+c.want {
			t.Errorf("%+v: %q, want %q", c.a, got, c.want)
		}
	}
}

func TestDynamicDataIsCutAtTheLimit(t *testing.T) {
	for room := range 12 {
		first := Argument{Name: "a", Steps: []Step{register(SI)}, InMemory: true, Kind: String}
		second := Argument{Name: "b", Steps: []Step{{Op: Literal, Text: "xyz"}}, Kind: String}
		record := make([]byte, 8)
		record = first.Fetch(testHit(), record, 0, 8+room)
		record = second.Fetch(testHit(), record, 4, 8+room)
		if len(record) > 8+room {
			t.Fatalf("room for %d bytes: %d", room, len(record)-8)
		}
		got := string(second.Print(first.Print(nil, record, 0), record, 4))
		want := map[int]string{0: " a=(fault) b=(fault)", 1: ` a="" b=(fault)`, 4: ` a="hel" b=(fault)`, 6: ` a="hello" b=(fault)`, 8: ` a="hello" b="x"`, 11: ` a="hello" b="xyz"`}[room]
		if want != "" && got != want {
			t.Errorf("room for %d bytes: %s, want %s", room, got, want)
		}
	}
}

func TestRegistersHaveLinuxNames(t *testing.T) {
	f := &amd64.Frame{R15: 1, R14: 2, R13: 3, R12: 4, RBP: 5, RBX: 6, R11: 7, R10: 8, R9: 9, R8: 10, RAX: 11, RCX: 12, RDX: 13,
		RSI: 14, RDI: 15, OrigRAX: 16, RIP: 17, CS: 18, RFLAGS: 19, RSP: 20, SS: 21}
	for i, name := range []string{"r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di", "orig_ax", "ip", "cs", "flags", "sp", "ss"} {
		r, ok := RegisterByName(name)
		if !ok || r.Of(f) != uint64(i+1) || r.String() != name {
			t.Errorf("%s: %v %d", name, ok, r.Of(f))
		}
	}
	for _, name := range []string{"eax", "rax", "al", "", "st0"} {
		if _, ok := RegisterByName(name); ok {
			t.Errorf("%q is a register", name)
		}
	}
}

// FuzzPrint: a record of any contents is printed.
func FuzzPrint(f *testing.F) {
	f.Add([]byte("\x08\x00\x04\x00abcdefgh"), uint8(1), uint8(0))
	f.Fuzz(func(t *testing.T, record []byte, kind, count uint8) {
		a := Argument{Name: "a", Kind: Kind(kind % 4), Size: 4, Count: int(count % 65)}
		a.Print(nil, record, 0)
		a.Print(nil, record, len(record)/2)
	})
}
