package task

import stdelf "debug/elf"

// ProgramFile returns an ELF program of one page for the tests of package
// task_test, and Scratch is a word of that page that is free.
func ProgramFile() string { return elfFile(stdelf.ET_EXEC, "") }

const Scratch = scratch

// ThreadFlags are the flags of pthread_create(3) that need no address.
const ThreadFlags = threadFlags
