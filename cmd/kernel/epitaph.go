package main

import (
	"slowpath/entry"
	"slowpath/goos"
)

// visitsAtEnd is the recorder for printLastVisits. It is a package variable because
// package goos calls that function without arguments, after the Go runtime or goos
// itself has failed.
var visitsAtEnd *entry.Recorder

// keepForEnd makes goos print the last visits after a fatal error.
func keepForEnd(r *entry.Recorder) {
	visitsAtEnd = r
	goos.SetPanicNotifier(printLastVisits)
}

// printLastVisits prints the last visits of each CPU, the newest first. It must not
// use the Go runtime: the rules of package goos apply, and the test of goos checks
// them.
func printLastVisits() {
	const shown = 4
	for cpu := range visitsAtEnd.CPUs() {
		goos.PrintHex("last visits of CPU ", uint64(cpu))
		goos.Print("\n")
		for back := range shown {
			if v := visitsAtEnd.Peek(cpu, back); v != nil {
				printVisit(v)
			}
		}
	}
}

func printVisit(v *entry.VisitHeader) {
	goos.Print("  by ")
	goos.Print(v.Kind.String())
	goos.PrintHex(" ", uint64(uint32(v.Number)))
	goos.PrintHex(" of task ", uint64(v.Task))
	goos.PrintHex(", owed ", uint64(v.Owed))
	goos.PrintHex(", served ", uint64(v.Served))
	if v.ByIRET {
		goos.Print(", IRETQ\n")
	} else {
		goos.Print(", SYSRET\n")
	}
}
