package plan

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slowpath/probe/probetest"
	"slowpath/probe/spec"
)

const source = `#include <stdlib.h>
__attribute__((noinline)) int add(int a, int b) { __asm__ volatile(""); return a + b; }
__attribute__((noinline)) void *get(int n) { return malloc(n); }
int main(int argc, char **argv) { (void)argv; return add(argc, 2) + (get(3) == 0); }
`

// libc is the path of glibc on the host.
func libc(t *testing.T, program string) string {
	t.Helper()
	out, err := exec.Command("ldd", program).Output()
	if err != nil {
		t.Skipf("the libraries of the program are unknown: %v", err)
	}
	for word := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(word, "/") && strings.Contains(word, "libc.so") {
			return word
		}
	}
	t.Skip("the program needs no libc.so")
	return ""
}

// makePlan makes a plan for a dynamic program.
func makePlan(t *testing.T, r Request, texts ...string) (*Plan, error) {
	t.Helper()
	for _, text := range texts {
		s, err := spec.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		r.Specs = append(r.Specs, s)
	}
	r.Files = probetest.Root("/")
	p, err := New(r)
	if err == nil {
		t.Cleanup(p.Objects.Close)
	}
	return p, err
}

func TestLibrariesAndReturns(t *testing.T) {
	program := probetest.C(t, source, "-O1")
	request := Request{Program: []string{program, libc(t, program)}, Returns: true, Stack: 4096}
	p, err := makePlan(t, request, "libc:malloc($arg1)", "add(a)", "add", "add:0(b)")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range p.Probes {
		text := filepath.Base(p.File.Files[p.File.Probes[i].File]) + " " + p.Probes[i].Site.Name
		if p.File.Probes[i].Return {
			text += " returns"
		}
		if p.File.Probes[i].Stack != 4096 || p.File.Probes[i].Optional || int(p.File.Probes[i].ID) != i {
			t.Errorf("probe %d is %+v", i, p.File.Probes[i])
		}
		got = append(got, text)
	}
	want := "libc.so.6 malloc, libc.so.6 malloc returns, program add, program add returns, program add, program add (p.c:2)"
	if all := strings.Join(got, ", "); all != want {
		t.Errorf("the probes are %s, want %s", all, want)
	}
	if _, err := p.File.Marshal(); err != nil {
		t.Error(err)
	}
}

func TestManyFunctionsShareLists(t *testing.T) {
	program := probetest.Go(t, "package main\nimport \"fmt\"\nfunc main() { fmt.Println(1) }\n")
	p, err := makePlan(t, Request{Program: []string{program}}, "*")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Probes) < 1000 || len(p.File.Lists) > 4 || !p.File.Probes[0].Optional {
		t.Errorf("%d probes have %d lists", len(p.Probes), len(p.File.Lists))
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	program := probetest.C(t, source, "-O1")
	library := libc(t, program)
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"malloc":       "write libc:malloc",
		"libzzz:f":     "it needs libc.so.6",
		"/no/such:f":   "cannot be read",
		"add(x)":       "there are a, b",
		"ad":           "there are add",
		"main+0x10000": "beyond the end",
	} {
		if _, err := makePlan(t, Request{Program: []string{program, library}}, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want %q in it", text, err, want)
		}
	}
	if _, err := makePlan(t, Request{Program: []string{script}}, "main"); err == nil || !strings.Contains(err.Error(), "no ELF file") {
		t.Errorf("a script gives %v", err)
	}
	if p, err := makePlan(t, Request{Program: []string{script, program}}, "main"); err != nil || len(p.Probes) != 1 {
		t.Errorf("the interpreter of a script is not probed: %v", err)
	}
}

func TestGlobsTolerateMissingArguments(t *testing.T) {
	program := probetest.C(t, source, "-O1")
	p, err := makePlan(t, Request{Program: []string{program}}, "?*d?(a)", "a*(b)")
	if err != nil || len(p.Probes) == 0 {
		t.Errorf("got %v", err)
	}
}
