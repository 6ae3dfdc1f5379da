package goos

import (
	"bufio"
	"bytes"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The rules of this layer, checked in the compiler's output: no function that can
// run below the runtime may call into the runtime, except for a few helpers that
// need neither g nor heap. Every allocation, write barrier, map, channel, defer
// and interface conversion is such a call.

// layer lists the packages whose code runs below the runtime.
var layer = []string{"slowpath/goos", "slowpath/boot", "slowpath/arch/amd64", "slowpath/mm/frame", "slowpath/entry", "slowpath/cmd/kernel"}

// hooks lists functions of other packages that run in the environment of this
// one: the last test before user mode, and the panic notifier.
var hooks = []string{"main.lastTest", "main.printLastVisits"}

// aboveRuntime lists functions of the layer that only ordinary goroutines call.
var aboveRuntime = []string{
	"slowpath/goos.AllocFrames", "slowpath/goos.FreeFrames", "slowpath/goos.AddFrame",
	"slowpath/goos.FreeCount", "slowpath/goos.WaitIRQ", "slowpath/goos.waitOnce", "slowpath/goos.SetPanicNotifier", "slowpath/goos.Pin", "slowpath/goos.Rearm", "slowpath/goos.Idle", "slowpath/goos.KickIdle",
	"slowpath/goos.EnterUser",
	"slowpath/boot.CommandLine", "slowpath/boot.FreeInitramfs",
}

// harmless matches the runtime's functions that need neither g nor heap. The
// panics of bounds checks run only if there is a bug, and then end the machine.
var harmless = regexp.MustCompile(`^runtime\.(memmove|memclrNoHeapPointers|memequal|memequal_varlen|panicIndex\w*|panicSlice\w*|panicBounds|panicunsafeslice\w+|panicshift|panicdivide|panicoverflow|morestack_noctxt|morestack|duffzero|duffcopy)$`)

// callGraph maps each function to its callees.
type callGraph map[string][]string

var (
	functionLine = regexp.MustCompile(`^(\S+) STEXT`)
	callLine     = regexp.MustCompile(`\tCALL\t(\S+)\(SB\)`)
)

// parseAssembly reads the listing of go build -gcflags=-S.
func parseAssembly(listing []byte) callGraph {
	graph := callGraph{}
	function := ""
	scanner := bufio.NewScanner(bytes.NewReader(listing))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		line := scanner.Text()
		if m := functionLine.FindStringSubmatch(line); m != nil {
			function = m[1]
			graph[function] = graph[function][:len(graph[function]):len(graph[function])]
			continue
		}
		if m := callLine.FindStringSubmatch(line); m != nil && function != "" {
			graph[function] = append(graph[function], m[1])
		}
	}
	return graph
}

// violations returns the forbidden calls into the runtime in all functions that
// roots reach, as "caller calls callee".
func (g callGraph) violations(roots []string) []string {
	var found []string
	seen := map[string]bool{}
	for todo := slices.Clone(roots); len(todo) > 0; {
		f := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[f] {
			continue
		}
		seen[f] = true
		for _, callee := range g[f] {
			if strings.HasPrefix(callee, "runtime.") && !harmless.MatchString(callee) {
				found = append(found, f+" calls "+callee)
			}
			todo = append(todo, callee)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func TestNoCallsIntoTheRuntime(t *testing.T) {
	args := append([]string{"build", "-gcflags=-S", "-o", "/dev/null"}, layer...)
	listing, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("go %v: %v", args, err)
	}
	graph := parseAssembly(listing)
	var roots []string
	for f := range graph {
		own := strings.HasPrefix(f, "slowpath/goos.") || strings.HasPrefix(f, "slowpath/boot.")
		if own && !slices.Contains(aboveRuntime, f) && !strings.HasSuffix(f, ".init") {
			roots = append(roots, f)
		}
	}
	for _, f := range hooks {
		if graph[f] == nil {
			t.Errorf("the compiler's listing has no %s", f)
		}
		roots = append(roots, f)
	}
	if len(roots) < 50 {
		t.Fatalf("only %d functions found in the compiler's listing", len(roots))
	}
	for _, v := range graph.violations(roots) {
		t.Error(v)
	}
}

func TestForbiddenCallIsFoundInCallGraph(t *testing.T) {
	graph := parseAssembly([]byte("slowpath/goos.good STEXT size=1\n" +
		"\t0x0 (x.go:1)\tCALL\truntime.memmove(SB)\n" +
		"\t0x0 (x.go:1)\tCALL\tslowpath/goos.bad(SB)\n" +
		"slowpath/goos.bad STEXT size=1\n" +
		"\t0x0 (x.go:1)\tCALL\truntime.newobject(SB)\n"))
	got := graph.violations([]string{"slowpath/goos.good"})
	want := []string{"slowpath/goos.bad calls runtime.newobject"}
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}
