package values

import (
	"bytes"
	"debug/elf"
	"os"
	"strings"
	"testing"

	"slowpath/arch/amd64"
	"slowpath/probe/probetest"
	"slowpath/probe/spec"
	"slowpath/probe/symbols"
	"slowpath/probespec"
	"slowpath/uprobe/fetch"
)

// noMemory is a program without memory.
type noMemory struct{}

func (noMemory) Load(uint64, []byte) error { return os.ErrInvalid }

// FuzzValues changes bytes of the debug information: compiling and decoding must not panic,
// and what the kernel gets must be possible.
func FuzzValues(f *testing.F) {
	name := probetest.C(f, cSource, "-O1", "-gz=none", "-no-pie")
	program, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	e, err := elf.Open(name)
	if err != nil {
		f.Fatal(err)
	}
	defer e.Close()
	var at []int // the offsets of the debug information
	for _, s := range e.Sections {
		if strings.HasPrefix(s.Name, ".debug_") || s.Name == ".eh_frame" {
			for i := range s.Size {
				at = append(at, int(s.Offset+i))
			}
		}
	}
	f.Add([]byte("\x00\x00\x01\xff"), []byte("record"))
	f.Fuzz(func(t *testing.T, changes, record []byte) {
		damaged := bytes.Clone(program)
		for ; len(changes) >= 4; changes = changes[4:] {
			n := int(changes[0])<<16 | int(changes[1])<<8 | int(changes[2])
			damaged[at[n%len(at)]] = changes[3]
		}
		o, err := symbols.New(name, bytes.NewReader(damaged), int64(len(damaged)))
		if err != nil {
			return
		}
		r := NewReader(o)
		for _, text := range []string{"*(*)", "*%return", "items(i->next->name, v.list[1])", "p.c:14(*)", "numbers+4(*)"} {
			checkProbes(t, r, text, record)
		}
	})
}

// checkProbes compiles a spec and decodes a record with it.
func checkProbes(t *testing.T, r *Reader, text string, record []byte) {
	s, err := spec.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	found, err := r.object.Find(s)
	if err != nil {
		return
	}
	for i := range found.Sites {
		l, err := r.Compile(&found.Sites[i], s)
		if err != nil {
			continue
		}
		file := probespec.Spec{Files: []string{"f"}, Lists: [][]fetch.Argument{l.Arguments}, Probes: []probespec.Probe{{}}}
		if _, err := file.Marshal(); err != nil {
			t.Errorf("%s is not possible: %v", text, err)
		}
		for _, b := range [][]byte{record, probespec.Fetch(l.Arguments, &fetch.Hit{Frame: new(amd64.Frame), Memory: noMemory{}}, nil)} {
			for _, v := range l.Decode(b).Values {
				_ = v.Value.String()
				v.Value.JSON()
			}
		}
	}
}
