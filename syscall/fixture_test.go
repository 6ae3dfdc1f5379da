package syscall

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/mm"
	"slowpath/task"
)

// smallestProgram returns an ELF executable with one page that contains one RET
// instruction.
func smallestProgram() string {
	const base, headers = 0x400000, 64 + 56
	h := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Entry: base + headers,
		Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	p := elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: base,
		Filesz: headers + 1, Memsz: headers + 1, Align: mm.PageSize,
	}
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, h)
	binary.Write(&b, binary.LittleEndian, p)
	b.WriteByte(0xc3)
	return b.String()
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
