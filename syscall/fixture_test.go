package syscall

import (
	stdelf "debug/elf"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/mm"
	"slowpath/task"
	"slowpath/task/elf"
)

// smallestProgram returns an ELF executable with one page that contains one RET
// instruction.
func smallestProgram() string {
	const base, headers = 0x400000, elf.FileHeaderSize + elf.HeaderSize
	return string(elf.Headers(stdelf.ET_EXEC, base+headers, stdelf.Prog64{
		Type: uint32(stdelf.PT_LOAD), Flags: uint32(stdelf.PF_R | stdelf.PF_X), Vaddr: base,
		Filesz: headers + 1, Memsz: headers + 1, Align: mm.PageSize,
	})) + "\xc3"
}

// asTask starts a process with an empty descriptor table, runs body in place of
// its user mode, and waits until the process has ended.
func asTask(t *testing.T, w *fstest.World, body func(t *task.Task)) {
	t.Helper()
	done := make(chan struct{})
	kernel := task.New(task.Config{
		Run: func(t *task.Task) {
			defer close(done)
			body(t)
			t.ExitGroup(task.ExitStatus(0))
		},
		Kick:   func(*task.Task) {},
		Log:    t.Logf,
		Memory: w.Memory,
		Wall:   new(clock.Wall),
	})
	w.Write("/program", smallestProgram())
	program := w.Open("/program", unix.O_RDONLY, 0)
	if err := program.Inode().Change(fs.Changes{Mask: fs.ChangeMode, Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	group, err := kernel.Spawn(task.SpawnRequest{
		Path: "/program", Argv: []string{"/program"}, FDs: fs.NewFDTable(), FS: w.Caller.Context.Copy(),
	})
	if err != nil {
		t.Fatalf("Spawn: %v", err)
	}
	<-done
	group.AwaitEnd()
}

// invoke calls a handler with arguments.
func invoke(t *task.Task, h Handler, arguments ...uint64) (uint64, error) {
	var a amd64.Args
	copy(a[:], arguments)
	result, err := h(t, &a)
	task.WorkHandlers().BeforeUser(t) // task work, as before every return to user mode
	return result, err
}
