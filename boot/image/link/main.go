// Command link makes the Go linker's output bootable: link -o OUT IN.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"slowpath/boot/image"
)

func main() {
	out := pflag.StringP("output", "o", "kernel.elf", "write the bootable kernel to `FILE`")
	pflag.Parse()
	if err := link(pflag.Arg(0), *out); err != nil {
		fmt.Fprintln(os.Stderr, "link:", err)
		os.Exit(1)
	}
}

// link reads the linker's output from the file in and writes the bootable
// kernel to the file out.
func link(in, out string) error {
	raw, err := os.ReadFile(in)
	if err != nil {
		return fmt.Errorf("cannot read the linked kernel; give its path as the last argument: %w", err)
	}
	elf, err := image.Link(raw)
	if err != nil {
		return err
	}
	return os.WriteFile(out, elf, 0o755)
}
