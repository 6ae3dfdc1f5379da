package filter

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// measured has expressions for the event of testFields, with what Linux 6.1 has answered:
// the errno, the text of the error, and the index to which the caret points.
//
//go:embed testdata/filters.tsv
var measured string

// testFields are fields of the event with which the expressions were measured.
var testFields = []Field{
	{Type: "unsigned short", Name: "common_type", Size: 2},
	{Type: "int", Name: "common_pid", Offset: 4, Size: 4, Signed: true},
	{Type: "unsigned long", Name: "__probe_ip", Offset: 8, Size: 8},
	{Type: "s32", Name: "a", Offset: 16, Size: 4, Signed: true},
	{Type: "__data_loc char[]", Name: "s", Offset: 20, Size: 4, Signed: true},
	{Type: "s64[4]", Name: "n", Offset: 51, Size: 32, Signed: true},
	{Type: "__data_loc char[]", Name: "name", Offset: 83, Size: 4, Signed: true},
	{Type: "__data_loc char[][3]", Name: "v", Offset: 87, Size: 12, Signed: true},
}

var errnos = map[string]unix.Errno{"EINVAL": unix.EINVAL, "ENOENT": unix.ENOENT, "EPERM": unix.EPERM, "ESRCH": unix.ESRCH}

func TestErrorsAreThoseOfLinux(t *testing.T) {
	for _, line := range strings.Split(strings.Trim(measured, "\n"), "\n")[1:] {
		column := strings.Split(line, "\t")
		expression := column[0]
		if expression == "0" {
			continue // it removes a filter
		}
		_, err := Parse(testFields, expression)
		if column[1] == "" {
			if err != nil {
				t.Errorf("%q: %v, but Linux accepts it", expression, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: %v, want %s", expression, err, column[1])
			continue
		}
		caret := ""
		if e.Text != "" {
			caret = strconv.Itoa(min(e.Position, len(expression)))
		}
		if e.Errno != errnos[column[1]] || e.Text != column[2] || caret != column[3] {
			t.Errorf("%q: %v %q at %s, want %s %q at %s", expression, e.Errno, e.Text, caret, column[1], column[2], column[3])
		}
	}
}

type thread string

func (c thread) Comm() string { return string(c) }

// record returns a record with the fields a, __probe_ip and s.
func record(a int32, ip uint64, s string) []byte {
	b := make([]byte, 100)
	binary.LittleEndian.PutUint32(b[4:], 77)
	binary.LittleEndian.PutUint64(b[8:], ip)
	binary.LittleEndian.PutUint32(b[16:], uint32(a))
	binary.LittleEndian.PutUint32(b[20:], uint32(len(s)+1)<<16|100)
	return append(append(b, s...), 0)
}

func TestMatch(t *testing.T) {
	r := record(-5, 1<<63, "hello")
	for expression, want := range map[string]bool{
		"a == -5": true, "a != -5": false, "a < 0": true, "a > 0": false, "a <= -5": true, "a >= -4": false, "a & 1": true, "a & 4": false,
		"a == 0xfffffffb": true, // compared in 32 bits
		"__probe_ip > 1":  true, "__probe_ip == 9223372036854775808": true, "__probe_ip < 5": false,
		"common_pid == 77": true, "common_type == 0": true,
		`s == "hello"`: true, `s != "hello"`: false, `s == "hell"`: false, `s ~ "hel*"`: true, `s ~ "*llo"`: true, `s ~ "*ell*"`: true,
		`s ~ "h?l*o"`: true, `s ~ "h[a-f]llo"`: true, `s ~ "h[!a-f]llo"`: false, `s ~ "x*"`: false, `s ~ "!x*"`: true, `s ~ 'hello'`: true,
		`comm == "sh"`: true, `COMM ~ "s*"`: true, `comm != "sh"`: false, "cpu == 3": true, "CPU != 3": false, "common_cpu < 3": false,
		"n == 0": false, `v == ""`: true,
		"a == 1 || a == -5": true, "a == 1 && a == -5": false, "!(a == 1)": true, "!(a == -5)": false, "!!(a == -5)": true,
		`a == 1 && s == "x" || a == -5`: true, `a == -5 || s == "x" && a == 1`: true, "(a == 1 || a == -5) && !(a == 2)": true,
	} {
		f, err := Parse(testFields, expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got := f.Match(thread("sh"), 3, r); got != want {
			t.Errorf("%s: %v", expression, got)
		}
	}
}

// node is an expression for a comparison with a plain evaluator.
type node struct {
	operator    byte // 'a' for a == value, '!', '&', '|'
	value       int32
	left, right *node
}

func randomNode(r *rand.Rand, depth int) *node {
	if depth == 0 || r.IntN(4) == 0 {
		return &node{operator: 'a', value: int32(r.IntN(3))}
	}
	n := &node{operator: "!&|"[r.IntN(3)], left: randomNode(r, depth-1)}
	if n.operator != '!' {
		n.right = randomNode(r, depth-1)
	}
	return n
}

func (n *node) String() string {
	switch n.operator {
	case 'a':
		return fmt.Sprintf("a == %d", n.value)
	case '!':
		return "!(" + n.left.String() + ")"
	}
	return "(" + n.left.String() + ") " + strings.Repeat(string(n.operator), 2) + " (" + n.right.String() + ")"
}

func (n *node) evaluate(a int32) bool {
	switch n.operator {
	case 'a':
		return a == n.value
	case '!':
		return !n.left.evaluate(a)
	case '&':
		return n.left.evaluate(a) && n.right.evaluate(a)
	}
	return n.left.evaluate(a) || n.right.evaluate(a)
}

func TestRandomExpressionsMatchAPlainEvaluator(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		n := randomNode(r, 5)
		f, err := Parse(testFields, n.String())
		if err != nil {
			t.Fatalf("%s: %v", n, err)
		}
		for a := int32(0); a < 3; a++ {
			if got, want := f.Match(thread("x"), 0, record(a, 0, "")), n.evaluate(a); got != want {
				t.Fatalf("%s with a = %d: %v", n, a, got)
			}
		}
	}
}

// FuzzParse: no text may panic, and a filter that was parsed must match or not match any
// record.
func FuzzParse(f *testing.F) {
	for _, line := range strings.Split(measured, "\n") {
		expression, _, _ := strings.Cut(line, "\t")
		f.Add(expression, []byte("record"))
	}
	f.Fuzz(func(t *testing.T, expression string, record []byte) {
		parsed, err := Parse(testFields, expression)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Errno == 0 {
				t.Fatalf("%q: %v is no Error", expression, err)
			}
			return
		}
		parsed.Match(thread("sh"), 0, record)
	})
}
