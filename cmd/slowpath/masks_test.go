package main

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// printed returns the report as printed with the given flags.
func printed(t *testing.T, flags maskFlags) string {
	t.Helper()
	r := *computedMasks()
	r.ShowFix = flags.fix
	var text strings.Builder
	if err := r.print(&text, flags); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestMasksTextShowsBothSides(t *testing.T) {
	got := command(t, "masks")
	if got.code != 0 || got.errors != "" {
		t.Fatalf("got %+v", got)
	}
	for line := range strings.Lines(got.out) {
		if len(line) > 101 {
			t.Errorf("a line has %d columns, more than 100: %s", len(line)-1, line)
		}
	}
	for _, want := range []string{
		`ENTRY +0x100801d1 +entry +`,
		`12 UPROBE +\. \. W A \. +do_notify_resume +before user +claimed, frame`,
		`UPROBE +3\.13 +LIVELOCK +LIVELOCK +LIVELOCK +LIVELOCK +UNDONE +UNDONE +IRET\+`,
		`exit of a call +8 +7928 +0 +256 +0 +254208`,
		`exit of a 32-bit call +0 +7932 +4 +256 +0 +254208`,
		`32-bit call by SYSENTER +0 +7932 +4 +256 +0 +254208`,
		`SIGPENDING +3\.13 .*\n +Slowpath +SYSRET\+ +SYSRET\+ +IRET\+ +SYSRETL\+ +IRET`,
		`32-bit SYSCALL +0 +\d+ +0 +0\n`,
		`mail +0xe200 .*\n +source +0xe220`,
	} {
		if !regexp.MustCompile(want).MatchString(got.out) {
			t.Errorf("%q is not in\n%s", want, got.out)
		}
	}
	alone, _, _ := strings.Cut(got.out[strings.Index(got.out, "ALONE"):], "EVERY COMBINATION")
	if regexp.MustCompile(` - `).MatchString(alone) {
		t.Errorf("a path has no result for a flag:\n%s", alone)
	}
	if strings.Contains(got.out, "THE FIX") {
		t.Error("the fix is shown without --fix")
	}
}

func TestMasksFixRemovesLivelock(t *testing.T) {
	got := printed(t, maskFlags{fix: true})
	_, fix, found := strings.Cut(got, "THE FIX")
	if !found || !regexp.MustCompile(`0x1c06`).MatchString(fix) ||
		!regexp.MustCompile(`exit of a call +8 +8184 +0 +0 +0 +253952`).MatchString(fix) ||
		!regexp.MustCompile(`fixed +IRET\+ +IRET\+ +IRET\+ +IRET\+ +IRET\+ +IRET\+ +IRET\+`).MatchString(got) {
		t.Errorf("masks --fix gives %s", got)
	}
}

func TestMasksJSONHasSweepsAndFlags(t *testing.T) {
	var r maskReport
	if err := json.Unmarshal([]byte(printed(t, maskFlags{asJSON: true})), &r); err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Slowpath.Sweeps {
		if s.Wrong != 0 || s.Words != 1<<len(r.Flags) {
			t.Errorf("Slowpath's sweep is %+v", s)
		}
	}
	if len(r.Linux.Sweeps) != 10 || r.Linux.Sweeps[1].Livelock != 256 || r.Fixed.Sweeps[1].Livelock != 0 {
		t.Errorf("the sweeps of 3.13 are %+v, and fixed %+v", r.Linux.Sweeps, r.Fixed.Sweeps)
	}
	i := slices.IndexFunc(r.Flags, func(f flagRow) bool { return f.Name == "SECCOMP" })
	if i < 0 || r.Flags[i].Bit != 8 || !slices.Equal(r.Flags[i].Linux.Masks, []string{"ENTRY"}) || r.Flags[i].Slowpath.Stages != "entry" {
		t.Errorf("SECCOMP is not as expected in %+v", r.Flags)
	}
	if len(r.Findings) < 5 {
		t.Errorf("findings are %+v", r.Findings)
	}
}

// TestMasksPageIsSelfContained checks that the page needs no network.
func TestMasksPageIsSelfContained(t *testing.T) {
	page := printed(t, maskFlags{asHTML: true})
	if !strings.HasPrefix(page, "<!DOCTYPE html>") || !strings.HasSuffix(page, "</html>\n") {
		t.Fatalf("not a page: %.100s", page)
	}
	if found := regexp.MustCompile(`(?i)https?:|src=|<link|@import|url\(`).FindString(page); found != "" {
		t.Errorf("the page loads another resource: %q", found)
	}
	if strings.Contains(page, "id=\"fix\" checked") || !strings.Contains(printed(t, maskFlags{fix: true, asHTML: true}), "id=\"fix\" checked") {
		t.Error("--fix does not set the initial state of the page's switch")
	}
}

func TestMasksRefusesOtherArguments(t *testing.T) {
	for _, args := range []string{"masks --color", "masks --json --html", "masks UPROBE"} {
		if got := command(t, strings.Fields(args)...); got.code != exitFailure || !strings.Contains(got.errors, "--fix") || got.out != "" {
			t.Errorf("slowpath %s gives %+v", args, got)
		}
	}
}
