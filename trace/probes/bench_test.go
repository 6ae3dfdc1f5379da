package probes_test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkDefinitions defines and removes 1,000 events.
func BenchmarkDefinitions(b *testing.B) {
	w := newWorld(b)
	var text strings.Builder
	for n := range 1000 {
		fmt.Fprintf(&text, "p:f%d /target:%d a=%%ax s=+0(%%di):string\n", n, n)
	}
	for b.Loop() {
		if err := w.define(text.String()); err != nil {
			b.Fatal(err)
		}
		if err := w.write("uprobe_events", "", unix.O_TRUNC); err != nil {
			b.Fatal(err)
		}
	}
}
