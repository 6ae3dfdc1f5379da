package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// probed builds qemu/testdata/probed.c with debug information and returns its path.
func probed(t *testing.T, flags ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "probed")
	command := append([]string{"-g", "-O2", "-pthread", "-o", program, filepath.Join(sources, "probed.c")}, flags...)
	if out, err := exec.Command("gcc", command...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return program
}

// hit is a line of slowpath probe --json.
type hit struct {
	Event     string
	Time      uint64 `json:"time_ns"`
	Pid, Tid  int
	Goroutine int
	Comm      string
	Function  string
	Arguments map[string]any
	Results   []any
	Elapsed   *uint64 `json:"elapsed_ns"`
	TailCall  bool    `json:"tail_call"`
	Stack     []struct{ Function, File string }
}

// key returns the function, and what of it was hit.
func (h *hit) key() string { return h.Function + " " + h.Event }

// probeJSON runs a program with probes, checks that its output is what it is on Linux
// without probes, and returns the hits.
func probeJSON(t *testing.T, want result, args ...string) []hit {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hits")
	got := probe(t, append([]string{"--json", "-o", file}, args...)...)
	notes, rest := splitNotes(got.errors)
	if got.errors = rest; got != want {
		t.Errorf("with probes the program gives\n%+v\nwant\n%+v\nnotes: %s", got, want, notes)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var hits []hit
	for decoder := json.NewDecoder(bytes.NewReader(text)); decoder.More(); {
		var h hit
		if err := decoder.Decode(&h); err != nil {
			t.Fatal(err)
		}
		hits = append(hits, h)
	}
	return hits
}

// splitNotes separates the notes of slowpath probe from other lines.
func splitNotes(text string) (notes, rest string) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "slowpath: note: ") {
			notes += line
		} else {
			rest += line
		}
	}
	return notes, rest
}

// probe runs slowpath probe.
func probe(t testing.TB, args ...string) result {
	t.Helper()
	all := append([]string{"probe", "--timeout", fmt.Sprint(timeLimit)}, args...)
	return execute(t, "", exec.CommandContext(t.Context(), slowpath, all...))
}

