package hist

import (
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/trace/filter"
)

// testFields are the fields of the records of the tests.
var testFields = []filter.Field{
	{Type: "int", Name: "common_pid", Offset: 4, Size: 4, Signed: true},
	{Type: "int", Name: "n", Offset: 8, Size: 4, Signed: true},
	{Type: "char[]", Name: "name", Offset: 12, Size: 8, Length: 8},
	{Type: "__data_loc char[]", Name: "path", Offset: 20, Size: 4},
	{Type: "const char *", Name: "pointer", Offset: 24, Size: 8},
	{Type: "unsigned long[6]", Name: "args", Offset: 32, Size: 48, Length: 6},
	{Type: "char[]", Name: "rest", Offset: 80},
}

// testRecord returns a record of thread 5.
func testRecord(n int32, name, path string) []byte {
	r := make([]byte, 80)
	binary.LittleEndian.PutUint32(r[4:], 5)
	binary.LittleEndian.PutUint32(r[8:], uint32(n))
	copy(r[12:], name)
	binary.LittleEndian.PutUint32(r[20:], uint32(len(path)+1)<<16|80)
	return append(append(r, path...), 0)
}

func count(t *testing.T, text string, records ...[]byte) string {
	t.Helper()
	spec, err := Parse(testFields, text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	h := New(spec)
	for i, r := range records {
		h.Add(&Sample{Record: r, CPU: 1, TID: 5, Comm: "prog", Time: uint64(i) * 3000, Nanoseconds: true})
	}
	out, _, _ := strings.Cut(string(h.AppendText(nil, func(n uint64) string { return []string{"", "sys_write"}[n&1] })), "\nTotals")
	return out
}

func TestEntriesAreShownAsOnLinux(t *testing.T) {
	one, minus, big := testRecord(1, "ab", "/x"), testRecord(-1, "ab", "/y"), testRecord(1000, "c", "/x")
	for _, c := range []struct{ text, want string }{
		{"keys=n.hex:sort=n", "{ n: ffffffffffffffff } hitcount:          1\n{ n: 1 } hitcount:          1\n{ n: 3e8 } hitcount:          1\n"},
		{"keys=name:sort=hitcount.descending", "{ name: ab                                                 } hitcount:          2\n" +
			"{ name: c                                                  } hitcount:          1\n"},
		{"keys=path,n:sort=path.descending,n", "{ path: /y                                                , n: 18446744073709551615 } hitcount:          1\n" +
			"{ path: /x                                                , n:          1 } hitcount:          1\n" +
			"{ path: /x                                                , n:       1000 } hitcount:          1\n"},
		{"keys=n.log2 if n > 0", "{ n: ~ 2^0  } hitcount:          1\n{ n: ~ 2^64 } hitcount:          1\n{ n: ~ 2^10 } hitcount:          1\n"},
		{"keys=n.buckets=100:sort=n", "{ n: ~ 0-99 } hitcount:          1\n{ n: ~ 1000-1099 } hitcount:          1\n" +
			"{ n: ~ 18446744073709551600-83 } hitcount:          1\n"},
		{"keys=n.syscall:sort=n.descending", "{ n: unknown_syscall               [1000] } hitcount:          1\n" +
			"{ n: sys_write                     [  1] } hitcount:          1\n{ n: sys_write                     [18446744073709551615] } hitcount:          1\n"},
		{"keys=common_cpu:vals=n.percent,n.graph", "{ common_cpu:          1 } hitcount:          3  n (%): 100.00  n: ####################\n"},
		{"keys=common_timestamp.usecs:sort=common_timestamp", "{ common_timestamp:          0 } hitcount:          1\n{ common_timestamp:          3 } hitcount:          1\n" +
			"{ common_timestamp:          6 } hitcount:          1\n"},
		{"keys=n.sym:sort=n.descending:size=128", "{ n: [3e8] 0x3e8                                         } hitcount:          1\n" +
			"{ n: [1] 0x1                                           } hitcount:          1\n{ n: [ffffffffffffffff] 0xffffffffffffffff                            } hitcount:          1\n"},
	} {
		if got := count(t, c.text, one, minus, big); got != c.want {
			t.Errorf("%s:\n%swant:\n%s", c.text, got, c.want)
		}
	}
}

func TestExpressionsAreEvaluatedFromLeftToRight(t *testing.T) {
	for expression, want := range map[string]string{
		"123": "123", "16-8-4-2": "2", "64/8/4/2": "1", "16-8+4+2": "14", "4*3/2*2": "12", "4+3*2-2": "8", "4+6/2-2": "5",
		"n+1": "n+1", "-(n)": "-(n)", "n-common_pid": "n-common_pid",
	} {
		spec, err := Parse(testFields, "keys=common_pid:x="+expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
		} else if text := "hist:keys=common_pid:vals=hitcount:x=" + want + ":sort=hitcount:size=2048"; spec.String() != text {
			t.Errorf("%s: %s, want %s", expression, spec, text)
		}
	}
	if got, want := count(t, "keys=n-common_pid", testRecord(12, "", "")), "{ n-common_pid:          7 } hitcount:          1\n"; got != want {
		t.Errorf("an expression as a key: %swant %s", got, want)
	}
}

// TestErrorsPointToTheirPlace has a caret in each text at the place of the error.
func TestErrorsPointToTheirPlace(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"keys=common_pid:vals=n:sort=common_pid,^junk", errSortField},
		{"keys=common_pid:vals=n:^sort=", errEmpty},
		{"keys=common_pid:vals=n:^sort=common_pid,", errEmptySort},
		{"keys=common_pid:vals=n:sort=common_pid.^junk", errSortModifier},
		{"keys=common_pid:vals=n,n:^sort=common_pid,n,n", errManySort},
		{"keys=common_pid:x=32+^10*3/20-4", errSubexpressions},
		{"keys=common_pid:x=^1+2+3+4+5", errSubexpressions},
		{"keys=common_pid:x=-(^1)+2", errUnaryMinus},
		{"keys=common_pid:x=3/^0", errDivision},
		{"keys=^junk", errNoField},
		{"keys=^rest", errNoField},
		{"keys=common_pid:vals=^$junk", errNoField},
		{"keys=n.^execname", errModifier},
		{"keys=n:vals=n.^log2", ""},
		{"keys=common_pid:x=^name+1", errTextOperand},
		{"keys=n:^onmax($x).save(n)", errAction},
	} {
		position := len("hist:") + strings.IndexByte(c.text, '^')
		_, err := Parse(testFields, strings.Replace(c.text, "^", "", 1))
		e, ok := err.(*Error)
		switch {
		case !ok || e.Errno != unix.EINVAL:
			t.Errorf("%s: %v", c.text, err)
		case c.want != "" && (e.Text != c.want || e.Position != position):
			t.Errorf("%s: %q at %d, want %q at %d", c.text, e.Text, e.Position, c.want, position)
		}
	}
	for text, want := range map[string]unix.Errno{
		"": unix.EINVAL, "vals=n": unix.EINVAL, "keys=n,n,n,n": unix.EINVAL, "keys=n:size=0": unix.EINVAL, "keys=n:size=64": unix.EINVAL,
		"keys=n:size=131073": unix.EINVAL, "keys=path,path": unix.EINVAL, "keys=pointer": unix.EINVAL, "keys=args": unix.ENOMEM, "keys=n:junk": unix.EINVAL,
		"keys=n if": unix.EINVAL, "keys=n:vals=n,n,n": unix.EINVAL,
	} {
		if _, err := Parse(testFields, text); err == nil || err.(*Error).Errno != want {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

func TestFullHistogramDropsNewKeysOnly(t *testing.T) {
	spec, err := Parse(testFields, "keys=n:size=128")
	if err != nil {
		t.Fatal(err)
	}
	h := New(spec)
	for n := range int32(130) {
		h.Add(&Sample{Record: testRecord(n, "", "")})
	}
	h.Add(&Sample{Record: testRecord(0, "", "")})
	text := string(h.AppendText(nil, nil))
	if !strings.HasSuffix(text, "{ n:          0 } hitcount:          2\n\nTotals:\n    Hits: 129\n    Entries: 128\n    Dropped: 2\n") {
		t.Errorf("the end of a full histogram:\n%s", text[len(text)-200:])
	}
}

// FuzzParse: no text may panic. What is accepted counts any record, and its text is accepted
// again as the same histogram.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"keys=n", "keys=stacktrace,name,n.log2:vals=n.hex,common_pid:sort=n.descending,hitcount:size=128:name=a:pause", "keys=n:x=-(n+1)*3,y=$x:clear if n == 3",
		"keys=common_timestamp.usecs,common_cpu:clock=mono", "keys=n.sym-offset,path", "keys=common_pid.execname:vals=n.percent,n.graph", "keys=n/common_pid,n.buckets=7",
	} {
		f.Add(text, testRecord(1, "a", "b"))
	}
	f.Fuzz(func(t *testing.T, text string, record []byte) {
		spec, err := Parse(testFields, text)
		if err != nil {
			return
		}
		again, err := Parse(testFields, strings.TrimPrefix(spec.String(), "hist:"))
		if err == nil && !again.Same(spec) {
			t.Errorf("%q is shown as %q, which is another histogram: %q", text, spec, again)
		}
		if spec.Bytes() > 1<<20 {
			return
		}
		h := New(spec)
		h.Add(&Sample{Record: record, TID: 1})
		h.Add(&Sample{TID: 0})
		h.AppendText(nil, func(uint64) string { return "" })
	})
}
