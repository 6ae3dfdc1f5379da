package task

import (
	"encoding/binary"
	"slices"
	"strings"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/mm"
	"slowpath/signal"
	"slowpath/task/elf"
)

// The types of the notes of a core file (elf.h).
const (
	noteStatus    = 1 // NT_PRSTATUS
	noteFloat     = 2 // NT_FPREGSET
	noteProcess   = 3 // NT_PRPSINFO
	noteAuxiliary = 6 // NT_AUXV
	noteSiginfo   = 0x53494749
	noteFiles     = 0x46494c45
	noteFXSave    = 0x46e62b7f // NT_PRXFPREG
	noteTLS       = 0x200      // NT_386_TLS
	noteXSave     = 0x202      // NT_X86_XSTATE
)

// coreLayout is what the notes of an ELF class have of their own (Linux: the user_regset_view
// and compat_binfmt_elf.c).
type coreLayout struct {
	siginfo func(i *signal.Info) []byte
	process func(t *Task) []byte
	// status and registers return NT_PRSTATUS of a thread, and the notes of its other
	// registers. The process has got the signal of info.
	status    func(t *Task, info *signal.Info) []byte
	registers func(t *Task) []elf.CoreNote
	// words appends numbers of the type long.
	words func(b []byte, words ...uint64) []byte
}

var coreLayouts = [...]coreLayout{
	elf.Class64: {
		siginfo: func(i *signal.Info) []byte { s := i.Siginfo(); return slices.Clone(abi.Bytes(&s)) },
		process: (*Task).coreProcess, status: (*Task).coreStatus, registers: (*Task).coreRegisters,
		words: func(b []byte, words ...uint64) []byte { return append(b, abi.SliceBytes(words)...) },
	},
	elf.Class32: {
		siginfo: func(i *signal.Info) []byte { s := i.Siginfo32(); return slices.Clone(abi.Bytes(&s)) },
		process: (*Task).coreProcess32, status: (*Task).coreStatus32, registers: (*Task).coreRegisters32,
		words: func(b []byte, words ...uint64) []byte {
			for _, w := range words {
				b = binary.LittleEndian.AppendUint32(b, uint32(w))
			}
			return b
		},
	},
}

// coreNotes returns the notes of the core file: the thread that got the signal first,
// then the process, then the other threads.
func (t *Task) coreNotes(info *signal.Info, others []*Task, areas []mm.CoreArea) []elf.CoreNote {
	l := &coreLayouts[t.Program().Class]
	notes := []elf.CoreNote{
		{Type: noteStatus, Data: l.status(t, info)},
		{Type: noteProcess, Data: l.process(t)},
		{Type: noteSiginfo, Data: l.siginfo(info)},
		{Type: noteAuxiliary, Data: t.Program().Auxv},
		{Type: noteFiles, Data: l.files(areas)},
	}
	notes = append(notes, l.registers(t)...)
	for _, other := range others {
		notes = append(notes, elf.CoreNote{Type: noteStatus, Data: l.status(other, info)})
		notes = append(notes, l.registers(other)...)
	}
	return notes
}

// legacyFloat is the size of an FXSAVE area in bytes.
const legacyFloat = 512

// coreExtended returns the extended state of a thread, whose first part is an FXSAVE area.
// Its bytes for software have XCR0, by which debuggers know the layout.
func (t *Task) coreExtended() []byte {
	const software = 464
	state := amd64.AlignedBuffer(max(amd64.ExtendedSize(), legacyFloat))
	t.Frame.ReadExtended(state)
	clear(state[software:legacyFloat])
	if mask := amd64.ExtendedMask(); mask != 0 {
		binary.LittleEndian.PutUint64(state[software:], mask)
	}
	return state
}

// noteOfXSave returns the note of the whole extended state, none on a CPU without XSAVE.
func noteOfXSave(state []byte) []elf.CoreNote {
	if amd64.ExtendedMask() == 0 {
		return nil
	}
	return []elf.CoreNote{{Name: "LINUX", Type: noteXSave, Data: state}}
}

// withoutSoftware returns the FXSAVE area of coreExtended without the bytes for software.
func withoutSoftware(state []byte) []byte {
	const software = 464
	fx := slices.Clone(state[:legacyFloat])
	clear(fx[software:])
	return fx
}

// coreRegisters returns the notes of the extended state of a thread of a 64-bit program: the
// FXSAVE area, which is struct user_fpregs_struct, and all of it.
func (t *Task) coreRegisters() []elf.CoreNote {
	state := t.coreExtended()
	return append([]elf.CoreNote{{Type: noteFloat, Data: withoutSoftware(state)}}, noteOfXSave(state)...)
}

// coreRegisters32 returns those of a thread of a 32-bit program: the x87 state as struct
// user_i387_ia32_struct, the FXSAVE area, all of the extended state, and the segments of
// set_thread_area(2).
func (t *Task) coreRegisters32() []elf.CoreNote {
	const x87Size = 108
	state := t.coreExtended()
	ds, _, _, _ := t.Frame.Selectors()
	x87 := signal.ToFSave(state, uint16(t.Frame.CS), uint16(ds))
	notes := []elf.CoreNote{
		{Type: noteFloat, Data: slices.Clone(abi.Bytes(&x87)[:x87Size])},
		{Name: "LINUX", Type: noteFXSave, Data: withoutSoftware(state)},
	}
	notes = append(notes, noteOfXSave(state)...)
	if segments, used := t.ThreadAreas(); used {
		notes = append(notes, elf.CoreNote{Name: "LINUX", Type: noteTLS, Data: slices.Clone(abi.SliceBytes(segments[:]))})
	}
	return notes
}

