package signal

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
)

// memory implements abi.UserMemory: user memory that starts at memoryBase.
type memory struct{ bytes []byte }

const memoryBase = 0x10000

// window returns the n bytes at a user address, or EFAULT.
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

// newDelivery returns a register frame, and the delivery of SIGUSR1 with the given
// flags of its action.
func newDelivery(flags uint64) (*amd64.Frame, *Delivery) {
	f := amd64.NewFrame(0)
	f.RSP, f.RIP = memoryBase+0x8000, 0x401000
	f.XMM[3] = [16]byte{1, 2, 3}
	info := KernelInfo(unix.SIGUSR1)
	action := Action{Handler: 0x402000, Flags: flags, Restorer: 0x403000}
	return f, &Delivery{Info: &info, Action: &action, Saved: SetOf(unix.SIGHUP), AltStack: new(AltStack), Scratch: new(Scratch)}
}

func TestPopRestoresWhatPushSaved(t *testing.T) {
	m := newMemory()
	f, d := newDelivery(SA_RESTORER)
	d.AltStack = &AltStack{Base: memoryBase + 0x10000, Size: 0x4000}
	before := amd64.NewFrame(0)
	before.Copy(f)
	if err := Push(m, f, d); err != nil {
		t.Fatal(err)
	}
	if f.RSP > before.RSP-redZone || f.RSP%16 != 8 || f.RDX != f.RSP+8 || f.RSI != f.RSP+8+304 {
		t.Errorf("the handler starts with rsp %#x, rsi %#x, rdx %#x", f.RSP, f.RSI, f.RDX)
	}
	f.RSP += returnAddress
	f.XMM[3] = [16]byte{}
	restored, err := Pop(m, f, new(Scratch))
	if err != nil || restored.Blocked != SetOf(unix.SIGHUP) || restored.AltStack.Base != d.AltStack.Base {
		t.Errorf("Pop returned %+v, %v", restored, err)
	}
	if f.RSP != before.RSP || f.RIP != before.RIP || f.XMM != before.XMM || f.MXCSR != before.MXCSR {
		t.Errorf("Pop loaded rsp %#x, rip %#x, xmm3 %v, want the registers before Push", f.RSP, f.RIP, f.XMM[3])
	}
}

func TestPushStaysOnTheAlternateStack(t *testing.T) {
	m := newMemory()
	f, d := newDelivery(SA_RESTORER | SA_ONSTACK)
	d.AltStack = &AltStack{Base: memoryBase + 0x10000, Size: 0x4000}
	if err := Push(m, f, d); err != nil || !d.AltStack.Holds(f.RSP) {
		t.Errorf("the first frame is at %#x, not on the alternate stack (%v)", f.RSP, err)
	}
	first := f.RSP
	if err := Push(m, f, d); err != nil || f.RSP >= first || !d.AltStack.Holds(f.RSP) {
		t.Errorf("the second frame is at %#x, want below %#x on the alternate stack (%v)", f.RSP, first, err)
	}
	for range 100 {
		if err := Push(m, f, d); err != nil {
			return // Push failed before the stack overflowed
		}
		if !d.AltStack.Holds(f.RSP) {
			t.Fatalf("a frame is at %#x, below the alternate stack", f.RSP)
		}
	}
	t.Error("Push did not fail after 100 frames on the alternate stack")
}

func TestPushDisarmsAndPopRestoresAutodisarmStack(t *testing.T) {
	m := newMemory()
	f, d := newDelivery(SA_RESTORER | SA_ONSTACK)
	armed := AltStack{Base: memoryBase + 0x10000, Size: 0x4000, Flags: SS_AUTODISARM}
	stack := armed
	d.AltStack = &stack
	if err := Push(m, f, d); err != nil || stack != (AltStack{Flags: SS_DISABLE}) {
		t.Errorf("after Push the alternate stack is %+v, %v, want none", stack, err)
	}
	f.RSP += returnAddress
	if restored, err := Pop(m, f, new(Scratch)); err != nil || stack.Set(restored.AltStack, f.RSP, MinStackSize) != nil || stack != armed {
		t.Errorf("after Pop the alternate stack is %+v, %v, want %+v", stack, err, armed)
	}
}

