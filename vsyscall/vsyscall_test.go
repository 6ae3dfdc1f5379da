package vsyscall

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/mm"
	"slowpath/task"
)

// TestFaultsOfOtherAccessesAreNotHandled: only the fetch of an instruction is a call.
func TestFaultsOfOtherAccessesAreNotHandled(t *testing.T) {
	c := &Config{Calls: new(entry.Dispatch[*task.Task])}
	const fetch = amd64.FaultUser | amd64.FaultFetch
	for _, f := range []*amd64.Frame{
		{CR2: mm.VsyscallPage, RIP: mm.VsyscallPage, Error: amd64.FaultUser},
		{CR2: mm.VsyscallPage, RIP: mm.VsyscallPage, Error: fetch | amd64.FaultWrite},
		{CR2: mm.VsyscallPage + mm.PageSize, RIP: mm.VsyscallPage + mm.PageSize, Error: fetch},
		{CR2: 0x1000, RIP: 0x1000, Error: fetch},
	} {
		if c.handle(nil, f, amd64.PageFault) {
			t.Errorf("the fault at %#x with error code %#x is handled", f.CR2, f.Error)
		}
	}
	c.Mode = None
	if f := (&amd64.Frame{CR2: mm.VsyscallPage, RIP: mm.VsyscallPage, Error: fetch}); c.handle(nil, f, amd64.PageFault) {
		t.Error("a call is handled in the mode None")
	}
}

func TestModesSayWhatMapsShow(t *testing.T) {
	for mode, want := range map[Mode]mm.Prot{ExecuteOnly: mm.ProtExec, Emulate: mm.ProtRead | mm.ProtExec, None: mm.ProtNone} {
		if got := mode.Protection(); got != want {
			t.Errorf("mode %d shows %v, want %v", mode, got, want)
		}
	}
}

func TestPageHasTheSystemCalls(t *testing.T) {
	page := Page()
	for i, number := range []byte{unix.SYS_GETTIMEOFDAY, unix.SYS_TIME, unix.SYS_GETCPU % 256} {
		at := page[i*functionSize:]
		if at[3] != number || at[7] != 0x0f || at[8] != 0x05 || at[9] != 0xc3 || at[10] != 0xcc {
			t.Errorf("function %d is % x", i, at[:11])
		}
	}
}
