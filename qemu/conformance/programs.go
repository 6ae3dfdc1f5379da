package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slowpath/qemu/conformance/programs"
)

// programsName is the name of the suite of debuggers, tracers and sandboxes.
const programsName = "programs"

// runPrograms runs the scenarios whose names begin with one of the prefixes, or all,
// on the baseline and on Slowpath. A scenario passes on Linux if its output has the
// text that it must have, and on Slowpath if the output is the same. Both outputs and
// the difference are written into files below the directory work.
//
// A scenario with a recorded output runs on the baseline only if that is Debian's kernel.
func runPrograms(baseline side, linux *cloudKernel, work string, prefixes []string) ([]row, error) {
	scenarios, err := programs.Scenarios()
	if err != nil {
		return nil, err
	}
	scenarios = slices.DeleteFunc(scenarios, func(s programs.Scenario) bool {
		return len(prefixes) > 0 && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s.Name, p) })
	})
	output := filepath.Join(work, "output")
	if err := os.MkdirAll(output, 0o755); err != nil {
		return nil, err
	}
	roots := make(map[string]string)
	for _, s := range scenarios {
		if roots[s.Root] == "" {
			if roots[s.Root], err = buildRoot(s.Root, work); err != nil {
				return nil, err
			}
		}
	}
	rows := make([]row, len(scenarios))
	const parallel = 2
	err = inParallel(programsName, len(scenarios), parallel, func(i int) (name string, err error) {
		side := baseline
		if recorded := scenarios[i].Recorded; recorded != "" && linux == nil {
			side = func(string, job) string { return recorded }
		}
		rows[i], err = runScenario(scenarios[i], side, roots[scenarios[i].Root], output)
		return scenarios[i].Name, err
	})
	return rows, err
}

// buildRoot builds a root directory below the directory work.
func buildRoot(name, work string) (string, error) {
	r, err := programs.ByName(name)
	if err != nil {
		return "", err
	}
	return r.Build(work, workDirectory)
}

// makeRoot builds a root directory and prints how to use it.
func makeRoot(name string) error {
	root, err := buildRoot(name, filepath.Join(workDirectory, programsName))
	if err == nil {
		fmt.Printf("The root directory is ready. The programs to debug are in %s. Use it like this:\nbin/slowpath run -it --rootfs %s --workdir %[1]s --mem 1G /bin/sh\n", programs.Directory, root)
	}
	return err
}

// runScenario runs a scenario on both sides.
func runScenario(s programs.Scenario, baseline side, root, output string) (row, error) {
	j := job{name: s.Name, command: s.Command(), workdir: programs.Directory, seconds: s.Seconds}
	linux, ours := baseline(root, j), onSlowpath(root, j)
	difference := programs.Compare(linux, ours)
	for suffix, text := range map[string]string{"linux": linux, "slowpath": ours, "diff": difference} {
		if err := os.WriteFile(filepath.Join(output, s.Name+"."+suffix), []byte(text), 0o644); err != nil {
			return row{}, err
		}
	}
	passed := strings.Contains(linux, s.Want)
	return row{programsName, s.Name, passed, passed && difference == ""}, nil
}

// reportPrograms prints where the output of scenarios differs.
func reportPrograms(rows []row, work string) {
	for _, r := range rows {
		const lines = 12
		switch difference, _ := os.ReadFile(filepath.Join(work, "output", r.test+".diff")); {
		case !r.linux:
			fmt.Printf("%s: on Linux the output lacks the text that it must have\n", r.test)
		case !r.slowpath:
			text := strings.SplitAfterN(string(difference), "\n", lines+1)
			fmt.Printf("%s differs:\n%s", r.test, strings.Join(text[:min(len(text), lines)], ""))
		}
	}
}
