package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"slowpath/qemu/debianroot"
)

// muslSpecs are the specs of Debian's musl-gcc, which has no 32-bit variant.
const muslSpecs = "/usr/lib/x86_64-linux-musl/musl-gcc.specs"

// musl returns the compiler's command for static programs with musl.
func (m machine) musl() (string, error) {
	if m == amd64 {
		return "musl-gcc", nil
	}
	directory := filepath.Join(workDirectory, "musl32")
	specs := filepath.Join(directory, "specs")
	if _, err := os.Stat(specs); err != nil {
		if err := debianroot.Unpack(debianroot.I386, directory, workDirectory, []string{"musl-dev"}); err != nil {
			return "", err
		}
		text, err := os.ReadFile(muslSpecs)
		if err != nil {
			return "", fmt.Errorf("cannot read the specs of musl-gcc; install it with: apt-get install musl-tools (%w)", err)
		}
		text32 := strings.NewReplacer("/usr/include/x86_64-linux-musl", directory+"/usr/include/i386-linux-musl",
			"/usr/lib/x86_64-linux-musl", directory+"/usr/lib/i386-linux-musl",
			"\n-dynamic-linker", "\n-m elf_i386 -dynamic-linker").Replace(string(text))
		if err := os.WriteFile(specs, []byte(text32), 0o644); err != nil {
			return "", err
		}
	}
	return "gcc -m32 -specs " + specs, nil
}