// coreStatus returns NT_PRSTATUS of a thread of a 64-bit program.
func (t *Task) coreStatus(info *signal.Info) []byte {
	usage, children := t.Accounting.Read(), t.group.ChildrenUsage()
	all, _ := t.Pending()
	f := t.Frame
	ds, es, fs, gs := f.Selectors()
	s := abi.ElfPrstatus{
		Info: [3]int32{int32(info.Signo), info.Code, info.Errno}, Cursig: int16(info.Signo),
		Sigpend: uint64(all), Sighold: uint64(t.Blocked()),
		PID: int32(t.TID()), PPID: int32(t.ParentPID()), Pgrp: int32(t.group.ProcessGroupID()), SID: int32(t.group.SessionID()),
		Utime: timeval(usage.User), Stime: timeval(usage.System), Cutime: timeval(children.User), Cstime: timeval(children.System),
		Reg: abi.UserRegs{
			R15: f.R15, R14: f.R14, R13: f.R13, R12: f.R12, RBP: f.RBP, RBX: f.RBX, R11: f.R11, R10: f.R10, R9: f.R9, R8: f.R8,
			RAX: f.RAX, RCX: f.RCX, RDX: f.RDX, RSI: f.RSI, RDI: f.RDI, OrigRAX: f.OrigRAX,
			RIP: f.RIP, CS: f.CS, EFlags: f.ProgramFlags(), RSP: f.RSP, SS: f.SS, FSBase: f.FSBase, GSBase: f.GSBase,
			DS: ds, ES: es, FS: fs, GS: gs,
		},
		FPValid: 1,
	}
	return slices.Clone(abi.Bytes(&s))
}

// coreStatus32 returns NT_PRSTATUS of a thread of a 32-bit program.
func (t *Task) coreStatus32(info *signal.Info) []byte {
	usage, children := t.Accounting.Read(), t.group.ChildrenUsage()
	all, _ := t.Pending()
	time := func(nanoseconds int64) compat.Timeval {
		v := timeval(nanoseconds)
		return compat.Timeval{Sec: int32(v[0]), Usec: int32(v[1])}
	}
	s := compat.ElfPrstatus{
		Info: [3]int32{int32(info.Signo), info.Code, info.Errno}, Cursig: int16(info.Signo),
		Sigpend: uint32(all), Sighold: uint32(t.Blocked()),
		PID: int32(t.TID()), PPID: int32(t.ParentPID()), Pgrp: int32(t.group.ProcessGroupID()), SID: int32(t.group.SessionID()),
		Utime: time(usage.User), Stime: time(usage.System), Cutime: time(children.User), Cstime: time(children.System),
		Reg:     t.Registers32(),
		FPValid: 1,
	}
	return slices.Clone(abi.Bytes(&s))
}

// timeval returns nanoseconds as a struct timeval.
func timeval(nanoseconds int64) [2]int64 { return [2]int64{nanoseconds / 1e9, nanoseconds % 1e9 / 1e3} }

// coreProcess returns NT_PRPSINFO of a 64-bit program.
func (t *Task) coreProcess() []byte {
	c := t.Credentials()
	info := abi.ElfPrpsinfo{
		Sname: 'R', Nice: int8(t.Attributes().Nice), UID: c.UID, GID: c.GID,
		PID: int32(t.PID()), PPID: int32(t.ParentPID()), Pgrp: int32(t.group.ProcessGroupID()), SID: int32(t.group.SessionID()),
	}
	copy(info.Fname[:], t.Comm())
	t.coreArguments(info.Psargs[:len(info.Psargs)-1])
	return slices.Clone(abi.Bytes(&info))
}

// coreProcess32 returns NT_PRPSINFO of a 32-bit program. Its ids have 16 bits, as those of
// the calls of that width.
func (t *Task) coreProcess32() []byte {
	c := t.Credentials()
	info := compat.ElfPrpsinfo{
		Sname: 'R', Nice: int8(t.Attributes().Nice), UID: shortID(c.UID), GID: shortID(c.GID),
		PID: int32(t.PID()), PPID: int32(t.ParentPID()), Pgrp: int32(t.group.ProcessGroupID()), SID: int32(t.group.SessionID()),
	}
	copy(info.Fname[:], t.Comm())
	t.coreArguments(info.Psargs[:len(info.Psargs)-1])
	return slices.Clone(abi.Bytes(&info))
}

// shortID returns an id in 16 bits, 65534 for one that has more (Linux: high2lowuid).
func shortID(id uint32) uint16 {
	const overflow = 65534
	if id > 0xffff {
		return overflow
	}
	return uint16(id)
}

// coreArguments reads the beginning of the program's arguments, separated by spaces.
func (t *Task) coreArguments(b []byte) {
	p := t.Program()
	b = b[:min(p.ArgEnd-p.ArgStart, uint64(len(b)))]
	n, _ := t.MM.ReadRemote(b, p.ArgStart, mm.Forced)
	for i := range b[:n] {
		if b[i] == 0 {
			b[i] = ' '
		}
	}
}

// files returns NT_FILE: the mapped files, with the addresses and offsets of the areas.
func (l *coreLayout) files(areas []mm.CoreArea) []byte {
	var table, names []byte
	count := uint64(0)
	for _, a := range areas {
		if !strings.HasPrefix(a.Name, "/") {
			continue
		}
		count++
		table = l.words(table, a.Start, a.End, a.Offset/mm.PageSize)
		names = append(append(names, a.Name...), 0)
	}
	return append(append(l.words(nil, count, mm.PageSize), table...), names...)
}
