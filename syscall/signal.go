package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/signal"
	"slowpath/task"
)

// signalCalls send, handle and receive signals.
var signalCalls = []Row{
	{Number: unix.SYS_RT_SIGACTION, Name: "rt_sigaction", Arguments: args(Signal, Pointer, Pointer, Uint), Handler: sysSigaction},
	{Number: unix.SYS_RT_SIGPROCMASK, Name: "rt_sigprocmask", Arguments: args(Int, Pointer, Pointer, Uint), Handler: sysSigprocmask},
	{Number: unix.SYS_RT_SIGPENDING, Name: "rt_sigpending", Arguments: args(Pointer, Uint), Handler: sysSigpending},
	{Number: unix.SYS_RT_SIGRETURN, Name: "rt_sigreturn", FrameHandler: sysSigreturn},
	{Number: unix.SYS_RT_SIGSUSPEND, Name: "rt_sigsuspend", Arguments: args(Pointer, Uint), Handler: sysSigsuspend},
	{Number: unix.SYS_PAUSE, Name: "pause", Handler: sysPause},
	{Number: unix.SYS_RT_SIGTIMEDWAIT, Name: "rt_sigtimedwait", Arguments: args(Pointer, Pointer, Pointer, Uint), Handler: sysSigtimedwait},
	{Number: unix.SYS_SIGALTSTACK, Name: "sigaltstack", Arguments: args(Pointer, Pointer), FrameHandler: sysSigaltstack},
	{Number: unix.SYS_KILL, Name: "kill", Arguments: args(PID, Signal), Handler: sysKill},
	{Number: unix.SYS_TKILL, Name: "tkill", Arguments: args(PID, Signal), Handler: sysTkill},
	{Number: unix.SYS_TGKILL, Name: "tgkill", Arguments: args(PID, PID, Signal), Handler: sysTgkill},
	{Number: unix.SYS_RT_SIGQUEUEINFO, Name: "rt_sigqueueinfo", Arguments: args(PID, Signal, Pointer), Handler: sysSigqueueinfo},
	{Number: unix.SYS_RT_TGSIGQUEUEINFO, Name: "rt_tgsigqueueinfo", Arguments: args(PID, PID, Signal, Pointer), Handler: sysTgsigqueueinfo},
	{Number: unix.SYS_PIDFD_SEND_SIGNAL, Name: "pidfd_send_signal", Arguments: args(FD, Signal, Pointer, Hex), Handler: sysPidfdSendSignal},
	{Number: unix.SYS_SIGNALFD, Name: "signalfd", Arguments: args(FD, Pointer, Uint), Handler: sysSignalfd, Partial: signalfdPartial},
	{Number: unix.SYS_SIGNALFD4, Name: "signalfd4", Arguments: args(FD, Pointer, Uint, Hex), Handler: sysSignalfd4, Partial: signalfdPartial},
	{Number: unix.SYS_RESTART_SYSCALL, Name: "restart_syscall", Handler: sysRestart},
}

const signalfdPartial = "A descriptor reads the signals of the process that created it, even in a child that has inherited it."

func sysSigaction(t *task.Task, a *amd64.Args) (uint64, error) {
	s := signal.Signal(int32(a[0]))
	if a[3] != signal.SetSize || !signal.Valid(s) || a[1] != 0 && signal.Unblockable.Has(s) {
		return 0, unix.EINVAL
	}
	old := t.Group().Actions().Get(s)
	if a[1] != 0 {
		next, err := copyInAction(t, a[1])
		if err != nil {
			return 0, err
		}
		if old, err = t.SetAction(s, next); err != nil {
			return 0, err
		}
	}
	if a[2] == 0 {
		return 0, nil
	}
	return 0, copyOutAction(t, a[2], &old)
}

