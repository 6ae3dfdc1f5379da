package syscall

import (
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs/fstest"
	"slowpath/mm"
	"slowpath/task"
)

// TestResultsAtNullFailAsOnLinux has the calls that store a result at an address, with
// the error of Linux 6.1 for a null pointer.
func TestResultsAtNullFailAsOnLinux(t *testing.T) {
	w := fstest.New(t, 1024)
	asTask(t, w, func(tk *task.Task) {
		memory, err := tk.MM.Mmap(mm.MapRequest{Length: testPage, Prot: mm.ProtRead | mm.ProtWrite, Flags: unix.MAP_PRIVATE})
		if err != nil {
			t.Fatal(err)
		}
		const header = 64
		abi.CopyOut(tk, memory+header, unix.CapUserHeader{Version: capabilityVersion3})
		for _, c := range []struct {
			name      string
			handler   Handler
			arguments []uint64
			want      error
		}{
			{"getrlimit", sysGetrlimit, []uint64{unix.RLIMIT_NOFILE, 0}, unix.EFAULT},
			{"getrlimit of no resource", sysGetrlimit, []uint64{99, 0}, unix.EINVAL},
			{"setrlimit", sysSetrlimit, []uint64{unix.RLIMIT_NOFILE, 0}, unix.EFAULT},
			{"prlimit64", sysPrlimit64, []uint64{0, unix.RLIMIT_NOFILE, 0, 0}, nil},
			{"getrusage", sysGetrusage, []uint64{0, 0}, unix.EFAULT},
			{"times", sysTimes, []uint64{0}, nil},
			{"time", sysTime, []uint64{0}, nil},
			{"uname", sysUname, []uint64{0}, unix.EFAULT},
			{"sysinfo", sysSysinfo, []uint64{0}, unix.EFAULT},
			{"getresuid", sysGetresuid, []uint64{memory, memory, 0}, unix.EFAULT},
			{"getresgid", sysGetresgid, []uint64{0, memory, memory}, unix.EFAULT},
			{"clock_gettime", sysClockGettime, []uint64{unix.CLOCK_MONOTONIC, 0}, unix.EFAULT},
			{"clock_getres", sysClockGetres, []uint64{unix.CLOCK_MONOTONIC, 0}, nil},
			{"clock_settime", sysClockSettime, []uint64{unix.CLOCK_REALTIME, 0}, unix.EFAULT},
			{"gettimeofday", sysGettimeofday, []uint64{0, 0}, nil},
			{"settimeofday", sysSettimeofday, []uint64{0, 0}, nil},
			{"settimeofday, bad zone", sysSettimeofday, []uint64{0, 8}, unix.EFAULT},
			{"nanosleep", sysNanosleep, []uint64{0, 0}, unix.EFAULT},
			{"getitimer", sysGetitimer, []uint64{0, 0}, unix.EFAULT},
			{"setitimer", sysSetitimer, []uint64{0, 0, 0}, nil},
			{"timer_create", sysTimerCreate, []uint64{unix.CLOCK_MONOTONIC, 0, 0}, unix.EFAULT},
			{"sched_getparam", sysSchedGetparam, []uint64{0, 0}, unix.EINVAL},
			{"sched_getparam of no thread", sysSchedGetparam, []uint64{99999, 0}, unix.EINVAL},
			{"sched_setparam", sysSchedSetparam, []uint64{0, 0}, unix.EINVAL},
			{"sched_rr_get_interval", sysSchedRRGetInterval, []uint64{0, 0}, unix.EFAULT},
			{"sched_getaffinity", sysSchedGetaffinity, []uint64{0, 8, 0}, unix.EFAULT},
			{"getcpu", sysGetcpu, []uint64{0, 0}, nil},
			{"rt_sigpending", sysSigpending, []uint64{0, 8}, unix.EFAULT},
			{"get_robust_list", sysGetRobustList, []uint64{0, memory, 0}, unix.EFAULT},
			{"capget, version only", sysCapget, []uint64{memory + header, 0}, nil},
			{"capget, no header", sysCapget, []uint64{0, 0}, unix.EFAULT},
			{"mincore", sysMincore, []uint64{memory, testPage, 0}, unix.EFAULT},
			{"getrandom", sysGetrandom, []uint64{0, 8, 0}, unix.EFAULT},
			{"PR_GET_NAME", sysPrctl, []uint64{unix.PR_GET_NAME, 0}, unix.EFAULT},
			{"PR_GET_PDEATHSIG", sysPrctl, []uint64{unix.PR_GET_PDEATHSIG, 0}, unix.EFAULT},
			{"PR_GET_TSC", sysPrctl, []uint64{unix.PR_GET_TSC, 0}, unix.EFAULT},
		} {
			if _, err := invoke(tk, c.handler, c.arguments...); err != c.want {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
	})
}

// TestWordsAtUnalignedAddressesAreRead: only futex words must be aligned.
func TestWordsAtUnalignedAddressesAreRead(t *testing.T) {
	w := fstest.New(t, 1024)
	asTask(t, w, func(tk *task.Task) {
		memory, err := tk.MM.Mmap(mm.MapRequest{Length: 2 * testPage, Prot: mm.ProtRead | mm.ProtWrite, Flags: unix.MAP_PRIVATE})
		if err != nil {
			t.Fatal(err)
		}
		across := memory + testPage - 3
		abi.CopyOut(tk, across, [2]uint32{5, 3})
		if _, err := invoke(tk, sysSetgroups, 2, across); err != nil {
			t.Errorf("setgroups with an unaligned list: %v", err)
		}
		if groups := tk.Credentials().Groups; len(groups) != 2 || groups[0] != 3 || groups[1] != 5 {
			t.Errorf("the groups are %v, want 3 and 5", groups)
		}
		abi.CopyOut(tk, across, uint32(0))
		if _, err := invoke(tk, sysSchedSetparam, 0, across); err != nil {
			t.Errorf("sched_setparam with an unaligned parameter: %v", err)
		}
		if _, err := invoke(tk, sysFutex, across, 1, 1); err != unix.EINVAL {
			t.Errorf("futex at an unaligned address: %v, want EINVAL", err)
		}
	})
}

// TestForcedBufferSizesNeedCapability: socket(7), SO_SNDBUFFORCE.
func TestForcedBufferSizesNeedCapability(t *testing.T) {
	w := fstest.New(t, 1024)
	asTask(t, w, func(tk *task.Task) {
		memory, err := tk.MM.Mmap(mm.MapRequest{Length: testPage, Prot: mm.ProtRead | mm.ProtWrite, Flags: unix.MAP_PRIVATE})
		if err != nil {
			t.Fatal(err)
		}
		abi.CopyOut(tk, memory, int32(8192))
		fd, err := invoke(tk, sysSocket, unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		force := func(name uint64) error {
			_, err := invoke(tk, sysSetsockopt, fd, unix.SOL_SOCKET, name, memory, 4)
			return err
		}
		for _, want := range []error{nil, unix.EPERM} {
			for _, name := range []uint64{unix.SO_SNDBUFFORCE, unix.SO_RCVBUFFORCE} {
				if err := force(name); err != want {
					t.Errorf("option %d: %v, want %v", name, err, want)
				}
			}
			tk.SetAllUIDs(1000, 1000, 1000)
		}
	})
}
