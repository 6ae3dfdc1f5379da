package signal

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
)

// newDelivery32 returns the register frame of a 32-bit program, and the delivery of
// SIGUSR1 with the given flags of its action.
func newDelivery32(flags uint64) (*amd64.Frame, *Delivery) {
	f, d := newDelivery(flags | SA_IA32_ABI)
	f.CS = amd64.User32CS
	f.RAX, f.RBX, f.RCX, f.RDX, f.RSI, f.RDI, f.RBP = 1, 2, 3, 4, 5, 6, 7
	d.Saved = SetOf(unix.SIGHUP) | SetOf(40)
	d.Returns = Returns{SigReturn: 0xf7001000, RTSigReturn: 0xf7001010}
	return f, d
}

// popFunction is Pop32 or PopInfo32.
type popFunction func(abi.UserMemory, *amd64.Frame, *Scratch) (Restored, error)

func TestPop32RestoresWhatPushSaved(t *testing.T) {
	for name, c := range map[string]struct {
		flags   uint64
		popped  uint64 // bytes that the handler's return and the trampoline pop
		pop     popFunction
		returns uint32
	}{
		"plain frame":                 {0, 8, Pop32, 0xf7001000},
		"frame with siginfo_t":        {SA_SIGINFO, 4, PopInfo32, 0xf7001010},
		"frame with its own restorer": {SA_SIGINFO | SA_RESTORER, 4, PopInfo32, 0x403000},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			f, d := newDelivery32(c.flags)
			before := amd64.NewFrame(0)
			before.Copy(f)
			if err := Push(m, f, d); err != nil {
				t.Fatal(err)
			}
			if (f.RSP+4)%16 != 0 || f.RIP != 0x402000 || f.CS != amd64.User32CS || f.RAX != uint64(unix.SIGUSR1) {
				t.Errorf("the handler starts with esp %#x, eip %#x, cs %#x, eax %d", f.RSP, f.RIP, f.CS, f.RAX)
			}
			if ds, es, _, _ := f.Selectors(); ds != amd64.UserSS || es != amd64.UserSS {
				t.Errorf("the handler starts with ds %#x, es %#x", ds, es)
			}
			if returns, _ := abi.CopyIn[uint32](m, f.RSP); returns != c.returns {
				t.Errorf("the handler returns to %#x, want %#x", returns, c.returns)
			}
			f.RSP += c.popped
			f.RBX, f.RBP, f.XMM[3] = 0, 0, [16]byte{}
			restored, err := c.pop(m, f, new(Scratch))
			if err != nil || restored.Blocked != d.Saved {
				t.Errorf("pop returned %+v, %v", restored, err)
			}
			if f.RSP != before.RSP || f.RIP != before.RIP || f.RBX != 2 || f.RBP != 7 || f.RAX != 1 || f.XMM != before.XMM {
				t.Errorf("pop loaded esp %#x, eip %#x, ebx %d, ebp %d, eax %d", f.RSP, f.RIP, f.RBX, f.RBP, f.RAX)
			}
		})
	}
}

// TestHandlerWithoutVDSOReturnsToItsStack: a frame contains the code that calls sigreturn.
func TestHandlerWithoutVDSOReturnsToItsStack(t *testing.T) {
	m := newMemory()
	f, d := newDelivery32(0)
	d.Returns = Returns{}
	if err := Push(m, f, d); err != nil {
		t.Fatal(err)
	}
	returns, _ := abi.CopyIn[uint32](m, f.RSP)
	code := make([]byte, 8)
	if err := m.CopyIn(uint64(returns), code); err != nil || !bytes.Equal(code, []byte{0x58, 0xb8, 119, 0, 0, 0, 0xcd, 0x80}) {
		t.Errorf("the handler returns to % x at %#x, %v", code, returns, err)
	}
}

// TestPop32RefusesKernelSelectors: the privilege of user mode is forced.
func TestPop32ForcesThePrivilegeOfUserMode(t *testing.T) {
	m := newMemory()
	f, d := newDelivery32(0)
	if err := Push(m, f, d); err != nil {
		t.Fatal(err)
	}
	window, _ := m.window(f.RSP, sigframe32Size)
	frame := abi.View[compat.Sigframe](window)
	frame.Context.CS, frame.Context.SS, frame.Context.EFlags = amd64.KernelCS, amd64.KernelSS, ^uint32(0)
	f.RSP += 8
	if _, err := Pop32(m, f, new(Scratch)); err != nil {
		t.Fatal(err)
	}
	if f.CS&3 != 3 || f.SS&3 != 3 || f.RFLAGS&amd64.FlagIOPL != 0 || f.RFLAGS&amd64.FlagIF == 0 || f.RFLAGS&amd64.FlagNT != 0 {
		t.Errorf("cs %#x, ss %#x, flags %#x", f.CS, f.SS, f.RFLAGS)
	}
}