func TestFailedPushLeavesRegistersUnchanged(t *testing.T) {
	m := newMemory()
	for name, change := range map[string]func(*amd64.Frame, *Delivery){
		"no restorer":          func(_ *amd64.Frame, d *Delivery) { d.Action.Flags = 0 },
		"stack not mapped":     func(f *amd64.Frame, _ *Delivery) { f.RSP = 0x1000 },
		"address wraps around": func(f *amd64.Frame, _ *Delivery) { f.RSP = 8 },
		"alternate stack too small": func(_ *amd64.Frame, d *Delivery) {
			d.Action.Flags |= SA_ONSTACK
			d.AltStack = &AltStack{Base: memoryBase + 0x10000, Size: 64}
		},
	} {
		f, d := newDelivery(SA_RESTORER)
		change(f, d)
		rsp, rip := f.RSP, f.RIP
		if err := Push(m, f, d); err != unix.EFAULT || f.RSP != rsp || f.RIP != rip {
			t.Errorf("%s: Push returned %v, want EFAULT; rsp %#x, rip %#x", name, err, f.RSP, f.RIP)
		}
	}
}

// TestPopReturnsTheTrapOfAnInvalidRegister writes a value to the signal frame with
// which IRET would fault.
func TestPopReturnsTheTrapOfAnInvalidRegister(t *testing.T) {
	const rip, cs = 16 * 8, 144
	const ucContext = 40
	registers := []struct {
		offset int // in struct sigcontext
		value  uint16
		trap   Info
		fault  Fault
	}{
		{rip + 6, 0x8000, KernelInfo(unix.SIGSEGV), Fault{amd64.GeneralProtection, 0, 0}},
		{cs, 0x8, Info{}, Fault{}}, // IRET raises the exception
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
		if got := (Fault{f.Vector, f.Error, f.CR2}); err != nil || trapOf(restored.Trap) != c.trap || got != c.fault || restored.Blocked != d.Saved {
			t.Errorf("%#x at offset %d: trap %+v, fault %+v, %v", c.value, c.offset, restored.Trap, got, err)
		}
		if f.CS&3 != 3 || f.SS&3 != 3 {
			t.Errorf("%#x at offset %d: cs %#x and ss %#x have the privilege of the kernel", c.value, c.offset, f.CS, f.SS)
		}
	}
}

// trapOf returns the signal of a trap, or the zero Info if there is none.
func trapOf(trap *Info) Info {
	if trap == nil {
		return Info{}
	}
	return *trap
}

// TestPopLoadsAnySelectorOfUserMode: IRET tries them.
func TestPopLoadsAnySelectorOfUserMode(t *testing.T) {
	const cs, ss, ucContext, ucFlags = 144, 150, 40, 0
	for _, c := range []struct {
		cs, ss, strict, want uint16
	}{
		{amd64.UserCS, 0xf, ucStrictRestoreSS, 0xf},
		{amd64.UserCS, 0xf, 0, amd64.UserSS},
		{amd64.UserCS, 0xfff8, ucStrictRestoreSS, 0xfffb},
		{0x8, amd64.UserSS, ucStrictRestoreSS, amd64.UserSS},
		{0x7, 0x1f, 0, 0x1f},
		{0, 0, ucStrictRestoreSS, 3},
	} {
		m := newMemory()
		f, d := newDelivery(SA_RESTORER)
		if err := Push(m, f, d); err != nil {
			t.Fatal(err)
		}
		context := m.bytes[f.RSP-memoryBase+frameUContext:]
		binary.LittleEndian.PutUint16(context[ucFlags:], c.strict|ucSigcontextSS)
		binary.LittleEndian.PutUint16(context[ucContext+cs:], c.cs)
		binary.LittleEndian.PutUint16(context[ucContext+ss:], c.ss)
		f.RSP += returnAddress
		restored, err := Pop(m, f, new(Scratch))
		if err != nil || restored.Trap != nil || f.CS != uint64(c.cs|3) || f.SS != uint64(c.want) {
			t.Errorf("cs %#x, ss %#x: the frame has %#x and %#x, trap %+v, %v", c.cs, c.ss, f.CS, f.SS, restored.Trap, err)
		}
	}
}

