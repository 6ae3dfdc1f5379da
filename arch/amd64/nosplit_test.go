package amd64

import (
	"bufio"
	"bytes"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

var (
	listedFunction = regexp.MustCompile(`^(\S+) STEXT (.*)size=`)
	listedCall     = regexp.MustCompile(`\tCALL\t(\S+)\(SB\)`)
)

// listing holds the functions of a compiler's assembly listing.
type listing struct {
	nosplit map[string]bool     // whether each function is nosplit
	calls   map[string][]string // the callees of each function
}

// parseListing reads the output of go build -gcflags=-S.
func parseListing(text []byte) listing {
	l := listing{nosplit: map[string]bool{}, calls: map[string][]string{}}
	function := ""
	scanner := bufio.NewScanner(bytes.NewReader(text))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		if m := listedFunction.FindStringSubmatch(scanner.Text()); m != nil {
			function = m[1]
			l.nosplit[function] = strings.Contains(m[2], "nosplit")
		} else if m := listedCall.FindStringSubmatch(scanner.Text()); m != nil && function != "" {
			l.calls[function] = append(l.calls[function], m[1])
		}
	}
	return l
}

// preemptible returns the calls from nosplit functions to functions with a stack
// check, as "caller calls callee". Callees of other packages are ignored,
// such as the panics of bounds checks.
func (l listing) preemptible() (found []string) {
	for function, callees := range l.calls {
		for _, callee := range callees {
			if nosplit, listed := l.nosplit[callee]; l.nosplit[function] && listed && !nosplit {
				found = append(found, function+" calls "+callee)
			}
		}
	}
	return found
}

// TestNosplitFunctionsCallOnlyNosplitFunctions checks this package, in which every
// function that may run with interrupts off is nosplit. A stack check in a callee
// could preempt the goroutine, which would then continue on another CPU. The test
// reads the compiler's listing, because the compiler generates calls that the
// source does not show, for example to compare structures.
func TestNosplitFunctionsCallOnlyNosplitFunctions(t *testing.T) {
	text, err := exec.Command("go", "build", "-gcflags=-S", "-o", "/dev/null", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, text)
	}
	l := parseListing(text)
	if !l.nosplit["slowpath/arch/amd64.takeThis"] {
		t.Fatal("the listing has no nosplit function takeThis")
	}
	for _, call := range l.preemptible() {
		t.Error(call)
	}
}
