package tracespec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"testing"
)

func sample() *Plan {
	return &Plan{
		Follow: true, Stack: 4096,
		Calls: map[int]*Call{
			0: {Exit: []Op{{Kind: Bytes, When: Guard{Success: true}, Address: Value{Source: Argument, Index: 1}, Count: Value{Source: Result}, Unit: 1, Max: 33}}},
			20: {Entry: []Op{
				{Kind: Bytes, Address: Value{Source: Argument, Index: 1}, Count: Value{Source: Argument, Index: 2}, Unit: 16, Max: 528},
				{Kind: Vector, Address: Value{Source: Captured, Size: 8}, Count: Value{Number: 1 << 62}, Unit: 16, Max: 33},
			}},
			511: {Entry: []Op{{Kind: Strings, When: Guard{Argument: 1, Mask: 127, Values: []uint64{1, 1 << 63}, Except: true}, Unit: 3, Max: 9}}},
		},
		Injections: []Injection{{Numbers: []int{2, 257}, First: 2, Last: 9, Step: 3, Replace: true, Result: -2, Signal: 10, DelayEnter: 5, DelayExit: 1 << 40}},
	}
}

func TestParseReversesMarshal(t *testing.T) {
	want := sample()
	text, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(text)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for cut := range len(text) {
		if _, err := Parse(text[:cut]); err == nil {
			t.Fatalf("a plan of %d of %d bytes is parsed", cut, len(text))
		}
	}
}

func TestImpossiblePlansAreRefused(t *testing.T) {
	first := func(p *Plan) *Op { return &p.Calls[0].Exit[0] }
	for name, change := range map[string]func(p *Plan){
		"stack":            func(p *Plan) { p.Stack = MaxStack + 1 },
		"number":           func(p *Plan) { p.Calls[MaxCalls] = p.Calls[0] },
		"argument":         func(p *Plan) { first(p).Address.Index = 6 },
		"later capture":    func(p *Plan) { first(p).Address = Value{Source: Captured, Size: 8} },
		"size":             func(p *Plan) { p.Calls[20].Entry[1].Address.Size = 3 },
		"maximum":          func(p *Plan) { first(p).Max = MaxBytes + 1 },
		"kind":             func(p *Plan) { first(p).Kind = kindEnd },
		"vector of nobody": func(p *Plan) { p.Calls[20].Entry[1].Address = Value{} },
		"guard":            func(p *Plan) { first(p).When.Argument = 6 },
		"step":             func(p *Plan) { p.Injections[0].Step = 0 },
		"ops":              func(p *Plan) { p.Calls[0].Entry = make([]Op, MaxOps+1) },
	} {
		p := sample()
		change(p)
		if _, err := p.Marshal(); err == nil {
			t.Errorf("an impossible %s is accepted", name)
		}
	}
}

// memory is a program with memory from address 0x1000 on.
type memory []byte

const base = 0x1000

func (m memory) LoadSome(address uint64, p []byte) int {
	if address < base || address-base > uint64(len(m)) {
		return 0
	}
	return copy(p, m[address-base:])
}

func (m memory) Load(address uint64, p []byte) error {
	if m.LoadSome(address, p) < len(p) {
		return errors.New("fault")
	}
	return nil
}

func (m memory) StackPointer() uint64 { return base + 8 }

func (m memory) FileName(descriptor int32, _ bool) string {
	if descriptor == 3 {
		return "/a file"
	}
	return ""
}

// run executes ops and returns the captures.
func run(t *testing.T, ops []Op, arguments [6]uint64, result int64, m memory) [][]byte {
	t.Helper()
	var c Capturer
	list, ok := Split(c.Capture(ops, &arguments, result, m), len(ops))
	if !ok {
		t.Fatal("the captures are damaged")
	}
	return list
}

