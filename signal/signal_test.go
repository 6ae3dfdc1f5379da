package signal

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/abi"
)

func TestSetOperations(t *testing.T) {
	set := SetOf(unix.SIGHUP, unix.SIGTERM, Last)
	if set != 1|1<<14|1<<63 || !set.Has(Last) || set.Has(unix.SIGINT) || set.First() != unix.SIGHUP {
		t.Errorf("the set is %#x", uint64(set))
	}
	set.Remove(unix.SIGHUP)
	if set.First() != unix.SIGTERM || Set(0).First() != 0 {
		t.Errorf("the first signal is %v", set.First())
	}
	if got := set.String(); got != "{SIGTERM SIGRTMIN+32}" {
		t.Errorf("String returned %s", got)
	}
}

// TestDefaultActionCounts compares with the table of signal(7).
func TestDefaultActionCounts(t *testing.T) {
	count := make(map[Default]int)
	for s := Signal(1); s <= Last; s++ {
		count[DefaultOf(s)]++
	}
	want := map[Default]int{Core: 10, Ignore: 3, Stop: 4, Continue: 1, Terminate: 64 - 18}
	for what, n := range want {
		if count[what] != n {
			t.Errorf("%d signals have the default action %d, want %d", count[what], what, n)
		}
	}
}

// TestSiginfoLayout compares with the offsets of siginfo_t on x86-64.
func TestSiginfoLayout(t *testing.T) {
	info := ChildInfo(CLD_KILLED, 0x01020304, 0x05060708, 9, 0x11, 0x22)
	siginfo := info.Siginfo()
	raw := abi.Bytes(&siginfo)
	for offset, want := range map[int]byte{0: 17, 8: CLD_KILLED, 16: 4, 20: 8, 24: 9, 32: 0x11, 40: 0x22} {
		if raw[offset] != want {
			t.Errorf("byte %d is %#x, want %#x", offset, raw[offset], want)
		}
	}
	fault := FaultInfo(unix.SIGSEGV, SEGV_MAPERR, 0x1234)
	siginfo = fault.Siginfo()
	if raw[16] != 0x34 || raw[17] != 0x12 || fault.Address() != 0x1234 {
		t.Errorf("the bytes of si_addr are % x, want 34 12", raw[16:24])
	}
	timer := TimerInfo(unix.SIGALRM, 3, 77)
	timer.SetOverrun(5)
	siginfo = timer.Siginfo()
	if raw[16] != 3 || raw[20] != 5 || raw[24] != 77 {
		t.Errorf("the bytes of the timer fields are % x", raw[16:32])
	}
}

func FuzzInfo(f *testing.F) {
	f.Add(make([]byte, 128))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var before abi.Siginfo
		if len(raw) < len(abi.Bytes(&before)) {
			return
		}
		copy(abi.Bytes(&before), raw)
		info := InfoOf(&before)
		after := info.Siginfo()
		before.Pad = 0
		if before != after {
			t.Errorf("%+v becomes %+v", before, after)
		}
	})
}

func FuzzAction(f *testing.F) {
	f.Add(make([]byte, 32))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var before abi.Sigaction
		if len(raw) < len(abi.Bytes(&before)) {
			return
		}
		copy(abi.Bytes(&before), raw)
		action := ActionOf(&before)
		if after := action.Sigaction(); before != after {
			t.Errorf("%+v becomes %+v", before, after)
		}
		var actions Actions
		if _, err := actions.Set(unix.SIGUSR1, action); err != nil {
			t.Errorf("Set: %v", err)
		}
		kept := actions.Get(unix.SIGUSR1)
		if kept.Mask&Unblockable != 0 || kept.Flags&^supportedFlags != 0 {
			t.Errorf("Set kept an unblockable signal or an unsupported flag: %+v", kept)
		}
	})
}

func TestActionChangesFollowSigaction(t *testing.T) {
	var actions Actions
	if _, err := actions.Set(unix.SIGKILL, Action{Handler: SIG_IGN}); err != unix.EINVAL {
		t.Errorf("ignoring SIGKILL: %v, want EINVAL", err)
	}
	actions.Set(unix.SIGUSR1, Action{Handler: 0x1000, Flags: SA_RESETHAND | SA_UNSUPPORTED})
	actions.Set(unix.SIGUSR2, Action{Handler: SIG_IGN})
	if got := actions.Get(unix.SIGUSR1); got.Flags != SA_RESETHAND {
		t.Errorf("the flags are %#x: SA_UNSUPPORTED must be cleared", got.Flags)
	}
	ignored, caught := actions.Sets()
	if ignored != SetOf(unix.SIGUSR2) || caught != SetOf(unix.SIGUSR1) {
		t.Errorf("ignored %v, caught %v", ignored, caught)
	}
	clone := actions.CloneWithoutHandlers()
	if clone.Get(unix.SIGUSR1).Handler != SIG_DFL || clone.Get(unix.SIGUSR2).Handler != SIG_IGN {
		t.Error("CloneWithoutHandlers kept a handler or lost an ignored signal")
	}
	if first := actions.Claim(unix.SIGUSR1); first.Handler != 0x1000 {
		t.Errorf("the first Claim returned %+v, want the handler", first)
	}
	if second := actions.Claim(unix.SIGUSR1); second.Handler != SIG_DFL {
		t.Errorf("the second Claim returned %+v, want SIG_DFL after SA_RESETHAND", second)
	}
}

func TestAltStackFollowsSigaltstack(t *testing.T) {
	stack := AltStack{Base: 0x1000, Size: 0x2000}
	for rsp, on := range map[uint64]bool{0xfff: false, 0x1000: false, 0x1001: true, 0x3000: true, 0x3001: false} {
		if stack.Holds(rsp) != on {
			t.Errorf("Holds(%#x) returned %v", rsp, !on)
		}
	}
	next := AltStack{Base: 0x8000, Size: 0x2000}
	if err := stack.Set(next, 0x2000, MinStackSize); err != unix.EPERM {
		t.Errorf("Set while the thread runs on the stack: %v, want EPERM", err)
	}
	if err := stack.Set(AltStack{Size: 100}, 0, MinStackSize); err != unix.ENOMEM {
		t.Errorf("Set of a stack that is too small: %v, want ENOMEM", err)
	}
	if err := stack.Set(AltStack{Size: 0x2000, Flags: 8}, 0, MinStackSize); err != unix.EINVAL {
		t.Errorf("Set with an unknown flag: %v, want EINVAL", err)
	}
	if err := stack.Set(AltStack{Flags: SS_DISABLE}, 0, MinStackSize); err != nil || stack.State(0x2000) != SS_DISABLE {
		t.Errorf("after SS_DISABLE the stack is %+v, %v", stack, err)
	}
	disarming := AltStack{Base: 0x1000, Size: 0x2000, Flags: SS_AUTODISARM}
	if disarming.Holds(0x2000) {
		t.Error("Holds is true for a stack with SS_AUTODISARM")
	}
}