// copyInAction reads a struct sigaction. The ABI of the call decides which code the handler
// is (signal.SA_IA32_ABI).
func copyInAction(t *task.Task, address uint64) (signal.Action, error) {
	if t.Layout.Narrow() {
		s, err := abi.CopyIn[compat.Sigaction](t, address)
		return signal.ActionOf32(&s), err
	}
	s, err := abi.CopyIn[abi.Sigaction](t, address)
	return signal.ActionOf(&s), err
}

// copyOutAction writes a struct sigaction.
func copyOutAction(t *task.Task, address uint64, action *signal.Action) error {
	if t.Layout.Narrow() {
		return abi.CopyOut(t, address, action.Sigaction32())
	}
	return abi.CopyOut(t, address, action.Sigaction())
}

// copyOutInfo writes a siginfo_t.
func copyOutInfo(t *task.Task, address uint64, info *signal.Info) error {
	if t.Layout.Narrow() {
		return abi.CopyOut(t, address, info.Siginfo32())
	}
	return abi.CopyOut(t, address, info.Siginfo())
}

// copyInInfo reads a siginfo_t.
func copyInInfo(t *task.Task, address uint64) (signal.Info, error) {
	if t.Layout.Narrow() {
		s, err := abi.CopyIn[compat.Siginfo](t, address)
		return signal.InfoOf32(&s), err
	}
	s, err := abi.CopyIn[abi.Siginfo](t, address)
	return signal.InfoOf(&s), err
}

// loadSet reads a signal set. Errors: EFAULT, EINVAL for a size other than
// SetSize.
func loadSet(t *task.Task, address, size uint64) (signal.Set, error) {
	if size != signal.SetSize {
		return 0, unix.EINVAL
	}
	return abi.CopyIn[signal.Set](t, address)
}

func sysSigprocmask(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[3] != signal.SetSize {
		return 0, unix.EINVAL
	}
	old := t.OwnBlocked()
	if a[1] != 0 {
		set, err := loadSet(t, a[1], a[3])
		if err != nil {
			return 0, err
		}
		if set, err = changedMask(int32(a[0]), old, set); err != nil {
			return 0, err
		}
		t.SetBlocked(set)
	}
	if a[2] == 0 {
		return 0, nil
	}
	return 0, abi.CopyOut(t, a[2], old)
}

// changedMask returns the mask after a change of sigprocmask(2): EINVAL for an unknown how.
func changedMask(how int32, old, set signal.Set) (signal.Set, error) {
	switch how {
	case unix.SIG_BLOCK:
		return old | set, nil
	case unix.SIG_UNBLOCK:
		return old &^ set, nil
	case unix.SIG_SETMASK:
		return set, nil
	}
	return 0, unix.EINVAL
}

func sysSigpending(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[1] > signal.SetSize {
		return 0, unix.EINVAL
	}
	all, _ := t.Pending()
	pending := all & t.Blocked()
	return 0, t.CopyOut(a[0], abi.Bytes(&pending)[:a[1]])
}

func sysSigreturn(t *task.Task, f *amd64.Frame, _ *amd64.Args) (uint64, error) {
	t.SignalReturn(f, signal.Pop)
	return f.RAX, nil
}

func sysSigsuspend(t *task.Task, a *amd64.Args) (uint64, error) {
	set, err := loadSet(t, a[0], a[1])
	if err != nil {
		return 0, err
	}
	return 0, t.Suspend(set)
}

func sysPause(t *task.Task, a *amd64.Args) (uint64, error) { return 0, t.Pause() }

func sysSigtimedwait(t *task.Task, a *amd64.Args) (uint64, error) {
	set, err := loadSet(t, a[0], a[3])
	if err != nil {
		return 0, err
	}
	deadline := int64(0)
	if a[2] != 0 {
		timeout, err := loadTimespec(t, a[2])
		if err != nil {
			return 0, err
		}
		deadline = after(clock.Monotonic(), timeout)
	}
	info, err := t.WaitSignal(set, deadline)
	if err != nil {
		return 0, err
	}
	if a[1] != 0 {
		if err := copyOutInfo(t, a[1], &info); err != nil {
			return 0, err
		}
	}
	return uint64(info.Signo), nil
}

