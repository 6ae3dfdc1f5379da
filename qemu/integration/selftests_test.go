package integration

import (
	"path/filepath"
	"testing"

	"slowpath/qemu/conformance/selftests"
)

// TestQuickLinuxSelftestsPass runs the quick tests of Linux's own tests. make conformance runs all of them.
func TestQuickLinuxSelftestsPass(t *testing.T) {
	tests, err := selftests.Quick()
	if err != nil {
		t.Fatal(err)
	}
	work, err := filepath.Abs(filepath.Join(binaries, "conformance/selftests"))
	if err != nil {
		t.Fatal(err)
	}
	if err := selftests.Fetch(work); err != nil {
		t.Fatal(err)
	}
	directory, err := selftests.Build(work, tests)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.Name, func(t *testing.T) {
			t.Parallel()
			if passed, output := test.Run(slowpath, directory); passed < test.Slowpath {
				t.Errorf("%d checks pass, want %d:\n%s", passed, test.Slowpath, output)
			}
		})
	}
}
