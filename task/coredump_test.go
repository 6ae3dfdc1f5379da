package task

import (
	"bytes"
	stdelf "debug/elf"
	"encoding/binary"
	"io"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/mm"
	"slowpath/mm/mmtest"
	"slowpath/signal"
)

// dieWithCore is a program that gets SIGABRT with RLIMIT_CORE unlimited.
func dieWithCore(prepare func(t *Task)) func(*Task) {
	return func(t *Task) {
		t.group.Limits.Change(unix.RLIMIT_CORE, Limit{Infinity, Infinity}, Privileged)
		t.CopyOut(scratch, []byte("contents"))
		t.Frame.R12 = 0x1234
		prepare(t)
		t.Signal(signal.UserInfo(unix.SIGABRT, signal.SI_TKILL, t.PID(), 0))
	}
}

// manyAreas maps areas that cannot be merged.
func manyAreas(w *world, t *Task) {
	const count, base = 400, 0x200000000
	for i := range uint64(count) {
		_, err := t.MM.Mmap(mm.MapRequest{
			Addr: base + 2*i*mm.PageSize, Length: mm.PageSize, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED,
		})
		if err != nil {
			w.T.Fatal(err)
		}
	}
}

// readFile returns the contents of a file, or false if there is none.
func (w *world) readFile(name string) ([]byte, bool) {
	f, err := w.At(name).Open(unix.O_RDONLY, 0)
	if err != nil {
		return nil, false
	}
	defer f.DecRef()
	p := make([]byte, f.Attributes().Size)
	f.ReadAt(fs.NewBytesSink(p), 0)
	return p, true
}

// TestCoreBitFollowsCore5: the status has the bit exactly if there is a core file.
func TestCoreBitFollowsCore5(t *testing.T) {
	for name, c := range map[string]struct {
		pattern string
		prepare func(w *world, t *Task)
		file    string // empty: none
	}{
		"default": {"core", func(*world, *Task) {}, "/core"},
		"RLIMIT_CORE 0": {"core", func(_ *world, t *Task) {
			t.group.Limits.Change(unix.RLIMIT_CORE, Limit{}, Privileged)
		}, ""},
		"RLIMIT_CORE below a page": {"core", func(_ *world, t *Task) {
			t.group.Limits.Change(unix.RLIMIT_CORE, Limit{mm.PageSize - 1, Infinity}, Privileged)
		}, ""},
		"RLIMIT_CORE of a page": {"core", func(_ *world, t *Task) {
			t.group.Limits.Change(unix.RLIMIT_CORE, Limit{mm.PageSize, Infinity}, Privileged)
		}, "/core"},
		"empty pattern":  {"", func(*world, *Task) {}, ""},
		"pipe":           {"|/bin/helper", func(*world, *Task) {}, ""},
		"not dumpable":   {"core", func(_ *world, t *Task) { t.SetDumpable(mm.NotDumpable) }, ""},
		"another folder": {"/tmp/c.%e.%s.%u.%%.%q", func(_ *world, t *Task) { t.SetComm("a/b") }, "/tmp/c.a!b.6.0.%."},
		"missing folder": {"/none/core", func(*world, *Task) {}, ""},
		"folder":         {"tmp", func(*world, *Task) {}, ""},
		"an old file":    {"core", func(w *world, _ *Task) { w.Write("/core", "old"); w.chmod("/core", 0o600) }, "/core"},
		"a public file":  {"core", func(w *world, _ *Task) { w.Write("/core", "old"); w.chmod("/core", 0o644) }, ""},
		"no room in the kernel's heap": {"core", func(w *world, t *Task) {
			manyAreas(w, t)
			w.T.Cleanup(mmtest.FillHeap(w.Memory, 64<<10))
		}, ""},
		"a symbolic link": {"core", func(w *world, _ *Task) { w.At("/core").MakeLink("/elsewhere") }, ""},
	} {
		w := newWorld(t)
		w.At("/tmp").MakeDirectory(0o777)
		w.k.Settings().CorePattern.Set(c.pattern)
		status := w.process(dieWithCore(func(t *Task) { c.prepare(w, t) }))
		want := SignalStatus(unix.SIGABRT)
		if c.file != "" {
			want |= coreDumped
		}
		if status != want {
			t.Errorf("%s: status %#x, want %#x", name, uint32(status), uint32(want))
		}
		if c.file == "" {
			continue
		}
		if core, ok := w.readFile(c.file); !ok || !bytes.HasPrefix(core, []byte("\x7fELF")) {
			t.Errorf("%s: there is no core file %s", name, c.file)
		}
	}
}

