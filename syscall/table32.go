package syscall

import (
	"slowpath/entry"
	"slowpath/task"
)

// Dispatch32 returns the calls of the ABI I386 by number, for the user loop.
func Dispatch32() *entry.Dispatch32[*task.Task] {
	d := new(entry.Dispatch32[*task.Task])
	for _, rows := range families() {
		for _, r := range rows {
			if number, ok := numbers32[r.Name]; ok && r.ABI == entry.X86_64 {
				d[number] = entry.Call32[*task.Task]{Handler: r.dispatched(), Arguments: uint8(len(r.Arguments))}
			}
		}
	}
	return d
}

// numbers32 has the numbers of calls of the ABI I386 that have the arguments of the 64-bit
// call (arch/x86/entry/syscalls/syscall_32.tbl).
var numbers32 = map[string]int{"exit": 1, "write": 4, "getpid": 20, "getppid": 64, "exit_group": 252}
