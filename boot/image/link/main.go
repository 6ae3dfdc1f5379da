// Command link makes a kernel from the Go linker bootable: link -o OUT IN.
package main

import (
	"flag"
	"fmt"
	"os"

	"slowpath/boot/image"
)

func main() {
	out := flag.String("o", "kernel.elf", "the `file` to write")
	flag.Parse()
	if err := link(flag.Arg(0), *out); err != nil {
		fmt.Fprintln(os.Stderr, "link:", err)
		os.Exit(1)
	}
}

func link(in, out string) error {
	raw, err := os.ReadFile(in)
	if err != nil {
		return fmt.Errorf("the linked kernel cannot be read; pass its path as the last argument: %w", err)
	}
	elf, err := image.Link(raw)
	if err != nil {
		return err
	}
	return os.WriteFile(out, elf, 0o755)
}
