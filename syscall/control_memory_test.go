package syscall

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/cred"
	"slowpath/fs/fstest"
	"slowpath/mm"
	"slowpath/task"
)

func TestSetMMChangesTheAddressesOfTheProgram(t *testing.T) {
	asTask(t, fstest.New(t, 1024), func(tk *task.Task) {
		set := func(operation, address uint64) error {
			_, err := invoke(tk, sysPrctl, unix.PR_SET_MM, operation, address, 0, 0)
			return err
		}
		p := *tk.Program()
		if p.StartCode == 0 || p.StartCode >= p.EndCode {
			t.Fatalf("the program has the code %#x to %#x", p.StartCode, p.EndCode)
		}
		for _, c := range []struct {
			name               string
			operation, address uint64
			want               error
		}{
			{"the end of the arguments", unix.PR_SET_MM_ARG_END, p.ArgEnd - 1, nil},
			{"arguments that end before their start", unix.PR_SET_MM_ARG_END, p.ArgStart - 1, unix.EINVAL},
			{"an address of the kernel", unix.PR_SET_MM_ENV_END, 1 << 63, unix.EINVAL},
			{"address 0", unix.PR_SET_MM_START_CODE, 0, unix.EINVAL},
			{"arguments above all memory", unix.PR_SET_MM_ENV_END, mm.UserEnd - 1, unix.EFAULT},
			{"data above all memory", unix.PR_SET_MM_END_DATA, mm.UserEnd - 1, nil},
			{"an unknown operation", 99, p.ArgStart, unix.EINVAL},
		} {
			if err := set(c.operation, c.address); err != c.want {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
		if got := tk.Program(); got.ArgEnd != p.ArgEnd-1 || got.EnvEnd != p.EnvEnd || got.EndData != mm.UserEnd-1 {
			t.Errorf("the program has %+v, had %+v", got.Layout, p.Layout)
		}
		if _, err := invoke(tk, sysPrctl, unix.PR_SET_MM, unix.PR_SET_MM_ARG_START, p.ArgStart, 1, 0); err != unix.EINVAL {
			t.Errorf("an argument that must be 0: %v", err)
		}
		tk.ChangeCredentials(func(c *cred.Credentials) error { c.Effective = 0; return nil })
		if err := set(unix.PR_SET_MM_ARG_START, p.ArgStart); err != unix.EPERM {
			t.Errorf("without CAP_SYS_RESOURCE: %v", err)
		}
	})
}

func TestSetMMMapNeedsNoCapability(t *testing.T) {
	asTask(t, fstest.New(t, 1024), func(tk *task.Task) {
		const at = 0x10000000
		if _, err := tk.MM.Mmap(mm.MapRequest{Addr: at, Length: testPage, Prot: mm.ProtRead | mm.ProtWrite,
			Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED}); err != nil {
			t.Fatal(err)
		}
		tk.ChangeCredentials(func(c *cred.Credentials) error { c.Effective = 0; return nil })
		good := abi.PrctlMMMap{
			StartCode: at, EndCode: at + 1, StartData: at, EndData: at, StartBrk: at + 16, Brk: at + 32, StartStack: at,
			ArgStart: at, ArgEnd: at, EnvStart: at, EnvEnd: at, Auxv: at + 512, AuxvSize: 32, ExeFD: ^uint32(0),
		}
		for _, c := range []struct {
			name   string
			change func(m *abi.PrctlMMMap)
			want   error
		}{
			{"valid", func(*abi.PrctlMMMap) {}, nil},
			{"no code", func(m *abi.PrctlMMMap) { m.EndCode = m.StartCode }, unix.EINVAL},
			{"a heap that ends before its start", func(m *abi.PrctlMMMap) { m.Brk = at }, unix.EINVAL},
			{"an auxiliary vector that is too long", func(m *abi.PrctlMMMap) { m.AuxvSize = 400 }, unix.EINVAL},
			{"an auxiliary vector at a bad address", func(m *abi.PrctlMMMap) { m.Auxv = 8 }, unix.EFAULT},
			{"another executable", func(m *abi.PrctlMMMap) { m.ExeFD = 0 }, unix.EPERM},
		} {
			m := good
			c.change(&m)
			if err := abi.CopyOut(tk, at, m); err != nil {
				t.Fatal(err)
			}
			if _, err := invoke(tk, sysPrctl, unix.PR_SET_MM, unix.PR_SET_MM_MAP, at, uint64(len(abi.Bytes(&m))), 0); err != c.want {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
		if heap := tk.MM.Heap(); heap != (mm.Heap{Start: at + 16, End: at + 32}) {
			t.Errorf("the heap is %+v", heap)
		}
		if n := len(tk.Program().Auxv); n != auxvSize {
			t.Errorf("the auxiliary vector has %d bytes", n)
		}
		if _, err := invoke(tk, sysPrctl, unix.PR_SET_MM, unix.PR_SET_MM_MAP_SIZE, at, 0, 0); err != nil {
			t.Error(err)
		}
		if size, _ := abi.CopyIn[uint32](tk, at); size != 104 {
			t.Errorf("PR_SET_MM_MAP_SIZE is %d", size)
		}
	})
}