// TestPopToKernelAddressIsAPageFault returns to a canonical address of the kernel.
func TestPopToKernelAddressIsAPageFault(t *testing.T) {
	m := newMemory()
	f, d := newDelivery(SA_RESTORER)
	f.RIP = 0xffffffff81000000
	if err := Push(m, f, d); err != nil {
		t.Fatal(err)
	}
	f.RSP += returnAddress
	restored, err := Pop(m, f, new(Scratch))
	want := FaultInfo(unix.SIGSEGV, SEGV_MAPERR, 0xffffffff81000000)
	if err != nil || trapOf(restored.Trap) != want || f.Vector != amd64.PageFault || f.CR2 != f.RIP {
		t.Errorf("trap %+v with vector %d, %v, want %+v with vector 14", restored.Trap, f.Vector, err, want)
	}
}

// TestPopReturnsTo32BitCode: the descriptor of 32-bit user code is in the GDT, so a
// signal may have interrupted such code. Its addresses end at 4 GiB.
func TestPopReturnsTo32BitCode(t *testing.T) {
	for rip, want := range map[uint64]Info{0x401000: {}, 1<<32 - 1: {}, 1 << 32: KernelInfo(unix.SIGSEGV)} {
		m := newMemory()
		f, d := newDelivery(SA_RESTORER)
		f.RIP, f.CS = rip, amd64.User32CS
		if err := Push(m, f, d); err != nil {
			t.Fatal(err)
		}
		if f.CS != amd64.UserCS {
			t.Errorf("the handler's CS is %#x, want %#x", f.CS, amd64.UserCS)
		}
		f.RSP += returnAddress
		restored, err := Pop(m, f, new(Scratch))
		if err != nil || trapOf(restored.Trap) != want || f.RIP != rip || f.CS != amd64.User32CS {
			t.Errorf("RIP %#x: trap %+v, RIP %#x, CS %#x, %v; want trap %+v", rip, restored.Trap, f.RIP, f.CS, err, want)
		}
	}
}

// TestReturnToHandlerAtBadAddressTraps: the program chooses the handler's address.
func TestReturnToHandlerAtBadAddressTraps(t *testing.T) {
	for handler, want := range map[uint64]struct {
		info   Info
		vector uint64
	}{
		0x402000:           {},
		1 << 63:            {KernelInfo(unix.SIGSEGV), amd64.GeneralProtection},
		1 << 47:            {KernelInfo(unix.SIGSEGV), amd64.GeneralProtection},
		0xffffffff81000000: {FaultInfo(unix.SIGSEGV, SEGV_MAPERR, 0xffffffff81000000), amd64.PageFault},
	} {
		m := newMemory()
		f, d := newDelivery(SA_RESTORER)
		d.Action.Handler = handler
		if err := Push(m, f, d); err != nil {
			t.Fatal(err)
		}
		if got := trapOf(ReturnTrap(f)); got != want.info || f.Vector != want.vector || f.RIP != handler {
			t.Errorf("handler %#x: %+v with vector %d, want %+v with vector %d", handler, got, f.Vector, want.info, want.vector)
		}
	}
}

// FuzzPop writes arbitrary bytes into the signal frame. The registers that Pop
// accepts must be valid for user mode and without privileges.
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
		if err != nil || restored.Trap != nil {
			return
		}
		const privileged = amd64.FlagIOPL | amd64.FlagVM
		switch {
		case frame.CS&^0xffff != 0, frame.CS&3 != 3, frame.SS&^0xffff != 0, frame.SS&3 != 3,
			frame.RIP >= amd64.UserLimit, frame.Code32() && frame.RIP >= 1<<32,
			frame.RFLAGS&privileged != 0, frame.RFLAGS&amd64.FlagIF == 0,
			frame.MXCSR&^0xffff != 0,
			frame.OrigRAX != amd64.NotInSyscall,
			restored.Blocked&Unblockable != 0:
			t.Errorf("Pop accepted cs %#x, rip %#x, flags %#x, mxcsr %#x", frame.CS, frame.RIP, frame.RFLAGS, frame.MXCSR)
		}
	})
}
