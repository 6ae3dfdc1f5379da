package signal

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
)

// memory is user memory from 0x10000 on.
type memory struct{ bytes []byte }

const memoryBase = 0x10000

func (m *memory) window(address uint64, n int) ([]byte, error) {
	at := address - memoryBase
	if at > uint64(len(m.bytes)) || uint64(n) > uint64(len(m.bytes))-at {
		return nil, unix.EFAULT
	}
	return m.bytes[at:][:n], nil
}

func (m *memory) CopyIn(address uint64, p []byte) error {
	w, err := m.window(address, len(p))
	copy(p, w)
	return err
}

func (m *memory) CopyOut(address uint64, p []byte) error {
	w, err := m.window(address, len(p))
	if err == nil {
		copy(w, p)
	}
	return err
}

func newMemory() *memory { return &memory{make([]byte, 0x20000)} }

func newDelivery(flags uint64) (*amd64.Frame, *Delivery) {
	f := amd64.NewFrame(0)
	f.RSP, f.RIP = memoryBase+0x8000, 0x401000
	f.XMM[3] = [16]byte{1, 2, 3}
	info := KernelInfo(unix.SIGUSR1)
	action := Action{Handler: 0x402000, Flags: flags, Restorer: 0x403000}
	return f, &Delivery{Info: &info, Action: &action, Saved: SetOf(unix.SIGHUP), AltStack: new(AltStack), Scratch: new(Scratch)}
}

func TestPushAndPop(t *testing.T) {
	m := newMemory()
	f, d := newDelivery(SA_RESTORER)
	d.AltStack = &AltStack{Base: memoryBase + 0x10000, Size: 0x4000}
	before := amd64.NewFrame(0)
	before.Copy(f)
	if err := Push(m, f, d); err != nil {
		t.Fatal(err)
	}
	if f.RSP > before.RSP-redZone || f.RSP%16 != 8 || f.RDX != f.RSP+8 || f.RSI != f.RSP+8+304 {
		t.Errorf("rsp %#x, rsi %#x, rdx %#x", f.RSP, f.RSI, f.RDX)
	}
	f.RSP += returnAddress
	f.XMM[3] = [16]byte{}
	restored, err := Pop(m, f, new(Scratch))
	if err != nil || restored.Blocked != SetOf(unix.SIGHUP) || restored.AltStack.Base != d.AltStack.Base {
		t.Errorf("restored %+v, %v", restored, err)
	}
	if f.RSP != before.RSP || f.RIP != before.RIP || f.XMM != before.XMM || f.MXCSR != before.MXCSR {
		t.Errorf("rsp %#x, rip %#x, xmm3 %v", f.RSP, f.RIP, f.XMM[3])
	}
}

func TestPushOnTheAlternateStack(t *testing.T) {
	m := newMemory()
	f, d := newDelivery(SA_RESTORER | SA_ONSTACK)
	d.AltStack = &AltStack{Base: memoryBase + 0x10000, Size: 0x4000}
	if err := Push(m, f, d); err != nil || !d.AltStack.Holds(f.RSP) {
		t.Errorf("rsp is %#x, %v", f.RSP, err)
	}
	first := f.RSP
	if err := Push(m, f, d); err != nil || f.RSP >= first || !d.AltStack.Holds(f.RSP) {
		t.Errorf("the second handler is at %#x, %v", f.RSP, err)
	}
	for range 100 {
		if err := Push(m, f, d); err != nil {
			return // it ends before the stack overflows
		}
		if !d.AltStack.Holds(f.RSP) {
			t.Fatalf("a frame lies at %#x, below the alternate stack", f.RSP)
		}
	}
	t.Error("the alternate stack never ends")
}

func TestPushDisarms(t *testing.T) {
	m := newMemory()
	f, d := newDelivery(SA_RESTORER | SA_ONSTACK)
	armed := AltStack{Base: memoryBase + 0x10000, Size: 0x4000, Flags: SS_AUTODISARM}
	stack := armed
	d.AltStack = &stack
	if err := Push(m, f, d); err != nil || stack != (AltStack{}) {
		t.Errorf("the stack is %+v, %v", stack, err)
	}
	f.RSP += returnAddress
	if restored, err := Pop(m, f, new(Scratch)); err != nil || stack.Set(restored.AltStack, f.RSP, MinStackSize) != nil || stack != armed {
		t.Errorf("restored is %+v, %v", stack, err)
	}
}