func TestCapturesOfEachKind(t *testing.T) {
	m := memory(bytes.Repeat([]byte("0123456789abcdef"), 16))
	copy(m[32:], "a string\x00")
	for i, at := range []uint64{base + 32, 7, 0} { // an array of pointers at 64
		binary.LittleEndian.PutUint64(m[64+8*i:], at)
	}
	for i, v := range []uint64{base, 4, base + 32, 8} { // two iovecs at 128
		binary.LittleEndian.PutUint64(m[128+8*i:], v)
	}
	binary.LittleEndian.PutUint16(m[208:], 20) // records of 20 bytes at 200
	binary.LittleEndian.PutUint16(m[228:], 20)
	arg := func(i int) Value { return Value{Source: Argument, Index: uint8(i)} }
	ops := []Op{
		{Kind: Bytes, Address: arg(0), Count: arg(1), Unit: 2, Max: 100},
		{Kind: Bytes, Address: arg(0), Count: Value{Source: Result}, Unit: 1, Max: 3},
		{Kind: String, Address: arg(2), Max: 100},
		{Kind: String, Address: arg(2), Max: 3},
		{Kind: Strings, Address: arg(3), Unit: 10, Max: 5},
		{Kind: Bytes, Address: arg(4), Count: Value{Number: 2}, Unit: 16, Max: 100},
		{Kind: Vector, Address: Value{Source: Captured, Index: 5, Size: 8}, Count: Value{Number: 6}, Unit: 16, Max: 100},
		{Kind: Records, Address: arg(5), Count: Value{Number: 40}, Unit: 8},
		{Kind: Descriptor, Address: Value{Number: 3}},
		{Kind: Descriptor, Address: Value{Number: 4}},
		{Kind: Bytes, Address: Value{Source: Stack, Number: 2}, Count: Value{Number: 1}, Unit: 2, Max: 2},
		{Kind: Bytes, Address: Value{Number: 1}, Count: Value{Number: 1}, Unit: 8, Max: 8},
		{Kind: Bytes, Address: Value{Source: Captured, Index: 11, Size: 8}, Count: Value{Number: 1}, Unit: 8, Max: 8},
		{Kind: Bytes, When: Guard{Argument: 1, Mask: 3, Values: []uint64{1}}, Address: arg(0), Count: Value{Number: 1}, Unit: 1, Max: 1},
		{Kind: Bytes, When: Guard{Argument: 1, Mask: 3, Values: []uint64{1}, Except: true}, Address: arg(0), Count: Value{Number: 1}, Unit: 1, Max: 1},
	}
	got := run(t, ops, [6]uint64{base, 2, base + 32, base + 64, base + 128, base + 200}, 9, m)
	want := []string{"0123", "012", "a string\x00", "a s", "", string(m[128:160]), "", "\x02\x00\x00\x00\x00\x00\x00\x00", "/a file", "", "ab", "", "", "", "0"}
	missing := []int{9, 11, 12, 13}
	for i := range want {
		if i == 4 || i == 6 {
			continue
		}
		if string(got[i]) != want[i] || (got[i] == nil) != slices.Contains(missing, i) {
			t.Errorf("capture %d is %q, want %q", i, got[i], want[i])
		}
	}
	l := SplitStrings(got[4])
	if l.End != EndNull || l.Count != 2 || string(l.Strings[0]) != "a str" || l.Strings[1] != nil || l.Bad[1] != 7 {
		t.Errorf("the list of strings is %+v", l)
	}
	if v := SplitVector(got[6]); len(v) != 2 || string(v[0]) != "0123" || string(v[1]) != "a " {
		t.Errorf("the buffers are %q", v)
	}
}

func TestFailedCallsAreNotCapturedAtTheExit(t *testing.T) {
	ops := []Op{{Kind: Bytes, When: Guard{Success: true}, Address: Value{Number: base}, Count: Value{Number: 1}, Unit: 1, Max: 1}}
	m := memory("x")
	for result, captured := range map[int64]bool{-1: false, -4095: false, -512: false, 0: true, 5: true, -1 << 40: true} {
		if got := run(t, ops, [6]uint64{}, result, m)[0] != nil; got != captured {
			t.Errorf("with the result %d captured is %v", result, got)
		}
	}
}

