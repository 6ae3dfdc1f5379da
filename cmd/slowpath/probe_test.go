package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slowpath/hostlink"
	"slowpath/probespec"
)

func TestProbeCommandLines(t *testing.T) {
	for _, args := range [][]string{
		{"main", "--stack", "prog", "--flag"}, {"--stack", "main", "prog", "--flag"}, {"--stack", "main", "--", "prog", "--flag"},
	} {
		f, err := parseProbeFlags(args)
		if err != nil || f.program != "prog" || len(f.args) != 2 || f.probes.specs[0] != "main" || f.probes.stack != 8192 {
			t.Errorf("%q is parsed as %+v, %v", args, f, err)
		}
	}
	if f, err := parseProbeFlags([]string{"main", "--stack=16384", "prog"}); err != nil || f.probes.stack != 16384 {
		t.Errorf("got %+v, %v", f, err)
	}
	if _, err := parseProbeFlags([]string{"main", "--stack=16385", "prog"}); err == nil {
		t.Error("a stack that is too long is accepted")
	}
	f, err := parseProbeFlags([]string{"a", "--probe", "b(x,y)", "--probe=c", "prog"})
	if err != nil || strings.Join(f.probes.specs, " ") != "a b(x,y) c" {
		t.Errorf("the probes are %q, %v", f.probes.specs, err)
	}
	for _, args := range [][]string{nil, {"main"}, {"main", "--no-such-flag", "prog"}} {
		if f, err := parseProbeFlags(args); err == nil {
			t.Errorf("%q is parsed as %+v", args, f)
		}
	}
}

func TestFlagsOfProbesNeedAProbe(t *testing.T) {
	if got := command(t, "run", "--latency", "/bin/true"); got.code != exitFailure || !strings.Contains(got.errors, "--probe SPEC") {
		t.Errorf("got %+v", got)
	}
}

func TestProbeErrorsComeBeforeTheStart(t *testing.T) {
	useKernel(t)
	program := compile(t, "-g")
	for spec, want := range map[string]string{
		"main":          "",
		"mian":          "there are main",
		"main(x)":       "has no variable x",
		"main:2%return": "slowpath help probe shows",
		"libz:f":        "needs no library libz",
	} {
		got := command(t, "probe", "--dry-run", spec, program)
		if want == "" && (got.code != 0 || got.errors != "") || want != "" && (got.code != exitFailure || !strings.Contains(got.errors, want)) {
			t.Errorf("%s: got %+v", spec, got)
		}
	}
	if got := command(t, "run", "--dry-run", "--probe", "main", "-o", filepath.Join(t.TempDir(), "no", "file"), program); got.code != exitFailure || !strings.Contains(got.errors, "-o") {
		t.Errorf("got %+v", got)
	}
}

func TestMountedFilesAreProbed(t *testing.T) {
	program := compile(t, "-g")
	f := &runFlags{mounts: fileMounts{{program, "/somewhere/else"}}}
	file, err := guestFiles{f}.Open("/somewhere/else")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if want, _ := os.Stat(program); want == nil {
		t.Fatal("the program is gone")
	} else if got, _ := file.Stat(); !os.SameFile(got, want) {
		t.Error("another file is opened")
	}
}

func TestProbeHelpHasExamples(t *testing.T) {
	got := command(t, "help", "probe")
	if got.code != 0 || strings.Count(got.out, "\n  slowpath probe ") < 5 {
		t.Errorf("got %+v", got)
	}
	if again := command(t, "probe", "-h"); again != got {
		t.Error("probe -h differs from help probe")
	}
}

// TestRecordFitsIntoAFrame compares the limits of two packages that do not know each other.
func TestRecordFitsIntoAFrame(t *testing.T) {
	const batch = 8 << 10 // at which a batch is complete
	if batch+probespec.MaxRecord+probespec.MaxMaps > hostlink.MaxPayload {
		t.Errorf("a batch may have %d bytes, more than a frame", batch+probespec.MaxRecord+probespec.MaxMaps)
	}
}
