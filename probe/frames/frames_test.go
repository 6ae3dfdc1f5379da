package frames

import (
	"debug/elf"
	"testing"

	"slowpath/probe/probetest"
)

const source = `int f(int n) { volatile int a[100]; a[n] = n; return a[n]; }
int main(int argc, char **argv) { (void)argv; return f(argc); }
`

// section returns a section of a program that is built with the given flags.
func section(t testing.TB, name string, flags ...string) (s Section, function uint64) {
	t.Helper()
	e, err := elf.Open(probetest.C(t, source, flags...))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	found := e.Section(name)
	if found == nil {
		t.Skipf("the compiler makes no section %s", name)
	}
	data, err := found.Data()
	if err != nil {
		t.Fatal(err)
	}
	symbols, _ := e.Symbols()
	for _, symbol := range symbols {
		if symbol.Name == "f" {
			function = symbol.Value
		}
	}
	return Section{Data: data, Address: found.Addr}, function
}

func TestRowsOfAFunction(t *testing.T) {
	eh, f := section(t, ".eh_frame", "-O0")
	debug, g := section(t, ".debug_frame", "-O0", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables")
	for name, c := range map[string]struct {
		table *Table
		pc    uint64
	}{"eh_frame": {New(eh, Section{}), f}, "debug_frame": {New(Section{}, debug), g}} {
		entry, ok := c.table.Row(c.pc)
		if want := (Rule{Kind: Sum, Register: 7, Offset: 8}); !ok || !same(entry.CFA, want) || entry.Registers[16].Offset != -8 {
			t.Errorf("%s: the row of the entry is %+v, %v", name, entry, ok)
		}
		low, high, ok := c.table.Function(c.pc + 1)
		if !ok || low != c.pc || high <= low {
			t.Errorf("%s: the function is %#x to %#x, %v", name, low, high, ok)
		}
		body, ok := c.table.Row(c.pc + 8) // after push %rbp and mov %rsp,%rbp
		if !ok || body.CFA.Kind != Sum || body.CFA.Register != 6 || body.CFA.Offset != 16 || body.Registers[6].Kind != Saved {
			t.Errorf("%s: the row of the body is %+v, %v", name, body, ok)
		}
	}
	if _, ok := New(eh, Section{}).Row(1); ok {
		t.Error("there is a row for an address without code")
	}
}

func same(a, b Rule) bool {
	return a.Kind == b.Kind && a.Register == b.Register && a.Offset == b.Offset && len(a.Expression) == 0
}

func FuzzRows(f *testing.F) {
	eh, pc := section(f, ".eh_frame", "-O2")
	f.Add(eh.Data, eh.Address, pc, true)
	f.Fuzz(func(t *testing.T, data []byte, address, pc uint64, isEH bool) {
		var table *Table
		if isEH {
			table = New(Section{data, address}, Section{})
		} else {
			table = New(Section{}, Section{data, address})
		}
		table.Row(pc)
		for _, d := range table.entries[:min(len(table.entries), 100)] {
			table.Row(d.low)
			table.Row(d.high - 1)
			table.Function(d.low)
		}
	})
}