func TestInjectionAppliesToTheChosenCalls(t *testing.T) {
	for _, c := range []struct {
		injection Injection
		want      []uint64
	}{
		{Injection{First: 1, Step: 1}, []uint64{1, 2, 3, 4, 5, 6, 7}},
		{Injection{First: 3, Step: 1, Last: 3}, []uint64{3}},
		{Injection{First: 2, Step: 2}, []uint64{2, 4, 6}},
		{Injection{First: 2, Last: 5, Step: 3}, []uint64{2, 5}},
	} {
		var got []uint64
		for n := range uint64(8) {
			if n > 0 && c.injection.Applies(n) {
				got = append(got, n)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v applies to %v, want %v", c.injection, got, c.want)
		}
	}
}

func records() []Record {
	return []Record{
		{Kind: Begin, Wall: 1 << 60},
		{Kind: Enter, Thread: 2, Process: 2, CPU: 1, Number: -1, Arguments: [6]uint64{1, ^uint64(0)}, Address: 1 << 46, Captures: []byte{0, 2, 'x'}},
		{Kind: Leave, Thread: 2, CPU: 3, Result: -514, Killed: true, Captures: []byte{}, Registers: make([]byte, 17*8), Stack: []byte("stack")},
		{Kind: Signal, Thread: 2, Process: 2, Data: []byte("siginfo")},
		{Kind: Exit, Thread: 2, Process: 2, Result: 0x8b},
	}
}

func TestDecodeReversesEncoder(t *testing.T) {
	var e Encoder
	for round := range 2 {
		want := records()
		for i := range want {
			want[i].Time = uint64(1000*round + 7*i)
			e.Append(&want[i], want[i].Time)
		}
		e.Lost(5)
		var got []Record
		if err := Decode(e.Take(), func(r *Record) error { got = append(got, *r); return nil }); err != nil {
			t.Fatal(err)
		}
		if lost := got[len(got)-1]; lost.Kind != Lost || lost.Result != 5 {
			t.Errorf("the last record is %+v", lost)
		}
		for i := range want {
			if g, w := got[i], want[i]; g.Time != w.Time || g.Result != w.Result || g.Arguments != w.Arguments || g.Number != w.Number ||
				g.Killed != w.Killed || !bytes.Equal(g.Captures, w.Captures) || !bytes.Equal(g.Stack, w.Stack) || !bytes.Equal(g.Data, w.Data) {
				t.Errorf("record %d is %+v, want %+v", i, g, w)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	text, _ := sample().Marshal()
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		if _, err := p.Marshal(); err != nil {
			t.Fatalf("what was parsed cannot be written: %v", err)
		}
		var c Capturer
		for _, call := range p.Calls {
			for _, ops := range [][]Op{call.Entry, call.Exit} {
				b := c.Capture(ops, &[6]uint64{base, base + 8, 3}, 5, memory("some memory of a program"))
				if _, ok := Split(b, len(ops)); !ok || len(b) > MaxCapture+MaxCapture/2+MaxOps*4 {
					t.Fatalf("%d bytes of captures, readable: %v", len(b), ok)
				}
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	var e Encoder
	for _, r := range records() {
		e.Append(&r, 9)
	}
	f.Add(e.Take())
	f.Fuzz(func(t *testing.T, batch []byte) {
		Decode(batch, func(r *Record) error {
			Split(r.Captures, 5)
			SplitStrings(r.Captures)
			SplitVector(r.Captures)
			return nil
		})
	})
}

// TestBuffersOfVectorsCountForTheLimit: the captures before a Vector and its own buffers
// have one limit, so that a batch with a record fits into a frame of the link.
func TestBuffersOfVectorsCountForTheLimit(t *testing.T) {
	const buffers = 100
	m := make(memory, 64<<10)
	for i := range buffers {
		binary.LittleEndian.PutUint64(m[16*i:], base)
		binary.LittleEndian.PutUint64(m[16*i+8:], 4096)
	}
	large := Op{Kind: Bytes, Address: Value{Number: base}, Count: Value{Number: 14 << 10}, Unit: 1, Max: MaxBytes}
	ops := []Op{large, large, {Kind: Bytes, Address: Value{Number: base}, Count: Value{Number: buffers}, Unit: 16, Max: MaxBytes},
		{Kind: Vector, Address: Value{Source: Captured, Index: 2, Size: 8}, Count: Value{Number: 1 << 62}, Unit: 16, Max: 4096}}
	if n := len(new(Capturer).Capture(ops, new([6]uint64), 0, m)); n > MaxCapture+4*buffers || n < MaxCapture {
		t.Errorf("the captures take %d bytes, want at most %d and the lengths of the buffers", n, MaxCapture)
	}
}
