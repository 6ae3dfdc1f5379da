package debianroot

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRootDirectoryMustBeCreatable checks that a root below a file is an error.
func TestRootDirectoryMustBeCreatable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Fill(filepath.Join(file, "root"), t.TempDir(), nil); err == nil {
		t.Error("a root directory below a file is accepted")
	}
}
