// Command unpack makes a root directory from Debian's packages, for slowpath run
// --rootfs: unpack DIRECTORY PACKAGE...
package main

import (
	"flag"
	"fmt"
	"os"

	"slowpath/qemu/debianroot"
)

// basic are the packages of every root: debuggers start programs by a shell.
var basic = []string{"dash", "coreutils"}

func main() {
	cache := flag.String("cache", "bin", "`DIRECTORY` that keeps the downloaded packages")
	flag.Parse()
	if flag.NArg() < 2 {
		fmt.Fprintln(os.Stderr, "Name the directory and at least one package, for example: make debian-root DIR=root PACKAGES='strace gdb'.")
		os.Exit(2)
	}
	if err := debianroot.Fill(flag.Arg(0), *cache, append(basic, flag.Args()[1:]...)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
