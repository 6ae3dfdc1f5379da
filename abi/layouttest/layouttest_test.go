package layouttest

import (
	"os/exec"
	"reflect"
	"testing"
)

func TestTypesWithoutAFixedLayoutAreRefused(t *testing.T) {
	for _, v := range []any{
		struct {
			A uint32
			B uint64
		}{},
		struct {
			A uint64
			B uint32
		}{},
		struct {
			A uint32
			_ uint32
		}{},
		struct{ A int }{}, struct{ A *byte }{}, [2]uintptr{}, "",
	} {
		if checkType(reflect.TypeOf(v)) == nil {
			t.Errorf("%T is accepted", v)
		}
	}
}

// TestWrongLayoutIsFound compares a structure with C structures of other sizes and offsets.
func TestWrongLayoutIsFound(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Fatal("gcc is missing: run make check, which installs it")
	}
	type pair struct{ A, B uint32 }
	const right = "struct x { unsigned a, b; };"
	rows := []Row{
		{Value: pair{}, C: "struct x", Declaration: right, Fields: "a b"},
		{Value: pair{}, C: "struct x", Declaration: right, Fields: "b -"},
		{Value: pair{}, C: "struct x", Declaration: "struct x { unsigned a, b, c; };", Fields: "a b"},
		{Value: pair{}, C: "struct x", Declaration: "struct x { unsigned short a, c; unsigned b; };", Fields: "a b"},
		{Value: pair{}, C: "struct x", Declaration: "struct x { unsigned short a, c; unsigned b; };", Fields: "a+c b"},
		{Value: pair{}, C: "struct x", Declaration: "struct x { unsigned a, b, c; };", Fields: "a b", Part: true},
	}
	differences, err := compare(t.TempDir(), rows, nil)
	if err != nil || len(differences) != 3 {
		t.Errorf("%d differences, want 3; error %v\n%q", len(differences), err, differences)
	}
}