func TestPushRefuses(t *testing.T) {
	m := newMemory()
	for name, change := range map[string]func(*amd64.Frame, *Delivery){
		"no restorer":      func(_ *amd64.Frame, d *Delivery) { d.Action.Flags = 0 },
		"stack not mapped": func(f *amd64.Frame, _ *Delivery) { f.RSP = 0x1000 },
		"stack wraps":      func(f *amd64.Frame, _ *Delivery) { f.RSP = 8 },
		"small alternate": func(_ *amd64.Frame, d *Delivery) {
			d.Action.Flags |= SA_ONSTACK
			d.AltStack = &AltStack{Base: memoryBase + 0x10000, Size: 64}
		},
	} {
		f, d := newDelivery(SA_RESTORER)
		change(f, d)
		rsp, rip := f.RSP, f.RIP
		if err := Push(m, f, d); err != unix.EFAULT || f.RSP != rsp || f.RIP != rip {
			t.Errorf("%s: %v, rsp %#x, rip %#x", name, err, f.RSP, f.RIP)
		}
	}
}

// TestPopReportsTheTrapOfABadRegister changes one register of a frame to what
// user mode cannot have.
func TestPopReportsTheTrapOfABadRegister(t *testing.T) {
	const rip, cs, ss = 16 * 8, 144, 150
	const ucContext = 40
	registers := []struct {
		offset int // in struct sigcontext
		value  uint16
		trap   Info
		fault  Fault
	}{
		{cs, 0x8, KernelInfo(unix.SIGSEGV), Fault{amd64.GeneralProtection, 0x8, 0}},
		{cs, 0x0, KernelInfo(unix.SIGSEGV), Fault{amd64.GeneralProtection, 0, 0}},
		{ss, 0xfff8, KernelInfo(unix.SIGSEGV), Fault{amd64.GeneralProtection, 0xfff8, 0}},
		{ss, 0xf, KernelInfo(unix.SIGSEGV), Fault{amd64.GeneralProtection, 0, 0}},
		{rip + 6, 0x8000, KernelInfo(unix.SIGSEGV), Fault{amd64.GeneralProtection, 0, 0}},
	}
	for _, c := range registers {
		m := newMemory()
		f, d := newDelivery(SA_RESTORER)
		if err := Push(m, f, d); err != nil {
			t.Fatal(err)
		}
		binary.LittleEndian.PutUint16(m.bytes[f.RSP-memoryBase+frameUContext+ucContext+uint64(c.offset):], c.value)
		f.RSP += returnAddress
		restored, err := Pop(m, f, new(Scratch))
		if got := (Fault{f.Vector, f.Error, f.CR2}); err != nil || restored.Trap != c.trap || got != c.fault || restored.Blocked != d.Saved {
			t.Errorf("%d = %#x: %+v, %+v, %v", c.offset, c.value, restored.Trap, got, err)
		}
		if f.CS != amd64.UserCS || f.SS != amd64.UserSS {
			t.Errorf("%d = %#x: cs %#x, ss %#x", c.offset, c.value, f.CS, f.SS)
		}
	}
}

// TestPopToTheKernel returns to an address that exists, but not for users.
func TestPopToTheKernel(t *testing.T) {
	m := newMemory()
	f, d := newDelivery(SA_RESTORER)
	f.RIP = 0xffffffff81000000
	if err := Push(m, f, d); err != nil {
		t.Fatal(err)
	}
	f.RSP += returnAddress
	restored, err := Pop(m, f, new(Scratch))
	want := FaultInfo(unix.SIGSEGV, SEGV_MAPERR, 0xffffffff81000000)
	if err != nil || restored.Trap != want || f.Vector != amd64.PageFault || f.CR2 != f.RIP {
		t.Errorf("got %+v, vector %d, %v", restored.Trap, f.Vector, err)
	}
}

// FuzzPop lets a user write anything into the frame: what is accepted can run
// in user mode, and only there.
func FuzzPop(f *testing.F) {
	f.Add(make([]byte, 2048), uint16(0))
	f.Fuzz(func(t *testing.T, contents []byte, at uint16) {
		m := newMemory()
		frame, d := newDelivery(SA_RESTORER)
		if err := Push(m, frame, d); err != nil {
			t.Fatal(err)
		}
		copy(m.bytes[frame.RSP-memoryBase+uint64(at)%1024:], contents)
		frame.RSP += returnAddress
		restored, err := Pop(m, frame, new(Scratch))
		if err != nil || restored.Trap.Signo != 0 {
			return
		}
		const privileged = amd64.FlagIOPL | amd64.FlagVM
		switch {
		case frame.CS != amd64.UserCS, frame.SS != amd64.UserSS,
			frame.RIP >= amd64.UserLimit,
			frame.RFLAGS&privileged != 0, frame.RFLAGS&amd64.FlagIF == 0,
			frame.MXCSR&^0xffff != 0,
			frame.OrigRAX != amd64.NotInSyscall,
			restored.Blocked&Unblockable != 0:
			t.Errorf("accepted: cs %#x, rip %#x, flags %#x, mxcsr %#x", frame.CS, frame.RIP, frame.RFLAGS, frame.MXCSR)
		}
	})
}
