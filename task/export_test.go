package task

import stdelf "debug/elf"

// ProgramFile returns an ELF program of one page, for package task_test.
func ProgramFile() string { return elfFile(stdelf.ET_EXEC, "") }

// Scratch is the address of unused memory in that page.
const Scratch = scratch

// ThreadFlags are the flags of pthread_create(3) that need no address.
const ThreadFlags = threadFlags
