package integration

import (
	"os"
	"path/filepath"
	"testing"
)

// TestClocksAreAdjustedAsOnLinux compares with what the program printed on Linux 6.1 in QEMU. It
// is not run on the host, whose clock it would change.
func TestClocksAreAdjustedAsOnLinux(t *testing.T) {
	want, err := os.ReadFile(filepath.Join(sources, "clockadjust.linux"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"clockadjust", "clockadjust-32"} {
		t.Run(name, func(t *testing.T) {
			check(t, onSlowpath(t, "", "--smp", "2", program(name)), result{out: string(want)})
		})
	}
}
