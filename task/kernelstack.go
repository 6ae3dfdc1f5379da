package task

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
)

// maxStacks is the length of the text of all goroutines that KernelStack searches, in
// bytes.
const maxStacks = 1 << 20

// KernelStack returns the functions that the task is in, the innermost first, in the
// format of /proc/pid/stack (proc(5)). The stack is that of the task's goroutine, since
// the kernel has no other. It is empty if the task has none, or if the stacks of all
// goroutines are too long. It stops all goroutines for the time that it takes to write
// their stacks. Error: ENOMEM. Any goroutine may call it.
func (t *Task) KernelStack() ([]byte, error) {
	memory := t.kernel.Memory()
	if err := memory.Reserve(maxStacks); err != nil {
		return nil, err
	}
	defer memory.Unreserve(maxStacks)
	all := make([]byte, maxStacks)
	return formatStack(findStack(all[:runtime.Stack(all, true)], t)), nil
}

// findStack returns the traceback of the task's goroutine in those of all goroutines. It
// is the one in which run has the task as its argument.
func findStack(all []byte, t *Task) []byte {
	mark := fmt.Appendf(nil, "task.(*Task).run(%p", t)
	for stack := range bytes.SplitSeq(all, []byte("\n\n")) {
		if bytes.Contains(stack, mark) {
			return stack
		}
	}
	return nil
}

// formatStack converts a traceback: a line with the function and its arguments, then one
// with its source and the offset in the function, for each call.
func formatStack(traceback []byte) []byte {
	var text bytes.Buffer
	function := ""
	for line := range strings.Lines(string(traceback)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "goroutine "), strings.HasPrefix(line, "created by "):
			function = ""
		case !strings.HasPrefix(line, "\t"):
			function = strings.TrimPrefix(line[:max(strings.LastIndexByte(line, '('), 0)], "slowpath/")
		case function != "":
			offset := line[strings.LastIndexByte(line, ' ')+1:]
			if !strings.HasPrefix(offset, "+") {
				offset = "+0x0" // an inlined call
			}
			fmt.Fprintf(&text, "[<0>] %s%s\n", function, offset)
		}
	}
	return text.Bytes()
}