// compact returns a value as JSON.
func compact(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

func TestProbeShowsArgumentsAndResultsOfC(t *testing.T) {
	t.Parallel()
	program := probed(t, "-static")
	hits := probeJSON(t, onHost(t, "", program), "sum(*)", "--probe", "sum%return", "--probe", "make%return", "--probe", "probed.c:71(i)",
		"--probe", "sum($arg2:s32, t=%rdi:string)", program)
	count := map[string]int{}
	for _, h := range hits {
		count[h.key()]++
		switch {
		case h.Event == "entry" && h.Function == "sum" && h.Arguments["q"] != nil:
			q := h.Arguments["q"].(map[string]any)["value"]
			h.Arguments["q"] = q
			want := fmt.Sprintf(`{"c":"GREEN","d":2.75,"n":%d,`, count[h.key()]/2) +
				`"p":{"high":2,"low":1,"name":"first","nested":{},"weight":1.5,"x":1,"y":2},` +
				`"q":{"high":17,"low":5,"name":"made","nested":{},"weight":0.25,"x":5,"y":-5},"text":"hello"}`
			if got := compact(h.Arguments); got != want {
				t.Errorf("sum has the arguments\n%s, want\n%s", got, want)
			}
		case h.Event == "entry" && h.Function == "sum":
			if h.Arguments["t"] != "hello" {
				t.Errorf("the registers of sum show %v", h.Arguments)
			}
		case h.Event == "return" && h.Function == "make":
			if got := compact(h.Results); got != `[{"high":17,"low":5,"name":"made","nested":{},"weight":0.25,"x":5,"y":-5}]` {
				t.Errorf("make returns %s", got)
			}
		case h.Event == "return" && (h.Elapsed == nil || h.Results[0] != float64(9+count[h.key()])):
			t.Errorf("sum returns %v after %v", h.Results, h.Elapsed)
		}
	}
	if got := fmt.Sprint(count); got != "map[main (probed.c:71) line:3 make return:1 sum entry:6 sum return:3]" {
		t.Errorf("the hits are %s", got)
	}
}

// TestTailCallShowsNoWrongResult: the register of the result has something else when a
// function jumps to another one.
func TestTailCallShowsNoWrongResult(t *testing.T) {
	t.Parallel()
	program := probed(t, "-static")
	for _, h := range probeJSON(t, onHost(t, "", program), "successor%return", "--probe", "identity%return", program) {
		switch h.Function {
		case "successor":
			if !h.TailCall || h.Results != nil {
				t.Errorf("successor returns %v, tail call %v", h.Results, h.TailCall)
			}
		case "identity":
			if h.TailCall || compact(h.Results) != "[2]" {
				t.Errorf("identity returns %v, tail call %v", h.Results, h.TailCall)
			}
		}
	}
}

// smallRoot makes a root directory with the libraries of a dynamic program, and the
// program as /probed.
func smallRoot(t *testing.T, program string) string {
	t.Helper()
	root := t.TempDir()
	out, err := exec.Command("ldd", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{program: "/probed"}
	for word := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(word, "/") {
			files[word] = word
		}
	}
	for from, to := range files {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(root, to)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestProbeCountsMallocOfAnotherRoot probes malloc and free in the libc of a root
// directory. The program makes 80 calls with sizes that nothing else uses, in four threads.
func TestProbeCountsMallocOfAnotherRoot(t *testing.T) {
	t.Parallel()
	program := probed(t)
	root := smallRoot(t, program)
	hits := probeJSON(t, onHost(t, "", program), "libc:malloc($arg1:u64)", "--probe", "libc:malloc%return", "--probe", "libc:free(p=$arg1)",
		"--probe", "allocate(size)", "--smp", "2", "--rootfs", root, "/probed")
	ours, returned, freed, allocated := 0, map[any]int{}, 0, 0
	inside := map[int]bool{} // threads that are in one of our calls
	for _, h := range hits {
		switch h.key() {
		case "allocate entry":
			allocated++
		case "malloc entry":
			size := h.Arguments["$arg1"].(float64)
			if inside[h.Tid] = size >= 70000 && size < 70020; inside[h.Tid] {
				ours++
			}
		case "malloc return":
			if inside[h.Tid] {
				returned[h.Results[0]]++
			}
			inside[h.Tid] = false
		case "free entry":
			if p := h.Arguments["p"]; returned[p] > 0 {
				returned[p]--
				freed++
			}
		}
	}
	if ours != 80 || freed != 80 || allocated != 80 {
		t.Errorf("%d calls of malloc and %d of free are seen, and %d of allocate; the program made 80", ours, freed, allocated)
	}
}

func TestProbeShowsCallersOfPositionIndependentProgram(t *testing.T) {
	t.Parallel()
	program := probed(t, "-pie", "-fPIE", "-fomit-frame-pointer")
	hits := probeJSON(t, onHost(t, "", program), "libc:malloc($arg1:u64)", "--stack", program)
	found := 0
	for _, h := range hits {
		if h.Arguments["$arg1"] != 70007.0 {
			continue
		}
		found++
		var names []string
		for _, f := range h.Stack {
			names = append(names, f.Function)
		}
		if got := strings.Join(names, " "); !strings.Contains(got, "malloc allocate thread ") {
			t.Errorf("the callers of malloc are %s", got)
		}
	}
	if found != 4 {
		t.Errorf("malloc(70007) is seen %d times, want 4", found)
	}
}

// TestProbeOfEveryGoFunctionDisturbsNothing probes the entry and the return of every
// function of a Go program with 100 goroutines whose stacks grow.
func TestProbeOfEveryGoFunctionDisturbsNothing(t *testing.T) {
	t.Parallel()
	want := onHost(t, "", program("probedgo"))
	counts := filepath.Join(t.TempDir(), "counts")
	got := probe(t, "*", "--probe", "*%return", "--count", "-o", counts, "--smp", "2", program("probedgo"))
	notes, rest := splitNotes(got.errors)
	if got.errors = rest; got != want {
		t.Errorf("with probes the program gives %+v, want %+v", got, want)
	}
	if !strings.Contains(notes, " probes could not be set") && notes != "" {
		t.Errorf("the notes are %s", notes)
	}
	text, err := os.ReadFile(counts)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"main.deep": 10100, "main.(*point).work": 100, "main.main.func1": 100, "main.main": 1} {
		for _, suffix := range []string{"", "%return"} {
			if name == "main.main" && suffix != "" {
				continue // it calls os.Exit
			}
			if line := fmt.Sprintf("%10d %s%s\n", want, name, suffix); !strings.Contains(string(text), line) {
				t.Errorf("the counts have no line %q", line)
			}
		}
	}
}

func TestProbeShowsArgumentsAndResultsOfGo(t *testing.T) {
	t.Parallel()
	hits := probeJSON(t, onHost(t, "", program("probedgo")), "main.(*point).work(*)", "--probe", "main.(*point).work%return", "--stack", "--smp", "2", program("probedgo"))
	seen := map[string]int{}
	goroutines := map[int]bool{}
	for _, h := range hits {
		seen[h.Event]++
		goroutines[h.Goroutine] = true
		if len(h.Stack) < 2 || h.Event == "entry" && h.Stack[1].Function != "main.main.func1" {
			t.Errorf("the callers are %v", h.Stack)
		}
		if h.Event == "return" {
			if h.Elapsed == nil || len(h.Results) != 2 || h.Results[1] != "ptextonee" {
				t.Errorf("work returns %v after %v", h.Results, h.Elapsed)
			}
			continue
		}
		p := h.Arguments["p"].(map[string]any)["value"].(map[string]any)
		list := []any{p["x"], 2.0, 3.0, 4.0, 5.0}
		if p["name"] != "p" || h.Arguments["text"] != "text" || compact(h.Arguments["list"]) != compact(list) || compact(h.Arguments["words"]) != `["one","two"]` ||
			!strings.HasPrefix(fmt.Sprint(h.Arguments["err"]), "(*errors.errorString)(0x") {
			t.Errorf("work has the arguments %s", compact(h.Arguments))
		}
	}
	if seen["entry"] != 100 || seen["return"] != 100 || len(goroutines) != 100 {
		t.Errorf("the hits are %v in %d goroutines, want 100 of each", seen, len(goroutines))
	}
}

// TestTenThousandProbesAtOnce probes every function of a program that calls each of them
// once.
func TestTenThousandProbesAtOnce(t *testing.T) {
	t.Parallel()
	const functions = 10000
	var source, calls strings.Builder // in assembly, which is translated fast
	source.WriteString("\t.text\n")
	for i := range functions {
		fmt.Fprintf(&source, "\t.globl f%d\n\t.type f%[1]d, @function\nf%[1]d:\tlea %[1]d(%%rdi), %%eax\n\tret\n\t.size f%[1]d, . - f%[1]d\n", i)
		fmt.Fprintf(&calls, "\tcall f%d\n\tmov %%eax, %%edi\n", i)
	}
	fmt.Fprintf(&source, "\t.globl all\n\t.type all, @function\nall:\txor %%edi, %%edi\n%s\tret\n\t.size all, . - all\n", calls.String())
	source.WriteString("\t.section .note.GNU-stack, \"\", @progbits\n")
	const caller = "#include <stdio.h>\nint all(void);\nint main(void) { printf(\"%d\\n\", all()); return 0; }\n"
	directory := t.TempDir()
	program := filepath.Join(directory, "p")
	files := map[string]string{"f.s": source.String(), "main.c": caller}
	command := []string{"-static", "-o", program}
	for name, text := range files {
		command = append(command, filepath.Join(directory, name))
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("gcc", command...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	counts := filepath.Join(directory, "counts")
	if got := probe(t, "f*", "--probe", "f?%return", "--count", "-o", counts, program); got.code != 0 || got.out != "49995000\n" {
		t.Errorf("got %+v", got)
	}
	text, _ := os.ReadFile(counts)
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		var n int
		var name string
		if fmt.Sscan(line, &n, &name); strings.HasPrefix(name, "f") && name[1] >= '0' && name[1] <= '9' {
			seen[name] = n == 1
		}
	}
	for i := range functions {
		if name := fmt.Sprintf("f%d", i); !seen[name] || i < 10 && !seen[name+"%return"] {
			t.Fatalf("%s was not seen once; %d probes were hit", name, len(seen))
		}
	}
}

func TestImpossibleProbeIsReportedBeforeTheProgramStarts(t *testing.T) {
	t.Parallel()
	program := probed(t, "-static")
	want := onHost(t, "", program)
	got := probe(t, "unprobeable", "--probe", "sum", program)
	if got.code != 125 || got.out != "" || !strings.Contains(got.errors, `the probe "unprobeable" cannot be set at unprobeable in `+program) {
		t.Errorf("got %+v", got)
	}
	got = probe(t, "unprobe*", program)
	if notes, _ := splitNotes(got.errors); got.code != want.code || got.out != want.out || !strings.Contains(notes, "1 of 1 probes could not be set") {
		t.Errorf("with a glob, got %+v", got)
	}
	if got := probe(t, "summ", program); got.code != 125 || !strings.Contains(got.errors, "has no function summ; there are sum") {
		t.Errorf("got %+v", got)
	}
}

func TestLatencyAndPerfettoSeeEveryCall(t *testing.T) {
	t.Parallel()
	program := probed(t, "-static", "-O1") // at -O2 a call of fibonacci becomes a loop
	want := onHost(t, "", program)
	calls := 0 // as the program counts them
	if _, numbers, _ := strings.Cut(want.out, "allocate 80, "); true {
		fmt.Sscanf(numbers, "fibonacci %d", &calls)
	}
	trace := filepath.Join(t.TempDir(), "trace.json")
	got := probe(t, "fibonacci(n)", "--latency", "--perfetto", trace, program)
	if got.code != want.code || got.out != want.out || !strings.HasPrefix(got.errors, fmt.Sprintf("fibonacci: count %d, min ", calls)) {
		t.Errorf("got %+v", got)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		TraceEvents []struct {
			Name, Ph string
			Ts, Dur  float64
			Args     map[string]any
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	results, slices := map[any]int{}, 0
	for _, e := range file.TraceEvents {
		if e.Ph == "X" {
			slices++
			results[fmt.Sprint(e.Args["n"], e.Args["result"])]++
		}
	}
	if results["10 55"] != 1 || results["8 21"] == 0 || slices != calls {
		t.Errorf("there are %d slices, want %d: %v", slices, calls, results)
	}
}

// TestProbeOfEveryInstructionDisturbsNothing probes each instruction of some functions, and
// of main.
func TestProbeOfEveryInstructionDisturbsNothing(t *testing.T) {
	t.Parallel()
	program := probed(t, "-static", "-O1")
	want := onHost(t, "", program)
	counts := filepath.Join(t.TempDir(), "counts")
	got := probe(t, "fibonacci+*", "--probe", "sum+*", "--probe", "make+*", "--probe", "main+*", "--probe", "malloc+*", "--probe", "printf+*",
		"--probe", "__vfprintf_internal+*", "--probe", "_int_malloc+*", "--count", "-o", counts, program)
	if _, got.errors = splitNotes(got.errors); got != want {
		t.Errorf("with probes the program gives %+v, want %+v", got, want)
	}
	text, _ := os.ReadFile(counts)
	calls := 0
	if _, numbers, _ := strings.Cut(want.out, "allocate 80, "); true {
		fmt.Sscanf(numbers, "fibonacci %d", &calls)
	}
	if line := fmt.Sprintf("%10d fibonacci\n", calls); !strings.Contains(string(text), line) {
		t.Errorf("the counts have no line %q", line)
	}
	if n := strings.Count(string(text), "\n"); n < 300 {
		t.Errorf("only %d instructions were executed", n)
	}
}
