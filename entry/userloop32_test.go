package entry

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
)

// The calls of the model of 32-bit programs: one without arguments, and one with six.
const noArguments, sixArguments = 20, 192

// program32 is a task that makes calls of the ABI I386, and what its calls have got.
type program32 struct {
	*model
	loop *Loop[*model]
	args []Args
	abi  []ABI
}

// run32 makes the loop execute one call that enters the kernel with the given event and
// registers, and returns when EnterUser is called again. prepare may be nil.
func run32(t *testing.T, owed Flag, event int, prepare func(f *amd64.Frame)) *program32 {
	t.Helper()
	p := &program32{model: newModel(owed)}
	called := func(m *model, a *Args) (uint64, error) {
		p.args, p.abi = append(p.args, *a), append(p.abi, m.CallABI())
		m.ran = append(m.ran, "call")
		return 77, nil
	}
	e, err := NewExceptions(everyVector(ByProgram, true))
	if err != nil {
		t.Fatal(err)
	}
	calls := new(Dispatch32[*model])
	calls[noArguments].Handler = called
	calls[sixArguments] = Call32[*model]{Handler: called, Arguments: 6}
	p.loop = NewLoop(LoopConfig[*model]{Calls32: calls, Duties: full(t, nil), Exceptions: e, Recorder: NewRecorder(1, 4)})
	entered := false
	p.loop.SetModel(func(f *amd64.Frame) int {
		if entered {
			p.SetExiting()
			return amd64.EventHandover
		}
		entered = true
		f.RAX, f.RBX, f.RCX, f.RDX, f.RSI, f.RDI, f.RBP, f.RSP = uint64(uint32(event)), 1, 2, 3, 4, 5, 6, 1<<40|0xfff0
		f.RFLAGS = amd64.FlagFixed | amd64.FlagIF
		f.SetLandingPad32(0x1002)
		if event < 0 {
			f.RAX, f.Flags = noArguments, amd64.LeaveByIRET|amd64.CallOver
		} else { // by SYSCALL of the vDSO
			f.RCX, f.RBP, f.RIP, f.OrigRAX, f.Flags = 0xbad, 2, 0x1000, f.RAX, amd64.Call32
		}
		if prepare != nil {
			prepare(f)
		}
		return event
	})
	p.loop.Run(p.model)
	return p
}

func TestI386CallsStayOnTheFastPath(t *testing.T) {
	for name, event := range map[string]int{"INT 0x80": ^amd64.Int80, "SYSCALL": amd64.Event32 | noArguments} {
		p := run32(t, 0, event, nil)
		if p.log() != "call" || p.Frame.RAX != 77 || !slices.Equal(p.abi, []ABI{I386}) || p.Visit.Begin != 0 {
			t.Errorf("%s: %s, RAX %d, ABI %v, a visit began at %d", name, p.log(), p.Frame.RAX, p.abi, p.Visit.Begin)
		}
		if _, possible := p.Frame.QuickExit(); !possible {
			t.Errorf("%s: the exit is not quick: flags %#x", name, p.Frame.Flags)
		}
	}
}

// TestSixthArgumentIsReadFromTheStack: the model's ReadWord returns the address plus 1.
func TestSixthArgumentIsReadFromTheStack(t *testing.T) {
	want := []Args{{1, 2, 3, 4, 5, 0xfff1}}
	for _, owed := range []Flag{0, SyscallTrace, SyscallAudit, RecordExits} {
		p := run32(t, owed, amd64.Event32|sixArguments, nil)
		if !slices.Equal(p.args, want) {
			t.Errorf("with %v the arguments are %v", owed, p.args)
		}
	}
	if p := run32(t, 0, ^amd64.Int80, func(f *amd64.Frame) { f.RAX = sixArguments }); p.args[0] != (Args{1, 2, 3, 4, 5, 6}) {
		t.Errorf("INT 0x80 has the arguments %v", p.args)
	}
}

