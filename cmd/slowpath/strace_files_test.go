package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestFilesOfThreadsAreCompleteAlthoughFewAreOpen(t *testing.T) {
	const threads = 2 * maxThreadFiles
	prefix := filepath.Join(t.TempDir(), "log")
	files := new(threadFiles)
	all := make([]*threadFile, threads)
	for i := range all {
		var err error
		if all[i], err = files.create(fmt.Sprintf("%s.%d", prefix, i)); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 3 {
		for i, f := range all {
			if _, err := fmt.Fprintf(f, "%d of %d\n", round, i); err != nil {
				t.Fatal(err)
			}
			if len(files.open) > maxThreadFiles {
				t.Fatalf("%d files are open", len(files.open))
			}
		}
	}
	if err := files.close(); err != nil || len(files.open) != 0 {
		t.Fatal(err, len(files.open))
	}
	for i := range all {
		text, err := os.ReadFile(fmt.Sprintf("%s.%d", prefix, i))
		if want := fmt.Sprintf("0 of %[1]d\n1 of %[1]d\n2 of %[1]d\n", i); err != nil || string(text) != want {
			t.Fatalf("file %d has %q, %v", i, text, err)
		}
	}
}
