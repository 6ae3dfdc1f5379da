package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func newReport(out *bytes.Buffer) *report {
	return &report{out: out, output: make(map[string]*strings.Builder), parents: make(map[string]bool)}
}

func TestOnlyInnermostTestsAreCounted(t *testing.T) {
	const events = `{"Action":"run","Package":"p","Test":"A"}
{"Action":"run","Package":"p","Test":"A/one"}
{"Action":"output","Package":"p","Test":"A/one","Output":"secret of one\n"}
{"Action":"run","Package":"p","Test":"A/two"}
{"Action":"output","Package":"p","Test":"A/two","Output":"why two failed\n"}
{"Action":"pass","Package":"p","Test":"A/one"}
{"Action":"fail","Package":"p","Test":"A/two"}
{"Action":"fail","Package":"p","Test":"A"}
{"Action":"run","Package":"p","Test":"B"}
{"Action":"pass","Package":"p","Test":"B"}
not JSON
{"Action":"fail","Package":"p","Elapsed":1}
`
	var out bytes.Buffer
	r := newReport(&out)
	r.read(strings.NewReader(events))
	if r.passed != 2 || r.failed != 1 {
		t.Errorf("%d passed, %d failed; want 2 and 1", r.passed, r.failed)
	}
	text := out.String()
	if !strings.Contains(text, "why two failed") || strings.Contains(text, "secret of one") || !strings.Contains(text, "not JSON") {
		t.Errorf("the report is %q", text)
	}
}

func TestMissingPackageCountsAsFailure(t *testing.T) {
	var out bytes.Buffer
	r := newReport(&out)
	r.runParallel([][]string{{"./no-such-directory"}, {"./nor-this"}})
	if r.passed != 0 || r.failed < 2 {
		t.Errorf("packages that do not exist count as %d passed, %d failed", r.passed, r.failed)
	}
}

func TestArgumentsAreSplitIntoGroups(t *testing.T) {
	got := split([]string{"a", "b", ":", "c"}, ":")
	if len(got) != 2 || !slices.Equal(got[0], []string{"a", "b"}) || !slices.Equal(got[1], []string{"c"}) {
		t.Errorf("got %q", got)
	}
}