func TestCoreUsesPID(t *testing.T) {
	for pattern, uses := range map[string]bool{"core": true, "core.%p": false} {
		w := newWorld(t)
		w.k.Settings().CorePattern.Set(pattern)
		if uses {
			w.k.Settings().CoreUsesPID.Set(1)
		}
		g := w.spawn(dieWithCore(func(*Task) {}))
		w.await(g)
		if _, ok := w.readFile("/core." + strconv.Itoa(g.PID())); !ok {
			t.Errorf("pattern %s: there is no core.%d", pattern, g.PID())
		}
	}
}

// TestCoreFileHasMemoryAndRegisters reads the core file with debug/elf.
func TestCoreFileHasMemoryAndRegisters(t *testing.T) {
	w := newWorld(t)
	status := w.process(dieWithCore(func(t *Task) {
		// The core file has the word of clear_child_tid as it was before the threads ended.
		w.clone(t, CloneArgs{Flags: threadFlags | unix.CLONE_CHILD_CLEARTID, ChildTID: scratch}, w.sleepForever)
	}))
	if status != SignalStatus(unix.SIGABRT)|coreDumped {
		t.Fatalf("the process %v, want a core dump", status)
	}
	text, _ := w.readFile("/core")
	core, err := stdelf.NewFile(bytes.NewReader(text))
	if err != nil || core.Type != stdelf.ET_CORE {
		t.Fatalf("the core file is %v, %v", core, err)
	}
	found := false
	statuses := 0
	for _, p := range core.Progs {
		if p.Type == stdelf.PT_NOTE {
			statuses = countStatuses(t, p)
		}
		if p.Type == stdelf.PT_LOAD && p.Vaddr <= scratch && scratch+8 <= p.Vaddr+p.Filesz {
			var memory [8]byte
			p.ReadAt(memory[:], int64(scratch-p.Vaddr))
			found = string(memory[:]) == "contents"
		}
	}
	if !found {
		t.Error("the core file does not have the program's memory")
	}
	if statuses != 2 {
		t.Errorf("the core file has the registers of %d threads, want 2", statuses)
	}
}

// countStatuses returns the number of NT_PRSTATUS notes, and checks the first.
func countStatuses(t *testing.T, notes *stdelf.Prog) (n int) {
	text, err := io.ReadAll(notes.Open())
	if err != nil {
		t.Fatal(err)
	}
	for len(text) > 0 {
		nameSize, size := binary.LittleEndian.Uint32(text), binary.LittleEndian.Uint32(text[4:])
		at := 12 + (nameSize+3)&^3
		data := text[at : at+size]
		if binary.LittleEndian.Uint32(text[8:]) == noteStatus {
			const signo, r12 = 12, 112 + 3*8
			if n == 0 && (data[signo] != byte(unix.SIGABRT) || binary.LittleEndian.Uint64(data[r12:]) != 0x1234) {
				t.Errorf("the first thread has signal %d and R12 %#x", data[signo], binary.LittleEndian.Uint64(data[r12:]))
			}
			n++
		}
		text = text[at+(size+3)&^3:]
	}
	return n
}

func TestCoreDumpIsReportedToTheParent(t *testing.T) {
	w := newWorld(t)
	w.process(func(t *Task) {
		pid := w.fork(t, dieWithCore(func(*Task) {}))
		result := w.wait(t, pid, 0)
		if result.Code != signal.CLD_DUMPED || result.Detail != int32(unix.SIGABRT) || result.Status != 0x86 {
			w.T.Errorf("wait returned %+v, want CLD_DUMPED of SIGABRT", result)
		}
	})
}
