package main

import (
	"slowpath/arch/amd64"
	"slowpath/core"
	"slowpath/entry"
	"slowpath/task"
)

// duties is the table of duties. It is a package variable because EnterUser's last
// test is called from assembly, with interrupts off and the frame as its only
// argument.
var duties *entry.Table[*task.Task]

// makeDuties creates the table and makes its last test that of EnterUser.
func makeDuties(o core.Owners) error {
	table, err := core.NewDuties(o)
	if err != nil {
		return err
	}
	duties = table
	amd64.SetLastTest(uint32(table.LastMask()), lastTest)
	return nil
}

// lastTest is the last step before user mode.
//
//go:nosplit
func lastTest(f *amd64.Frame) amd64.Exit { return duties.LastTest(f) }
