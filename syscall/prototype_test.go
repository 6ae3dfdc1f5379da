package syscall

import (
	"testing"

	"slowpath/entry"
)

// TestEveryRowHasAPrototype compares the rows with the declarations of Linux: both have the
// same calls, and no row has more arguments than the declaration.
func TestEveryRowHasAPrototype(t *testing.T) {
	byNumber := map[int]Prototype{}
	for _, p := range Prototypes() {
		byNumber[p.Number] = p
		if p.Name == "" || len(p.Parameters) > 6 {
			t.Errorf("call %d: the prototype is %+v", p.Number, p)
		}
		for _, one := range p.Parameters {
			if one.Type == "" || one.Name == "" {
				t.Errorf("%s has the parameter %+v", p.Name, one)
			}
		}
	}
	for _, r := range Table() {
		if r.ABI != entry.X86_64 {
			continue
		}
		p, ok := byNumber[r.Number]
		delete(byNumber, r.Number)
		if !ok || len(r.Arguments) > len(p.Parameters) {
			t.Errorf("%s has the arguments %v, and the prototype is %+v", r.Name, r.Arguments, p)
		}
	}
	for _, p := range byNumber {
		t.Errorf("%s has a prototype and no row", p.Name)
	}
}

func TestPrototypeIsParsed(t *testing.T) {
	for text, want := range map[string]Prototype{
		"getpid()": {Number: 3, Name: "getpid"},
		"read(unsigned int fd, char * buf, size_t count)": {Number: 3, Name: "read", Parameters: []Parameter{
			{"unsigned int", "fd"}, {"char *", "buf"}, {"size_t", "count"},
		}},
	} {
		got := parsePrototype(3, text)
		if got.Name != want.Name || len(got.Parameters) != len(want.Parameters) {
			t.Errorf("%s: got %+v", text, got)
			continue
		}
		for i := range want.Parameters {
			if got.Parameters[i] != want.Parameters[i] {
				t.Errorf("%s: parameter %d is %+v, want %+v", text, i, got.Parameters[i], want.Parameters[i])
			}
		}
	}
}
