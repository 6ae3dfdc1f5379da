package spec

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// place returns a place without a line.
func place(p Place) Place {
	if p.Line == 0 && p.File == "" {
		p.Line = NoLine
	}
	return p
}

func TestFormsOfPlaces(t *testing.T) {
	for text, want := range map[string]Spec{
		"main":                            {Place: Place{Function: "main"}},
		"malloc%return":                   {Place: Place{Function: "malloc"}, Return: true},
		"libc:malloc":                     {Library: "libc", Place: Place{Function: "malloc"}},
		"libc:mem*":                       {Library: "libc", Place: Place{Function: "mem*"}},
		"/usr/lib/libz.so.1:inflate":      {Library: "/usr/lib/libz.so.1", Place: Place{Function: "inflate"}},
		"main:12":                         {Place: Place{Function: "main", Line: 12}},
		"hello.c:12":                      {Place: Place{File: "hello.c", Line: 12}},
		"libz:src/inflate.c:7":            {Library: "libz", Place: Place{File: "src/inflate.c", Line: 7}},
		"main.main:3":                     {Place: Place{Function: "main.main", Line: 3}},
		"main.(*T).Method":                {Place: Place{Function: "main.(*T).Method"}},
		"main.(*T).Method%return":         {Place: Place{Function: "main.(*T).Method"}, Return: true},
		"main.F[...]":                     {Place: Place{Function: "main.F[*]"}},
		"ns::Class::method":               {Place: Place{Function: "ns::Class::method"}},
		"libfoo:ns::method":               {Library: "libfoo", Place: Place{Function: "ns::method"}},
		"ns::f:4":                         {Place: Place{Function: "ns::f", Line: 4}},
		"main+0x10":                       {Place: Place{Function: "main", Offset: 16}},
		"f+*":                             {Place: Place{Function: "f", Every: true}},
		"libc:0x1234":                     {Library: "libc", Place: Place{Address: 0x1234, HasAddress: true}},
		"f@a.c":                           {Place: Place{Function: "f", In: "a.c"}},
		"S::operator()":                   {Place: Place{Function: "S::operator()"}},
		"net/http.(*Server).Serve":        {Place: Place{Function: "net/http.(*Server).Serve"}},
		"core::fmt::Display<&T>::fmt":     {Place: Place{Function: "core::fmt::Display<&T>::fmt"}},
		"<alloc::string::String as X>::f": {Place: Place{Function: "<alloc::string::String as X>::f"}},
	} {
		got, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		want.Text, want.Place = text, place(want.Place)
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: got %+v, want %+v", text, *got, want)
		}
	}
}

func TestFormsOfArguments(t *testing.T) {
	for text, want := range map[string][]Argument{
		"f(x)":           {{Label: "x", Name: "x"}},
		"f(x, y)":        {{Label: "x", Name: "x"}, {Label: "y", Name: "y"}},
		"f(n=s.len)":     {{Label: "n", Name: "s", Path: []Step{{Kind: Field, Name: "len"}}}},
		"f(p->a[3])":     {{Label: "p->a[3]", Name: "p", Path: []Step{{Kind: Field, Name: "a"}, {Kind: Element, Index: 3}}}},
		"f(*p)":          {{Label: "*p", Name: "p", Path: []Step{{Kind: Dereference}}}},
		"f(%rdi)":        {{Label: "%rdi", Root: Register, Name: "rdi"}},
		"f(%rdi:string)": {{Label: "%rdi", Root: Register, Name: "rdi", Type: "string"}},
		"f($arg2)":       {{Label: "$arg2", Root: Positional, Name: "arg2", Number: 2}},
		"f(s=$arg1:u32)": {{Label: "s", Root: Positional, Name: "arg1", Number: 1, Type: "u32"}},
		"f:3(i)":         {{Label: "i", Name: "i"}},
		"f()":            nil,
		"main.(*T).M(t)": {{Label: "t", Name: "t"}},
	} {
		got, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if !reflect.DeepEqual(got.Arguments, want) || got.All {
			t.Errorf("%s: got %+v, want %+v", text, got.Arguments, want)
		}
	}
	for _, text := range []string{"f(*)", "f(...)", "main.(*T).M(*)"} {
		if got, err := Parse(text); err != nil || !got.All {
			t.Errorf("%s: got %+v, %v, want all parameters", text, got, err)
		}
	}
}

func TestMeaninglessProbesAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "libc:", "()", "f(x)%return", "f:3%return", "f+4%return", "f+4:3", "f+*:3", "f+*%return", "f(x,)", "f(=x)", "f(x:z9)", "f($foo)",
		"f(x[a])", "f(x!)", "f+z", "0xzz", "a\x00b", "two words", "f($arg0)", strings.Repeat("f", maxText+1),
		"f(" + strings.Repeat("x,", maxArguments) + "x)", "f(" + strings.Repeat("*", maxSteps+1) + "x)",
	} {
		if got, err := Parse(text); !errors.Is(err, ErrSyntax) {
			t.Errorf("%.40q is parsed as %+v, %v", text, got, err)
		}
	}
}

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		pattern     Pattern
		name        string
		glob, match bool
	}{
		{"main", "main", false, true}, {"main", "main2", false, false}, {"main.*", "main.f", true, true},
		{"main.*", "mainf", true, false}, {"*", "", true, true}, {"m?m", "mem", true, true}, {"m?m", "mm", true, false},
		{"*a*b*", "xaxxbx", true, true}, {"*a*b*", "xbxxa", true, false}, {"main.(*T).M", "main.(*T).M", false, true},
		{"main.(*T).M", "main.(aT).M", false, false}, {"main.(*T).*", "main.(*T).M", true, true}, {"main.(*", "main.(*T)", true, true},
	} {
		if c.pattern.Glob() != c.glob || c.pattern.Match(c.name) != c.match {
			t.Errorf("%q and %q: glob %v, match %v", c.pattern, c.name, c.pattern.Glob(), c.pattern.Match(c.name))
		}
	}
}

func TestNearestNamesComeFirst(t *testing.T) {
	names := []string{"malloc", "calloc", "main.Malloc", "free", "realloc"}
	if got := Pattern("maloc").Nearest(names, 2); !slices.Equal(got, []string{"malloc", "calloc"}) {
		t.Errorf("got %q", got)
	}
	if got := Pattern("xyzzy").Nearest(names, 2); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

// FuzzParse checks that a parsed text is parsed again as the same, and that a pattern
// without wildcards matches itself.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"libc:malloc($arg1:u64)", "main.(*T).M(x.y[3], *p)", "a.c:12(*)", "f+0x10", "f@a.c%return", "0x12"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Errorf("the error %v is no syntax error", err)
			}
			return
		}
		again, err := Parse(s.Text)
		if err != nil || !reflect.DeepEqual(s, again) {
			t.Errorf("%q is parsed differently a second time: %+v, %v", text, again, err)
		}
		if p := s.Place.Function; !p.Match(string(p)) {
			t.Errorf("%q does not match itself", p)
		}
	})
}
