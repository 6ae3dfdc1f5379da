package main

import (
	"runtime"

	"slowpath/boot"
	"slowpath/fs/procfs"
)

// functionAlignment divides the address of every function that the Go linker places.
const functionAlignment = 16

// symbols returns the functions of the kernel for /proc/kallsyms. The first two are the
// names by which perf(1) finds out where the kernel is.
func symbols() []procfs.Symbol {
	start, end := boot.Text()
	list := []procfs.Symbol{{Address: start, Name: "_text"}, {Address: start, Name: "_stext"}}
	for at := start; at < end; at += functionAlignment {
		if f := runtime.FuncForPC(uintptr(at)); f != nil && uint64(f.Entry()) == at && f.Name() != "" {
			list = append(list, procfs.Symbol{Address: at, Name: f.Name()})
		}
	}
	return append(list, procfs.Symbol{Address: end, Name: "_etext"})
}