func TestFailedPush32LeavesRegistersUnchanged(t *testing.T) {
	m := newMemory()
	for _, sp := range []uint64{0, 8, 0x1000, 0xffffffff, memoryBase + 16} {
		f, d := newDelivery32(SA_SIGINFO)
		f.RSP = sp
		if err := Push(m, f, d); err != unix.EFAULT || f.RSP != sp || f.RIP != 0x401000 {
			t.Errorf("with esp %#x: error %v, esp %#x, eip %#x", sp, err, f.RSP, f.RIP)
		}
	}
}

// TestFSaveConversionKeepsTheRegisters converts an FXSAVE area with one register of each tag.
func TestFSaveConversionKeepsTheRegisters(t *testing.T) {
	fx := make([]byte, 512)
	fx[fxControl], fx[fxControl+1] = 0x7f, 0x03
	fx[fxStatus+1] = 4 << 3                                                              // the top of the stack is register 4
	fx[fxTag] = 0xf0                                                                     // registers 4 to 7 are used: ST0 to ST3
	copy(fx[fxST:], []byte{0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f})                       // 1.0
	copy(fx[fxST+2*fxSTStride:], []byte{0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x7f})          // infinity
	copy(fx[fxST+3*fxSTStride:], []byte{1, 2, 3, 4, 5, 6, 7, 0x88, 9, 0x40, 11, 12, 13}) // ST1 is 0
	s := ToFSave(fx, amd64.User32CS, amd64.UserSS)
	if s.CWD != 0xffff037f || s.TWD != fsaveUnused|0x24ff || s.FCS != amd64.User32CS || s.FOS != fsaveUnused|amd64.UserSS {
		t.Errorf("ToFSave returned %+v", s)
	}
	back := make([]byte, 512)
	FromFSave(back, &s)
	for i := range 8 {
		at := fxST + i*fxSTStride
		if !bytes.Equal(back[at:at+10], fx[at:at+10]) {
			t.Errorf("ST%d is % x, want % x", i, back[at:at+10], fx[at:at+10])
		}
	}
	if !bytes.Equal(back[:fxOpcode], fx[:fxOpcode]) {
		t.Errorf("control, status and tags are % x, want % x", back[:fxOpcode], fx[:fxOpcode])
	}
}

// TestSiginfo32KeepsWhatTheCodeSelects converts informations of every layout to 32 bits and
// back.
func TestSiginfo32KeepsWhatTheCodeSelects(t *testing.T) {
	queued := UserInfo(unix.SIGUSR1, SI_QUEUE, 77, 1000)
	queued.Fields.RT().Value = 0x12345678
	poll := Info{Signo: unix.SIGIO, Code: SI_SIGIO}
	poll.Fields[0], poll.Fields[1] = 5, 6
	for _, want := range []Info{
		UserInfo(unix.SIGTERM, SI_USER, 77, 1000),
		queued, poll,
		TimerInfo(unix.SIGALRM, 3, 0xcafe),
		FaultInfo(unix.SIGSEGV, SEGV_ACCERR, 0xfffff000),
		MemoryErrorInfo(0x8000, 12),
		ChildInfo(CLD_EXITED, 77, 1000, 3, 4, 5),
		SyscallInfo(SYS_SECCOMP, 9, 0xf7001234, 64, 0x40000003),
	} {
		s := want.Siginfo32()
		if got := InfoOf32(&s); got != want {
			t.Errorf("%+v becomes %+v", want, got)
		}
	}
}

func FuzzPop32(f *testing.F) {
	f.Add([]byte{1}, uint16(0x8000), true)
	f.Fuzz(func(t *testing.T, frame []byte, at uint16, info bool) {
		m := newMemory()
		registers, _ := newDelivery32(0)
		registers.RSP = memoryBase + uint64(at)
		if window, err := m.window(registers.RSP-8, len(frame)); err == nil {
			copy(window, frame)
		}
		pop := popFunction(Pop32)
		if info {
			pop = PopInfo32
		}
		restored, err := pop(m, registers, new(Scratch))
		if restored.Blocked&Unblockable != 0 {
			t.Errorf("SIGKILL or SIGSTOP is blocked: %v", restored.Blocked)
		}
		if err == nil && (registers.CS&3 != 3 || registers.RFLAGS&(amd64.FlagIOPL|amd64.FlagVM) != 0) {
			t.Errorf("cs %#x, flags %#x", registers.CS, registers.RFLAGS)
		}
	})
}
