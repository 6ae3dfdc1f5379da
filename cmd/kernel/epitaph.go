package main

import (
	"slowpath/entry"
	"slowpath/goos"
)

// visitsAtEnd is where printLastVisits finds the visits. It is a variable of
// the package because package goos calls that with no argument, when the Go
// runtime or the lowest layer itself has failed.
var visitsAtEnd *entry.Recorder

// keepForEnd has the last visits printed when the machine fails.
func keepForEnd(r *entry.Recorder) {
	visitsAtEnd = r
	goos.SetPanicNotifier(printLastVisits)
}

// printLastVisits prints the last visits of each CPU, the newest first. Nothing
// of the runtime may be used here: the rules of package goos hold, and its test
// checks them.
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
