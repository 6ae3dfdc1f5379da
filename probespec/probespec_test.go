package probespec

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"slowpath/arch/amd64"
	"slowpath/uprobe/fetch"
)

func sample() *Spec {
	return &Spec{
		Files: []string{"/bin/a b", "/lib/\"x\""},
		Lists: [][]fetch.Argument{{}, {
			{Name: "x", Kind: fetch.Integer, Size: 8, Steps: []fetch.Step{{Op: fetch.LoadRegister, Register: fetch.DI}}},
			{Kind: fetch.Bytes, Steps: []fetch.Step{{Op: fetch.StackPointer}}, Length: []fetch.Step{{Op: fetch.Immediate, Value: 3}}, Max: 100, Unit: 8},
		}},
		Probes: []Probe{{ID: 1, Offset: 4096, Arguments: 1, Optional: true}, {ID: 2, File: 1, Offset: 1 << 40, Return: true, Stack: MaxStack}},
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
			t.Fatalf("a file of %d of %d bytes is parsed", cut, len(text))
		}
	}
}

func TestImpossibleProbesAreRefused(t *testing.T) {
	for name, change := range map[string]func(s *Spec){
		"file":     func(s *Spec) { s.Probes[0].File = 2 },
		"list":     func(s *Spec) { s.Probes[0].Arguments = 2 },
		"stack":    func(s *Spec) { s.Probes[0].Stack = MaxStack + 1 },
		"size":     func(s *Spec) { s.Lists[1][0].Size = 3 },
		"maximum":  func(s *Spec) { s.Lists[1][1].Max = MaxValues + 1 },
		"elements": func(s *Spec) { s.Lists[1][0].Count = 1000 },
	} {
		s := sample()
		change(s)
		if _, err := s.Marshal(); err == nil {
			t.Errorf("an impossible %s is accepted", name)
		}
	}
}

// collected has the records of a batch.
type collected struct {
	hits     []Hit
	lost     uint64
	maps     string
	failures []Failure
}

func (c *collected) Hit(h *Hit)                    { c.hits = append(c.hits, *h) }
func (c *collected) Lost(n uint64)                 { c.lost += n }
func (c *collected) Maps(process uint32, m []byte) { c.maps += string(m) }
func (c *collected) Failure(f Failure)             { c.failures = append(c.failures, f) }

func TestDecodeReversesEncoder(t *testing.T) {
	hits := []Hit{
		{ID: 1, Time: 1 << 50, CPU: 3, Process: 10, Thread: 11, Comm: "one", Values: []byte{1, 2, 3}},
		{ID: 2, Thread: 11, Comm: "one", Registers: bytes.Repeat([]byte{7}, RegisterBytes), Stack: []byte("stack")},
		{ID: 3, Thread: 12, Comm: "", TailCall: true},
		{ID: 4, Thread: 11, Comm: "two"},
	}
	var e Encoder
	for round := range 2 {
		for i := range hits {
			e.Hit(&hits[i])
		}
		e.Lost(5)
		e.Maps(10, []byte("maps"))
		e.Failure(Failure{9, 524})
		var got collected
		if err := Decode(e.Take(), &got); err != nil {
			t.Fatal(err)
		}
		same := slices.EqualFunc(got.hits, hits, func(a, b Hit) bool {
			return a.ID == b.ID && a.Time == b.Time && a.CPU == b.CPU && a.Process == b.Process && a.Thread == b.Thread && a.Comm == b.Comm && a.TailCall == b.TailCall &&
				bytes.Equal(a.Values, b.Values) && bytes.Equal(a.Registers, b.Registers) && bytes.Equal(a.Stack, b.Stack)
		})
		if !same || got.lost != 5 || got.maps != "maps" || len(got.failures) != 1 || got.failures[0].Errno != 524 {
			t.Errorf("round %d: got %+v", round, got)
		}
	}
}

// memory is a memory of a program with the given bytes at address 0.
type memory string

func (m memory) Load(address uint64, dst []byte) error {
	if address > uint64(len(m)) || copy(dst, m[address:]) < len(dst) {
		return ErrFormat
	}
	return nil
}

func TestFetchLimitsStringsAndRanges(t *testing.T) {
	at := func(n int64) []fetch.Step { return []fetch.Step{{Op: fetch.Immediate, Value: n}} }
	list := []fetch.Argument{
		{Kind: fetch.String, Steps: at(0), Max: 5},
		{Kind: fetch.Bytes, Steps: at(4), Length: at(3), Unit: 2, Max: 100},
		{Kind: fetch.Bytes, Steps: at(5000), Max: 8},
		{Kind: fetch.Integer, Size: 4, Steps: at(77)},
	}
	h := &fetch.Hit{Memory: memory("0123456789" + strings.Repeat("x", 100))}
	values := Fetch(list, h, nil)
	var got []string
	for i := range 3 {
		l := fetch.LocationAt(values, i*4)
		got = append(got, string(values[l.Offset():l.Offset()+l.Length()]))
	}
	if want := []string{"0123\x00", "456789", ""}; !slices.Equal(got, want) || values[12] != 77 {
		t.Errorf("got %q and %d, want %q", got, values[12], want)
	}
	if again := Fetch(list, h, values); !bytes.Equal(again, Fetch(list, h, nil)) {
		t.Error("a buffer that is used again changes the values")
	}
}

func FuzzParse(f *testing.F) {
	text, _ := sample().Marshal()
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		again, err := s.Marshal()
		if err != nil {
			t.Fatalf("what was parsed cannot be written: %v", err)
		}
		if _, err := Parse(again); err != nil {
			t.Error(err)
		}
		for _, list := range s.Lists {
			Fetch(list, &fetch.Hit{Frame: new(amd64.Frame), Memory: memory("some memory")}, nil)
		}
	})
}

func FuzzDecode(f *testing.F) {
	var e Encoder
	e.Hit(&Hit{ID: 1, Comm: "c", Values: []byte("v"), Registers: make([]byte, RegisterBytes)})
	e.Lost(1)
	e.Maps(1, []byte("m"))
	f.Add(e.Take())
	f.Fuzz(func(t *testing.T, batch []byte) { Decode(batch, new(collected)) })
}
