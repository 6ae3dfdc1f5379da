package uprobe_test

import (
	"bytes"
	stdelf "debug/elf"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/audit"
	"slowpath/core"
	"slowpath/entry"
	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/mm"
	"slowpath/sched"
	"slowpath/signal"
	"slowpath/task"
	"slowpath/task/elf"
	"slowpath/trace/calls"
	"slowpath/uprobe"
	"slowpath/uprobe/insn"
	"slowpath/vsyscall"
)

// The program of the tests: an instruction with a probe, and then a call that ends it. Its
// data page has three parts: zeros, a value, and a signal handler's stack.
const (
	codeBase = 0x400000
	headers  = elf.FileHeaderSize + 2*elf.HeaderSize
	start    = codeBase + headers
	dataBase = 0x500000
	noData   = 0x600000 // not mapped
	handler  = codeBase + 0x800
	restorer = codeBase + 0x900
)

// machine is the kernel from the user loop on, with a CPU that executes the instructions
// of the tests.
type machine struct {
	*fstest.World
	tasks  *task.Kernel
	probes *uprobe.Probes
	table  *entry.Table[*task.Task]

	disturb func(t *task.Task, f *amd64.Frame) // called before each instruction
	tasksOf map[*amd64.Frame]*task.Task
	handled int // signals whose handler has run
	final   amd64.Args
	log     []string
}

