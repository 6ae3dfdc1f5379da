package location

import (
	"errors"
	"reflect"
	"testing"

	"slowpath/uprobe/fetch"
)

func load(r fetch.Register) fetch.Step   { return fetch.Step{Op: fetch.LoadRegister, Register: r} }
func add(n int64) fetch.Step             { return fetch.Step{Op: fetch.Add, Value: n} }
func memory(steps ...fetch.Step) Piece   { return Piece{Kind: Memory, Steps: steps} }
func computed(steps ...fetch.Step) Piece { return Piece{Kind: Computed, Steps: steps} }
func constant(n int64) fetch.Step        { return fetch.Step{Op: fetch.Immediate, Value: n} }
func context() *Context {
	return &Context{
		FrameBase: []byte{0x9c},
		CFA:       func() ([]fetch.Step, error) { return []fetch.Step{load(fetch.SP), add(8)}, nil },
		Static:    func(a uint64) []fetch.Step { return []fetch.Step{{Op: fetch.FileOffset, Value: int64(a)}} },
		Address:   func(n uint64) (uint64, error) { return 0x1000 + n, nil },
		Entry:     true,
	}
}

func TestExpressions(t *testing.T) {
	for name, c := range map[string]struct {
		expression string
		want       Location
	}{
		"register":           {"\x55", Location{{Kind: Register, Register: 5}}},
		"vector register":    {"\x90\x11", Location{{Kind: Register, Register: 17}}},
		"based":              {"\x76\x70", Location{memory(load(fetch.BP), add(-16))}},
		"frame":              {"\x91\x78", Location{memory(load(fetch.SP))}},
		"frame, positive":    {"\x91\x08", Location{memory(load(fetch.SP), add(16))}},
		"address":            {"\x03\x10\x20\x00\x00\x00\x00\x00\x00", Location{memory(fetch.Step{Op: fetch.FileOffset, Value: 0x2010})}},
		"indexed address":    {"\xa1\x02", Location{memory(fetch.Step{Op: fetch.FileOffset, Value: 0x1002})}},
		"dereference":        {"\x73\x08\x06", Location{memory(load(fetch.BX), add(8), fetch.Step{Op: fetch.Dereference})}},
		"value":              {"\x72\x01\x9f", Location{computed(load(fetch.CX), add(1))}},
		"literal":            {"\x35\x9f", Location{computed(constant(5))}},
		"signed constant":    {"\x09\xfe\x9f", Location{computed(constant(-2))}},
		"arithmetic":         {"\x75\x00\x33\x22\x31\x1c\x9f", Location{computed(load(fetch.DI), add(2))}},
		"entry value":        {"\xa3\x01\x54\x9f", Location{computed(load(fetch.SI))}},
		"implicit":           {"\x9e\x02ab", Location{{Kind: Constant, Bytes: []byte("ab")}}},
		"pieces":             {"\x50\x93\x08\x93\x04\x51\x93\x04", Location{{Kind: Register, Size: 8}, {Size: 4}, {Kind: Register, Register: 1, Size: 4}}},
		"duplicate and swap": {"\x31\x12\x32\x16\x22\x9f", Location{computed(constant(3))}},
	} {
		got, err := Evaluate([]byte(c.expression), context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(got) > 0 && name == "frame" { // an addition of 0 remains
			got[0].Steps = got[0].Steps[:1]
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestInexpressibleExpressionsAreRefused(t *testing.T) {
	for name, expression := range map[string]string{
		"multiplication": "\x75\x00\x33\x1e\x9f", "sum of registers": "\x75\x00\x74\x00\x22", "x87 register": "\x90\x21",
		"empty stack": "\x06", "cut short": "\x03\x01", "short load": "\x75\x00\x94\x04", "unknown": "\xff", "frame of a register": "\x91",
	} {
		if got, err := Evaluate([]byte(expression), context()); err == nil {
			t.Errorf("%s gives %+v", name, got)
		}
	}
	if _, err := Evaluate(nil, context()); !errors.Is(err, ErrMissing) {
		t.Errorf("an empty expression gives %v", err)
	}
	later := context()
	later.Entry = false
	if _, err := Evaluate([]byte("\xa3\x01\x54\x9f"), later); err == nil {
		t.Error("the value at the entry is known later")
	}
}

func TestPartsOfLocations(t *testing.T) {
	at := Location{{Kind: Register, Register: 0, Size: 8}, {Kind: Memory, Steps: []fetch.Step{load(fetch.BP)}}}
	for _, c := range []struct {
		offset, size int64
		want         Location
	}{
		{0, 4, Location{{Kind: Register, Size: 4}}},
		{4, 4, Location{{Kind: Register, Offset: 4, Size: 4}}},
		{12, 4, Location{{Kind: Memory, Steps: []fetch.Step{load(fetch.BP), add(4)}, Size: 4}}},
		{6, 4, Location{{Kind: Register, Offset: 6, Size: 2}, {Kind: Memory, Steps: []fetch.Step{load(fetch.BP)}, Size: 2}}},
	} {
		if got := at.Part(c.offset, c.size); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%d bytes at %d are at %+v, want %+v", c.size, c.offset, got, c.want)
		}
	}
}

func TestLists(t *testing.T) {
	old := &Unit{Version: 4, Base: 0x1000, Sections: &Sections{Loc: []byte(
		"\x00\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x55" +
			"\x10\x00\x00\x00\x00\x00\x00\x00\x20\x00\x00\x00\x00\x00\x00\x00\x02\x00\x91\x00" +
			"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")}}
	current := &Unit{Version: 5, Base: 0x1000, Sections: &Sections{
		Loclists: []byte("\x04\x00\x10\x01\x55" + "\x01\x00" + "\x04\x10\x20\x02\x91\x00" + "\x03\x00\x50\x01\x50" + "\x00"),
		Addr:     []byte("\x00\x10\x00\x00\x00\x00\x00\x00"),
	}}
	for name, u := range map[string]*Unit{"DWARF 4": old, "DWARF 5": current} {
		for pc, want := range map[uint64]string{0x1000: "\x55", 0x100f: "\x55", 0x1010: "\x91\x00"} {
			if got, err := u.Expression(0, pc); err != nil || string(got) != want {
				t.Errorf("%s: at %#x the expression is %q, %v", name, pc, got, err)
			}
		}
		if got, err := u.Expression(0, 0x2000); !errors.Is(err, ErrMissing) {
			t.Errorf("%s: beyond the list the expression is %q, %v", name, got, err)
		}
	}
	if got, err := current.Expression(0, 0x1040); err != nil || string(got) != "\x50" {
		t.Errorf("the expression is %q, %v", got, err)
	}
}

func FuzzEvaluate(f *testing.F) {
	f.Add([]byte("\x91\x08\x06\x9f"), []byte("\x9c"))
	f.Add([]byte("\x50\x93\x08\x93\x04\xa3\x01\x54\x9f"), []byte("\x76\x00"))
	f.Fuzz(func(t *testing.T, expression, base []byte) {
		c := context()
		c.FrameBase = base
		at, err := Evaluate(expression, c)
		if err != nil {
			return
		}
		at.Part(0, 8).Number()
		at.Part(3, 1000)
	})
}

func FuzzLists(f *testing.F) {
	f.Add([]byte("\x04\x00\x10\x01\x55\x01\x00\x00"), uint64(0), uint64(0x1001), 5)
	f.Fuzz(func(t *testing.T, data []byte, offset, pc uint64, version int) {
		u := &Unit{Version: version, Base: 0x1000, Sections: &Sections{Info: data, Loc: data, Loclists: data, Addr: data}, AddrBase: pc, LoclistsBase: offset}
		u.Expression(offset, pc)
		u.Indexed(pc)
		u.Address(offset)
		u.Sections.VersionOf(offset)
	})
}