func sysSigaltstack(t *task.Task, f *amd64.Frame, a *amd64.Args) (uint64, error) {
	old := t.AltStack
	if a[0] != 0 {
		next, err := load(t, t.Layout.Narrow(), a[0], func(n compat.Stack) abi.Stack {
			return abi.Stack{SP: uint64(n.SP), Flags: n.Flags, Size: uint64(n.Size)}
		})
		if err != nil {
			return 0, err
		}
		if err := t.AltStack.Set(signal.AltStackOf(&next), f.RSP, signal.MinStackSize); err != nil {
			return 0, err
		}
	}
	if a[1] == 0 {
		return 0, nil
	}
	return 0, store(t, t.Layout.Narrow(), a[1], old.Stack(f.RSP), func(v abi.Stack) compat.Stack {
		return compat.Stack{SP: uint32(v.SP), Flags: v.Flags, Size: uint32(v.Size)}
	})
}

func sysKill(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, t.Kill(int(int32(a[0])), signal.Signal(int32(a[1])))
}

func sysTkill(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, t.KillThread(0, int(int32(a[0])), signal.Signal(int32(a[1])))
}

func sysTgkill(t *task.Task, a *amd64.Args) (uint64, error) {
	if int32(a[0]) <= 0 {
		return 0, unix.EINVAL
	}
	return 0, t.KillThread(int(int32(a[0])), int(int32(a[1])), signal.Signal(int32(a[2])))
}

// loadInfo reads a siginfo_t that a program sends. The signal is number, not
// the one in the structure.
func loadInfo(t *task.Task, address uint64, number int32) (signal.Info, error) {
	info, err := copyInInfo(t, address)
	info.Signo = signal.Signal(number)
	return info, err
}

func sysSigqueueinfo(t *task.Task, a *amd64.Args) (uint64, error) {
	info, err := loadInfo(t, a[2], int32(a[1]))
	if err != nil {
		return 0, err
	}
	return 0, t.QueueInfo(int(int32(a[0])), info)
}

func sysTgsigqueueinfo(t *task.Task, a *amd64.Args) (uint64, error) {
	info, err := loadInfo(t, a[3], int32(a[2]))
	if err != nil {
		return 0, err
	}
	return 0, t.QueueThreadInfo(int(int32(a[0])), int(int32(a[1])), info)
}

func sysPidfdSendSignal(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[3] != 0 {
		return 0, unix.EINVAL
	}
	group, err := t.GroupToSignal(int(int32(a[0])))
	if err != nil {
		return 0, err
	}
	var info *signal.Info
	if a[2] != 0 {
		given, err := loadInfo(t, a[2], int32(a[1]))
		if err != nil {
			return 0, err
		}
		info = &given
	}
	return 0, t.SignalGroup(group, signal.Signal(int32(a[1])), info)
}

func sysSignalfd(t *task.Task, a *amd64.Args) (uint64, error) {
	return signalfd(t, a, 0)
}

func sysSignalfd4(t *task.Task, a *amd64.Args) (uint64, error) {
	return signalfd(t, a, int(uint32(a[3])))
}

func signalfd(t *task.Task, a *amd64.Args, flags int) (uint64, error) {
	if flags&^(unix.SFD_CLOEXEC|unix.SFD_NONBLOCK) != 0 {
		return 0, unix.EINVAL
	}
	set, err := loadSet(t, a[1], a[2])
	if err != nil {
		return 0, err
	}
	fd, err := t.SignalFD(int(int32(a[0])), set, flags)
	return uint64(fd), err
}

func sysRestart(t *task.Task, a *amd64.Args) (uint64, error) { return t.Restart.Resume(t) }