// newMachine returns a machine with the program /program, whose code is given.
func newMachine(t *testing.T, code []byte) *machine {
	t.Helper()
	m := &machine{World: fstest.New(t, 4096), tasksOf: map[*amd64.Frame]*task.Task{}}
	m.probes = uprobe.New(m.Memory)
	scheduler := sched.New(1, nil)
	var err error
	if m.table, err = core.NewDuties(core.Owners{Probes: m.probes, Calls: calls.New(), Audit: audit.New(audit.Config{})}); err != nil {
		t.Fatal(err)
	}
	loop, err := core.NewLoop(m.table, entry.NewRecorder(1, 8), m.probes, vsyscall.None)
	if err != nil {
		t.Fatal(err)
	}
	loop.SetModel(m.enterUser)
	m.tasks = task.New(task.Config{
		Memory: m.Memory, NoRandomize: true, Scheduler: scheduler,
		Run: func(t *task.Task) { m.tasksOf[t.Frame] = t; loop.Run(t) },
		Log: func(format string, arguments ...any) { m.log = append(m.log, fmt.Sprintf(format, arguments...)) },
	})
	m.probes.Register(m.tasks)
	m.tasks.StartReaper()
	m.Write("/program", program(code))
	f := m.Open("/program", unix.O_RDONLY, 0)
	if err := f.Inode().Change(fs.Changes{Mask: fs.ChangeMode, Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	return m
}

// program returns an ELF file with a page of code and a page of data.
func program(code []byte) string {
	file := elf.Headers(stdelf.ET_EXEC, start, stdelf.Prog64{
		Type: uint32(stdelf.PT_LOAD), Flags: uint32(stdelf.PF_R | stdelf.PF_X), Vaddr: codeBase,
		Filesz: mm.PageSize, Memsz: mm.PageSize, Align: mm.PageSize,
	}, stdelf.Prog64{
		Type: uint32(stdelf.PT_LOAD), Flags: uint32(stdelf.PF_R | stdelf.PF_W), Off: mm.PageSize, Vaddr: dataBase,
		Filesz: mm.PageSize, Memsz: mm.PageSize, Align: mm.PageSize,
	})
	image := make([]byte, 2*mm.PageSize)
	copy(image, file)
	copy(image[headers:], code)
	image[mm.PageSize] = 7
	return string(image)
}

// run runs the program and returns how it ended.
func (m *machine) run() task.Status {
	m.T.Helper()
	g, err := m.tasks.Spawn(task.SpawnRequest{Path: "/program", FDs: fs.NewFDTable(), FS: m.Caller.Context.Copy()})
	if err != nil {
		m.T.Fatal(err)
	}
	ended := make(chan task.Status, 1)
	go func() { ended <- g.AwaitEnd() }()
	select {
	case status := <-ended:
		return status
	case <-time.After(10 * time.Second):
		m.T.Fatal("the program does not end")
	}
	return 0
}

// enterUser is the model of amd64.EnterUser.
func (m *machine) enterUser(f *amd64.Frame) int {
	t := m.tasksOf[f]
	for {
		if !m.leaves(f) {
			return amd64.EventDuty
		}
		if m.disturb != nil {
			m.disturb(t, f)
			if entry.Pending(&f.ThreadFlags) != 0 {
				trapped(f) // the kick
				return ^amd64.FirstInterrupt
			}
		}
		if event, entered := m.execute(t, f); entered {
			return event
		}
		f.Flags = amd64.LeaveByIRET | amd64.CallOver
	}
}

// leaves makes EnterUser's last test.
func (m *machine) leaves(f *amd64.Frame) bool {
	if _, possible := f.QuickExit(); possible {
		return true
	}
	return m.table.LastTest(f) != amd64.Stay
}

func trapped(f *amd64.Frame) {
	f.Flags, f.OrigRAX = amd64.LeaveByIRET|amd64.CallOver, amd64.NotInSyscall
}

// fault enters the kernel by an exception.
func exception(f *amd64.Frame, vector int, code, address uint64) (int, bool) {
	trapped(f)
	f.Vector, f.Error, f.CR2 = uint64(vector), code, address
	return ^vector, true
}

// execute executes one instruction of the program. It reports whether that entered the
// kernel.
func (m *machine) execute(t *task.Task, f *amd64.Frame) (event int, entered bool) {
	switch f.RIP {
	case handler:
		m.handled++
		f.RSP += 8 // RET to the restorer
		return systemCall(f, unix.SYS_RT_SIGRETURN), true
	}
	var code [insn.MaxLength]byte
	n := 0
	for n < len(code) && t.MM.TryCopyIn(code[n:n+1], f.RIP+uint64(n)) {
		n++
	}
	if n == 0 {
		return exception(f, 14, amd64.FaultUser|amd64.FaultFetch, f.RIP)
	}
	switch c := code[:n]; {
	case c[0] == mm.Breakpoint:
		f.RIP++
		return exception(f, 3, 0, 0)
	case bytes.HasPrefix(c, []byte{0x0f, 0x05}):
		f.RIP += 2
		return systemCall(f, int(f.RAX)), true
	case bytes.HasPrefix(c, []byte{0x0f, 0xaf}):
		return m.multiply(t, f, c)
	}
	i, err := insn.Decode(code[:n])
	if err != nil || i.Emulate(f, f.RIP, nil) != nil {
		m.T.Errorf("the CPU of the test cannot execute % x at %#x", code, f.RIP)
		t.ExitGroup(task.ExitStatus(99))
		entry.Raise(&f.ThreadFlags, entry.SigPending)
	}
	return 0, false
}

// multiply executes IMUL EDI by a register or by memory: ESI, [RDI], [RIP+disp32], or
// [RSI+disp32], the form of the third in a slot.
func (m *machine) multiply(t *task.Task, f *amd64.Frame, c []byte) (event int, entered bool) {
	length, address := uint64(3), uint64(0)
	disp := func() uint64 { return uint64(int32(binary.LittleEndian.Uint32(c[3:]))) }
	switch c[2] {
	case 0xfe:
		f.RDI = uint64(uint32(f.RDI * f.RSI))
		f.RIP += length
		return 0, false
	case 0x3f:
		address = f.RDI
	case 0x3d:
		length, address = 7, f.RIP+7+disp()
	case 0xbe:
		length, address = 7, f.RSI+disp()
	default:
		m.T.Fatalf("unknown multiplication % x", c[:7])
	}
	var word [4]byte
	if !t.MM.TryCopyIn(word[:], address) {
		return exception(f, 14, amd64.FaultUser, address)
	}
	f.RDI = uint64(uint32(f.RDI) * binary.LittleEndian.Uint32(word[:]))
	f.RIP += length
	return 0, false
}

func systemCall(f *amd64.Frame, number int) int {
	f.RAX, f.OrigRAX = uint64(number), uint64(number)
	f.RCX, f.R11, f.Flags = 0xbad, 0xbad, 0
	return number
}

// end is MOV EAX, SYS_exit_group; SYSCALL.
var end = []byte{0xb8, unix.SYS_EXIT_GROUP, 0, 0, 0, 0x0f, 0x05}

// setRDI is MOV EDI, imm32, and setRSI MOV ESI, imm32.
func setRDI(v uint32) []byte { return binary.LittleEndian.AppendUint32([]byte{0xbf}, v) }
func setRSI(v uint32) []byte { return binary.LittleEndian.AppendUint32([]byte{0xbe}, v) }

// scenario is a program with a probe on one instruction.
type scenario struct {
	name   string
	before []byte // instructions before the probed one
	probed []byte
	after  []byte // instructions after it, before the end
	status task.Status
	fault  bool // the probed instruction faults for good
}

var scenarios = []scenario{
	{name: "emulated nop", before: setRDI(21), probed: []byte{0x90}, status: task.ExitStatus(21)},
	{name: "emulated move", probed: setRDI(22), status: task.ExitStatus(22)},
	{name: "in a slot", before: append(setRDI(4), setRSI(5)...), probed: []byte{0x0f, 0xaf, 0xfe}, status: task.ExitStatus(20)},
	{name: "in a slot, relative to RIP, of a page that is not present", before: append(setRDI(3), setRSI(9)...),
		probed: relativeMultiply(dataBase), status: task.ExitStatus(21)},
	{name: "in a slot, a fault", before: setRDI(noData), probed: []byte{0x0f, 0xaf, 0x3f},
		status: task.SignalStatus(unix.SIGSEGV), fault: true},
	{name: "a system call", before: []byte{0xb8, unix.SYS_GETPPID, 0, 0, 0}, probed: []byte{0x0f, 0x05},
		after: setRDI(23), status: task.ExitStatus(23)},
	{name: "a system call that ends the program", before: append(setRDI(24), end[:5]...), probed: []byte{0x0f, 0x05}, status: task.ExitStatus(24)},
}

// relativeMultiply is IMUL EDI, [RIP+disp32] after the two moves of ten bytes.
func relativeMultiply(address uint64) []byte {
	next := uint64(start + 10 + 7)
	return binary.LittleEndian.AppendUint32([]byte{0x0f, 0xaf, 0x3d}, uint32(address-next))
}

// disturbances are what others do at one moment of the program.
var disturbances = []struct {
	name string
	act  func(m *machine, t *task.Task)
	dies bool
}{
	{name: "nothing", act: func(*machine, *task.Task) {}},
	{name: "an interrupt", act: func(_ *machine, t *task.Task) { entry.Raise(&t.Frame.ThreadFlags, entry.NeedResched) }},
	{name: "UPROBE alone", act: func(_ *machine, t *task.Task) { entry.Raise(&t.Frame.ThreadFlags, entry.Uprobe) }},
	{name: "task work", act: func(_ *machine, t *task.Task) { t.AddWork(func(*task.Task) {}) }},
	{name: "a signal with a handler", act: func(m *machine, t *task.Task) {
		t.SetAction(unix.SIGUSR1, signal.Action{Handler: handler, Restorer: restorer, Flags: signal.SA_RESTORER})
		t.Signal(signal.KernelInfo(unix.SIGUSR1))
	}},
	{name: "an ignored signal", act: func(_ *machine, t *task.Task) {
		entry.Raise(&t.Frame.ThreadFlags, entry.SigPending)
	}},
	{name: "SIGKILL", act: func(_ *machine, t *task.Task) { t.Group().Kill() }, dies: true},
}

// TestEveryOutcomeOfAHitWithstandsEveryDisturbance runs the kernel's user loop, duties and
// probes with a model of the CPU: every way in which an instruction is executed, and every
// disturbance before every instruction of the program. The program must end as without a
// probe, with one hit; nothing may be left.
func TestEveryOutcomeOfAHitWithstandsEveryDisturbance(t *testing.T) {
	for _, s := range scenarios {
		for _, d := range disturbances {
			moments := 1
			for at := 0; at < moments; at++ {
				n := s.run(t, at, d.act, d.dies, fmt.Sprintf("%s, %s before instruction %d", s.name, d.name, at))
				moments = max(moments, n)
			}
		}
	}
}

// run runs a scenario with a disturbance, and returns the number of moments.
func (s *scenario) run(t *testing.T, at int, act func(*machine, *task.Task), dies bool, what string) (moments int) {
	t.Helper()
	code := bytes.Join([][]byte{s.before, s.probed, s.after, end}, nil)
	m := newMachine(t, code)
	hits, wrong := 0, 0
	place := uint64(start + len(s.before))
	probe, err := m.probes.Add(uprobe.Location{File: m.Open("/program", unix.O_RDONLY, 0), Offset: place - codeBase}, &uprobe.Consumer{
		Hit: func(_ *task.Task, f *amd64.Frame) {
			hits++
			if f.RIP != place {
				wrong++
			}
		},
	})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	disturbed := false
	m.disturb = func(t *task.Task, f *amd64.Frame) {
		if moments == at && !disturbed {
			disturbed = true
			act(m, t)
		}
		moments++
	}
	status := m.run()
	want := s.status
	if dies && status == task.SignalStatus(unix.SIGKILL) {
		want = status
	}
	if status != want || wrong != 0 || hits > 1 || hits == 0 && !dies {
		t.Errorf("%s: status %v, want %v; %d hits, %d of them elsewhere\n%v", what, status, want, hits, wrong, m.log)
	}
	for start := time.Now(); m.tasks.Threads() > 1; time.Sleep(time.Millisecond) {
		if time.Since(start) > 5*time.Second {
			t.Fatalf("%s: the task has not exited", what)
		}
	}
	probe.Remove()
	if left := m.probes.Left(); left != "" {
		t.Errorf("%s: %s", what, left)
	}
	return moments
}
