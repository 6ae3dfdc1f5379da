// Package layouttest compares Go structures with those of Linux's headers, as the C
// compiler lays them out. It is for tests only.
package layouttest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Row compares a Go structure with Linux's.
type Row struct {
	Value any
	// C is the C type, empty if there is none.
	C string
	// Headers are the header files that declare it, without brackets.
	Headers string
	// Declaration is C text before the type, for a type that only the kernel's own
	// headers have.
	Declaration string
	// Fields are those of C in the order of the Go fields. "-" is a field that only
	// fills the structure up, or one without a single counterpart. A name with "@"
	// compares the offset only. "a+b" is a Go field for the C fields from a to b.
	Fields string
	// Part is set if the Go structure is the beginning of C's.
	Part bool
}

// CheckPadding fails the test if a structure has hidden padding, a blank field, or a field
// whose size depends on the architecture.
func CheckPadding(t *testing.T, rows []Row) {
	t.Helper()
	for _, r := range rows {
		if err := checkType(reflect.TypeOf(r.Value)); err != nil {
			t.Errorf("%T: %v", r.Value, err)
		}
	}
}

func checkType(t reflect.Type) error {
	switch t.Kind() {
	case reflect.Bool, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	case reflect.Array:
		return checkType(t.Elem())
	case reflect.Struct:
		return checkFields(t)
	}
	return fmt.Errorf("%s has no fixed layout", t)
}

func checkFields(t reflect.Type) error {
	var end uintptr
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			return fmt.Errorf("the field at offset %d is blank; name it Pad", f.Offset)
		}
		if f.Offset != end {
			return fmt.Errorf("there is padding in front of %s; add a field named Pad", f.Name)
		}
		if err := checkType(f.Type); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		end = f.Offset + f.Type.Size()
	}
	if end != t.Size() {
		return fmt.Errorf("there is padding behind the last field; add a field named Pad")
	}
	return nil
}

// CheckComplete fails the test if a type of the package in the current directory has no
// row. except are the names of types that need none.
func CheckComplete(t *testing.T, rows []Row, except ...string) {
	t.Helper()
	known := slices.Clone(except)
	for _, r := range rows {
		known = append(known, reflect.TypeOf(r.Value).Name())
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSpec); ok && !slices.Contains(known, s.Name.Name) {
				t.Errorf("%s: %s has no row in the table of layout_test.go", name, s.Name.Name)
			}
			return true
		})
	}
}

// layout is what a compiler makes of a structure: its size, and the offset and
// the size of each field.
func (r *Row) layout() string {
	t := reflect.TypeOf(r.Value)
	var b strings.Builder
	fmt.Fprintf(&b, "%s", r.C)
	if !r.Part {
		fmt.Fprintf(&b, " size %d", t.Size())
	}
	for i, name := range strings.Fields(r.Fields) {
		name, offsetOnly := strings.CutSuffix(name, "@")
		if name == "-" {
			continue
		}
		fmt.Fprintf(&b, " %s at %d", name, t.Field(i).Offset)
		if !offsetOnly {
			fmt.Fprintf(&b, " size %d", t.Field(i).Type.Size())
		}
	}
	return b.String()
}

// program returns a C function that prints what layout returns. Each function
// is a file of its own, because Linux's headers contradict each other.
func (r *Row) program(number int) string {
	var b strings.Builder
	fmt.Fprintln(&b, "#define _GNU_SOURCE\n#include <stddef.h>")
	for _, h := range strings.Fields(r.Headers) {
		fmt.Fprintf(&b, "#include <%s>\n", h)
	}
	fmt.Fprintf(&b, "int printf(const char *, ...);\n%s\ntypedef %s checked;\nvoid check%d(void) {\n\tprintf(%q);\n", r.Declaration, r.C, number, r.C)
	if !r.Part {
		fmt.Fprintln(&b, "\tprintf(\" size %zu\", sizeof(checked));")
	}
	for _, name := range strings.Fields(r.Fields) {
		name, offsetOnly := strings.CutSuffix(name, "@")
		if name == "-" {
			continue
		}
		first, last, isRange := strings.Cut(name, "+")
		fmt.Fprintf(&b, "\tprintf(\" %s at %%zu\", offsetof(checked, %s));\n", name, first)
		if !isRange {
			last = first
		}
		if !offsetOnly {
			fmt.Fprintf(&b, "\tprintf(\" size %%zu\", offsetof(checked, %s) + sizeof(((checked *)0)->%s) - offsetof(checked, %s));\n", last, last, first)
		}
	}
	fmt.Fprintln(&b, "\tprintf(\"\\n\");\n}")
	return b.String()
}

// Check fails the test if a structure differs from what gcc with the given flags makes of
// Linux's headers.
func Check(t *testing.T, rows []Row, flags ...string) {
	t.Helper()
	differences, err := compare(t.TempDir(), rows, flags)
	if err != nil {
		t.Fatalf("%v; make check installs gcc and the headers", err)
	}
	for _, d := range differences {
		t.Error(d)
	}
}

// compare returns the rows that differ. dir is an empty directory.
func compare(dir string, rows []Row, flags []string) (differences []string, err error) {
	program := filepath.Join(dir, "layout")
	arguments := append(slices.Clone(flags), "-o", program)
	files := map[string]string{}
	var declarations, calls string
	var want []string
	for i, r := range rows {
		if count := reflect.TypeOf(r.Value).NumField(); count != len(strings.Fields(r.Fields)) {
			return nil, fmt.Errorf("%T has %d fields, its row %d", r.Value, count, len(strings.Fields(r.Fields)))
		}
		if r.C == "" {
			continue
		}
		files[fmt.Sprintf("check%d.c", i)] = r.program(i)
		declarations += fmt.Sprintf("void check%d(void);\n", i)
		calls += fmt.Sprintf("\tcheck%d();\n", i)
		want = append(want, r.layout())
	}
	files["main.c"] = declarations + "int main(void) {\n" + calls + "\treturn 0;\n}\n"
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
		arguments = append(arguments, path)
	}
	if out, err := exec.Command("gcc", arguments...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("gcc: %w\n%s", err, out)
	}
	got, err := exec.Command(program).Output()
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSuffix(string(got), "\n"), "\n")
	if len(lines) != len(want) {
		return nil, fmt.Errorf("the C program printed %d lines, want %d", len(lines), len(want))
	}
	for i := range want {
		if lines[i] != want[i] {
			differences = append(differences, fmt.Sprintf("the layouts differ:\n  C  %s\n  Go %s", lines[i], want[i]))
		}
	}
	return differences, nil
}