// TestUnreadableStackRefusesTheCall: there is no call, and none of its duties is served.
func TestUnreadableStackRefusesTheCall(t *testing.T) {
	for _, owed := range []Flag{0, SyscallTrace | Seccomp} {
		p := run32(t, owed, amd64.Event32|noArguments, func(f *amd64.Frame) { f.RSP, f.RIP = 0, 0x5000 })
		if len(p.ran) != 0 || int64(p.Frame.RAX) != -int64(unix.EFAULT) || p.Frame.Flags&amd64.CallOver == 0 || p.Frame.RIP != 0x1002 {
			t.Errorf("with %v: %s, frame %+v", owed, p.log(), p.Frame)
		}
	}
}

// TestDutiesSeeI386Calls: the entry and the exit get the number, the ABI and all arguments.
func TestDutiesSeeI386Calls(t *testing.T) {
	for name, event := range map[string]int{"INT 0x80": ^amd64.Int80, "SYSCALL": amd64.Event32 | noArguments} {
		p := run32(t, SyscallTrace, event, nil)
		if p.log() != "entry SYSCALL_TRACE, call, exit SYSCALL_TRACE" || p.Visit.ABI != I386 || p.Visit.Number != noArguments {
			t.Errorf("%s: %s, visit %+v", name, p.log(), p.Visit.VisitHeader)
		}
		sixth := uint64(6)
		if event > 0 {
			sixth = 0xfff1
		}
		if want := (Call{noArguments, I386, Args{1, 2, 3, 4, 5, sixth}}); p.Call != want {
			t.Errorf("%s: the call is %+v, want %+v", name, p.Call, want)
		}
		if exit := p.Frame.Exit(); (exit == amd64.BySYSRET32) != (event > 0) {
			t.Errorf("%s: a traced call leaves by %v", name, exit)
		}
	}
}

// TestADutyDuringAnI386CallFindsACompleteFrame: a signal that arrives during a call by
// SYSCALL finds the program's EBP.
func TestADutyDuringAnI386CallFindsACompleteFrame(t *testing.T) {
	p := run32(t, 0, amd64.Event32|noArguments, nil)
	p.Reset()
	p.Frame.ThreadFlags.Store(uint32(SigPending))
	events := []int{amd64.EventDuty, amd64.EventHandover}
	p.loop.SetModel(func(*amd64.Frame) int {
		event := events[0]
		if events = events[1:]; len(events) == 0 {
			p.SetExiting()
		}
		return event
	})
	p.loop.Run(p.model)
	if f := p.Frame; p.log() != "call, work SIGPENDING" || f.RBP != 0xfff1 || f.RCX != 2 || f.CS != amd64.User32CS {
		t.Errorf("%s, frame %+v", p.log(), p.Frame)
	}
}

func TestI386CallsWithoutAHandlerReturnENOSYS(t *testing.T) {
	for _, owed := range []Flag{0, SyscallTrace} {
		for _, nr := range []int{5, Calls - 1, Calls, 1<<32 - 1} {
			p := run32(t, owed, amd64.Event32|nr, nil)
			if p.Frame.RAX != NoCall {
				t.Errorf("call %d with %v returns %#x", nr, owed, p.Frame.RAX)
			}
		}
	}
}

func TestI386VisitsAreNamedByTheirTable(t *testing.T) {
	v := sampleVisit()
	v.Kind, v.ABI, v.Number = BySyscall, I386, 20
	names := Names{Syscall: func(int) string { return "writev" }}
	if got := names.Name(&v); got != "i386 call 20" {
		t.Errorf("without a table: %q", got)
	}
	names.Syscall32 = func(int) string { return "getpid" }
	got, _, err := DecodeVisit(AppendVisit(nil, &v))
	if err != nil || names.Name(&got) != "getpid" {
		t.Errorf("after decoding: %q, %v", names.Name(&got), err)
	}
}
