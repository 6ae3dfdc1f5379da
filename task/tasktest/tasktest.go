// Package tasktest has the fixtures of tests of tasks, which run on the host: a process
// whose user mode is a function of the test (task.Config.Run). Only tests import it.
package tasktest

import (
	stdelf "debug/elf"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/mm"
	"slowpath/task"
	"slowpath/task/elf"
)

// Program is the path of the file that Spawn executes.
const Program = "/program"

// executable returns an ELF executable with one page that contains one RET instruction.
func executable() string {
	const base, headers = 0x400000, elf.FileHeaderSize + elf.HeaderSize
	return string(elf.Headers(stdelf.ET_EXEC, base+headers, stdelf.Prog64{
		Type: uint32(stdelf.PT_LOAD), Flags: uint32(stdelf.PF_R | stdelf.PF_X), Vaddr: base,
		Filesz: headers + 1, Memsz: headers + 1, Align: mm.PageSize,
	})) + "\xc3"
}

// Spawn writes an executable to Program, and starts it as a process with an empty
// descriptor table. The arguments follow the name of the program. It ends the test if that
// fails.
func Spawn(w *fstest.World, k *task.Kernel, arguments ...string) *task.ThreadGroup {
	w.T.Helper()
	w.Write(Program, executable())
	file := w.Open(Program, unix.O_RDONLY, 0)
	if err := file.Inode().Change(fs.Changes{Mask: fs.ChangeMode, Mode: 0o755}); err != nil {
		w.T.Fatal(err)
	}
	group, err := k.Spawn(task.SpawnRequest{
		Path: Program, Argv: append([]string{Program}, arguments...), FDs: fs.NewFDTable(), FS: w.Caller.Context.Copy(),
	})
	if err != nil {
		w.T.Fatalf("Spawn: %v", err)
	}
	return group
}
