package runspec

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

var full = Spec{
	Path: "/bin/busybox", Args: []string{"sh", "-c", "echo \"$X\"\n\xff", ""}, Env: []string{"X=a b\tc", "EMPTY="},
	Workdir: "/tmp", Stdio: Terminal, Stdin: "/in", Rows: 24, Columns: 80, Hostname: "box",
}

func TestParseReversesMarshal(t *testing.T) {
	for _, want := range []Spec{full, {Args: []string{"/init"}}} {
		text, err := want.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("got %+v, want %+v, from\n%s", *got, want, text)
		}
	}
}

func TestProgramIsPathOrFirstArgument(t *testing.T) {
	for _, c := range []struct {
		spec Spec
		want string
	}{{full, "/bin/busybox"}, {Spec{Args: []string{"/init"}}, "/init"}, {Spec{}, ""}} {
		if got := c.spec.Program(); got != c.want {
			t.Errorf("the program is %q, want %q", got, c.want)
		}
	}
}

func TestParseRejectsTruncatedText(t *testing.T) {
	text, err := full.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(text) {
		if spec, err := Parse(text[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes are parsed as %+v", n, len(text), spec)
		}
	}
}

func TestParseRejectsBadText(t *testing.T) {
	const good = "slowpath-run 1\narg \"/x\"\n"
	if _, err := Parse([]byte(good + "end\n")); err != nil {
		t.Fatalf("the common part of the cases does not parse: %v", err)
	}
	for name, text := range map[string]string{
		"another version":   "slowpath-run 2\narg \"/x\"\nend\n",
		"no program":        "slowpath-run 1\nend\n",
		"unknown keyword":   good + "color \"red\"\nend\n",
		"unquoted string":   good + "arg x\nend\n",
		"NUL in a string":   good + `env "A=\x00"` + "\nend\n",
		"relative workdir":  good + "workdir \"tmp\"\nend\n",
		"unknown stdio":     good + "stdio files\nend\n",
		"window too large":  good + "window 70000 80\nend\n",
		"window incomplete": good + "window 24\nend\n",
		"empty line":        good + "\nend\n",
		"oversized":         good + "env \"" + strings.Repeat("a", MaxSize) + "\"\nend\n",
	} {
		t.Run(name, func(t *testing.T) {
			if spec, err := Parse([]byte(text)); err == nil {
				t.Errorf("it is parsed as %+v", spec)
			}
		})
	}
}

func TestMarshalRejectsUnusableSpecs(t *testing.T) {
	for _, spec := range []Spec{{}, {Args: []string{"a\x00b"}}, {Args: []string{"/x"}, Workdir: "tmp"}} {
		if text, err := spec.Marshal(); err == nil {
			t.Errorf("%+v is written as %q", spec, text)
		}
	}
}

// FuzzParse checks that a spec that was parsed can be written and parsed again.
func FuzzParse(f *testing.F) {
	text, _ := full.Marshal()
	f.Add(text)
	f.Add([]byte("slowpath-run 1\nwindow 1 2\nend\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		spec, err := Parse(text)
		if err != nil {
			return
		}
		first, err := spec.Marshal()
		if err != nil {
			t.Fatalf("%+v was parsed but cannot be written: %v", spec, err)
		}
		again, err := Parse(first)
		if err != nil {
			t.Fatalf("%q does not parse: %v", first, err)
		}
		if second, _ := again.Marshal(); !bytes.Equal(first, second) {
			t.Errorf("%q is written as %q after parsing", first, second)
		}
	})
}
