// Package mutation makes mutants of this module's source for tests: builds with a deliberate mistake,
// which a check must catch.
package mutation

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Overlay writes the mutated files, and returns the name of the file for the flag -overlay of the go
// command. edits has the files by name, from the directory of the test, and for each the pairs of
// old and new text. All edits of a file apply to its original text, so two edits can exchange lines.
// It fails the test if an old text does not occur exactly once in its file.
func Overlay(t testing.TB, edits map[string][]string) string {
	t.Helper()
	directory := t.TempDir()
	write := func(name string, text []byte) string {
		name = filepath.Join(directory, name)
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	replace := map[string]string{}
	for file, pairs := range edits {
		original, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("mutant%d.go", len(replace))
		replace[original] = write(name, []byte(mutate(t, file, pairs)))
	}
	encoded, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	return write("overlay.json", encoded)
}

// mutate returns the text of a file after the edits.
func mutate(t testing.TB, file string, pairs []string) string {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if n := strings.Count(string(source), pairs[i]); n != 1 {
			t.Fatalf("%q is in %s %d times, want once", pairs[i], file, n)
		}
	}
	return strings.NewReplacer(pairs...).Replace(string(source))
}
