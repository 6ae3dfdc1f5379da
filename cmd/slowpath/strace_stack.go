package main

import (
	"fmt"

	"slowpath/probe/plan"
	"slowpath/probe/symbols"
	"slowpath/probe/unwind"
	"slowpath/strace"
)

// callStacks unwinds the stacks of calls.
type callStacks struct{ unwinder *unwind.Unwinder }

func newCallStacks(files symbols.Files) *callStacks {
	return &callStacks{unwind.New(plan.NewObjects(files))}
}

// lines returns the stack of a call in the format of strace -k. The names are those of the
// program, so what could control the terminal is replaced.
func (s *callStacks) lines(t *strace.Thread, c *strace.Call) (list []string) {
	if len(c.Registers) == 0 {
		return nil
	}
	for _, f := range s.unwinder.Unwind(t.Process, c.Registers, c.Stack, unwind.AtInstruction) {
		switch {
		case f.Module == "":
			list = append(list, fmt.Sprintf("unexpected_backtracing_error [%#x]", f.Address))
		case f.Function == "":
			list = append(list, fmt.Sprintf("%s() [%#x]", printable(f.Module), f.FileAddress))
		default:
			list = append(list, fmt.Sprintf("%s(%s+%#x) [%#x]", printable(f.Module), printable(f.Function), f.Offset, f.FileAddress))
		}
	}
	return list
}
