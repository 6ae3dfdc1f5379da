// Package programs drives debuggers, tracers and sandboxes from Debian's packages by
// scripts, on Linux and on Slowpath, and compares what they print, apart from
// addresses, process ids and times.
package programs

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// scripts are the scenarios: shell scripts that run in /opt of a root directory. A
// file's name is ROOT.SCENARIO.sh. Its first line is a comment:
//
//	# SECONDS TEXT
//
// SECONDS is the time limit on Slowpath, and TEXT must be in what the script prints on
// Linux, so that a script that fails on both sides is no success. The word quick
// before SECONDS selects the scenario for make test.
//
// A scenario that cannot run on the host's Linux, because it changes the state of its
// kernel, has a file ROOT.SCENARIO.linux-6.1 with what it has printed on Debian's kernel in
// QEMU. After make conformance LINUX=1, bin/conformance/programs/output has that output.
//
//go:embed scenarios
var scripts embed.FS

// Scenario is one script with what it needs.
type Scenario struct {
	Name    string // ROOT.SCENARIO
	Root    string // the name of one of Roots
	Quick   bool   // make test runs it
	Seconds int    // the time limit on Slowpath
	Want    string // what the output on Linux must have
	Script  string
	// Recorded is the output on Linux 6.1, or "" if the scenario runs on the host's Linux.
	Recorded string
}

// Scenarios returns all scenarios, sorted by name. It fails if a script's first line
// is malformed.
func Scenarios() ([]Scenario, error) {
	entries, err := fs.ReadDir(scripts, "scenarios")
	if err != nil {
		return nil, err
	}
	var all []Scenario
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".sh") {
			continue
		}
		text, err := fs.ReadFile(scripts, path.Join("scenarios", e.Name()))
		if err != nil {
			return nil, err
		}
		s, err := parseScenario(e.Name(), string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		if recorded, err := fs.ReadFile(scripts, path.Join("scenarios", s.Name+recordedSuffix)); err == nil {
			s.Recorded = string(recorded)
		}
		all = append(all, s)
	}
	return all, nil
}

// recordedSuffix ends the name of a file with recorded output.
const recordedSuffix = ".linux-6.1"

// parseScenario parses the script of a file.
func parseScenario(file, text string) (s Scenario, err error) {
	s.Name = strings.TrimSuffix(file, ".sh")
	s.Root, _, _ = strings.Cut(s.Name, ".")
	first, script, _ := strings.Cut(text, "\n")
	first, ok := strings.CutPrefix(first, "# ")
	if !ok {
		return s, fmt.Errorf("the first line %q is not a comment", first)
	}
	first, s.Quick = cutWord(first, "quick")
	seconds, want, _ := strings.Cut(first, " ")
	if s.Seconds, err = strconv.Atoi(seconds); err != nil || s.Seconds <= 0 {
		return s, fmt.Errorf("the first line %q does not begin with a number of seconds", first)
	}
	if s.Want = want; want == "" {
		return s, fmt.Errorf("the first line has no text that the output must have")
	}
	s.Script = script
	return s, nil
}

// cutWord returns a line without its first word, if that is the given one.
func cutWord(line, word string) (rest string, found bool) {
	rest, found = strings.CutPrefix(line, word+" ")
	return rest, found
}

// Directory is the directory of a root in which scenarios run.
const Directory = "/opt"

// Command returns the command that runs the scenario in /opt of its root directory.
// The shell is the parent of the script's shell, so that tracers are neither session
// leaders nor process group leaders. Standard input is empty and standard output is a
// pipe.
func (s Scenario) Command() []string {
	const run = `exec </dev/null; { env -i PATH="$PATH" HOME=/root LC_ALL=C.UTF-8 /bin/sh -c "$0"; echo "[exit $?]"; } 2>&1 | cat`
	return []string{"/bin/sh", "-c", run, s.Script}
}
