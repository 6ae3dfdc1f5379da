package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/mm"
	"slowpath/perf"
	"slowpath/signal"
	"slowpath/task"
)

// attributeCalls get and set attributes of a task by an option number.
var attributeCalls = []Row{
	{Number: unix.SYS_PRCTL, Name: "prctl", Arguments: args(Int, Hex, Hex, Hex, Hex), Handler: sysPrctl,
		Partial: "PR_SET_MM cannot change the executable. The options for other architectures or missing hardware fail with EINVAL."},
	{Number: unix.SYS_ARCH_PRCTL, Name: "arch_prctl", Arguments: args(Hex, Pointer), FrameHandler: sysArchPrctl,
		Partial: "CPUID cannot be made to fault, and there are no dynamic XSAVE features."},
	{Number: unix.SYS_PERSONALITY, Name: "personality", Arguments: args(Hex), Handler: sysPersonality,
		Partial: "Of the flags only ADDR_NO_RANDOMIZE has an effect."},
}

// prctlOptions has the handler of each supported option of prctl(2), by the
// option's number.
var prctlOptions = [...]Handler{
	unix.PR_SET_PDEATHSIG:            prSetPdeathsig,
	unix.PR_GET_PDEATHSIG:            prGetPdeathsig,
	unix.PR_GET_DUMPABLE:             prGetDumpable,
	unix.PR_SET_DUMPABLE:             prSetDumpable,
	unix.PR_GET_KEEPCAPS:             prGetKeepcaps,
	unix.PR_SET_KEEPCAPS:             prSetKeepcaps,
	unix.PR_SET_NAME:                 prSetName,
	unix.PR_TASK_PERF_EVENTS_ENABLE:  prPerf(perf.EnableOf),
	unix.PR_TASK_PERF_EVENTS_DISABLE: prPerf(perf.DisableOf),
	unix.PR_GET_NAME:                 prGetName,
	unix.PR_GET_SECCOMP:              prGetSeccomp,
	unix.PR_SET_SECCOMP:              prSetSeccomp,
	unix.PR_CAPBSET_READ:             prCapbsetRead,
	unix.PR_CAPBSET_DROP:             prCapbsetDrop,
	unix.PR_GET_TSC:                  prGetTSC,
	unix.PR_SET_TSC:                  prSetTSC,
	unix.PR_GET_SECUREBITS:           prGetSecurebits,
	unix.PR_SET_SECUREBITS:           prSetSecurebits,
	unix.PR_SET_MM:                   prSetMM,
	unix.PR_SET_TIMERSLACK:           prSetTimerslack,
	unix.PR_GET_TIMERSLACK:           prGetTimerslack,
	unix.PR_SET_CHILD_SUBREAPER:      prSetSubreaper,
	unix.PR_GET_CHILD_SUBREAPER:      prGetSubreaper,
	unix.PR_SET_NO_NEW_PRIVS:         prSetNoNewPrivs,
	unix.PR_GET_NO_NEW_PRIVS:         prGetNoNewPrivs,
	unix.PR_GET_TID_ADDRESS:          prGetTIDAddress,
	unix.PR_GET_THP_DISABLE:          prGetTHPDisable,
	unix.PR_CAP_AMBIENT:              prCapAmbient,

	unix.PR_SET_SYSCALL_USER_DISPATCH: prSetSyscallUserDispatch,
}

func sysPrctl(t *task.Task, a *amd64.Args) (uint64, error) {
	option := uint32(a[0])
	if option >= uint32(len(prctlOptions)) || prctlOptions[option] == nil {
		return 0, unix.EINVAL
	}
	return prctlOptions[option](t, a)
}

func prSetPdeathsig(t *task.Task, a *amd64.Args) (uint64, error) {
	s := signal.Signal(a[1])
	if a[1] != 0 && (a[1] > uint64(signal.Last) || !signal.Valid(s)) {
		return 0, unix.EINVAL
	}
	t.SetParentDeathSignal(s)
	return 0, nil
}

func prGetPdeathsig(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, abi.CopyOut(t, a[1], int32(t.ParentDeathSignal()))
}

// boolean returns 1 for true and 0 for false, as prctl(2) returns flags.
func boolean(on bool) uint64 {
	if on {
		return 1
	}
	return 0
}

func prGetDumpable(t *task.Task, a *amd64.Args) (uint64, error) { return uint64(t.Dumpable()), nil }

func prSetDumpable(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[1] > 1 {
		return 0, unix.EINVAL
	}
	t.SetDumpable(mm.Dumpable(a[1]))
	return 0, nil
}

// Securebits flags (capabilities(7)). The next higher bit of a flag locks it.
const (
	secureKeepCaps       = 1 << 4
	secureKeepCapsLocked = 1 << 5
	secureAll            = 0xff
	secureLocks          = 0xaa
)

func prGetKeepcaps(t *task.Task, a *amd64.Args) (uint64, error) {
	return boolean(t.Credentials().SecureBits&secureKeepCaps != 0), nil
}

func prSetKeepcaps(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[1] > 1 {
		return 0, unix.EINVAL
	}
	return 0, t.ChangeCredentials(func(c *cred.Credentials) error {
		if c.SecureBits&secureKeepCapsLocked != 0 {
			return unix.EPERM
		}
		c.SecureBits &^= secureKeepCaps
		if a[1] == 1 {
			c.SecureBits |= secureKeepCaps
		}
		return nil
	})
}

func prSetName(t *task.Task, a *amd64.Args) (uint64, error) {
	name, err := t.CopyInString(a[1], task.MaxComm+1)
	if err == unix.ENAMETOOLONG {
		var raw [task.MaxComm]byte
		err = t.CopyIn(a[1], raw[:])
		name = string(raw[:])
	}
	if err != nil {
		return 0, err
	}
	t.SetComm(name)
	perf.Renamed(t)
	return 0, nil
}

// prPerf returns the handler of an operation on the perf events of the caller.
func prPerf(set func(t *task.Task)) func(t *task.Task, _ *amd64.Args) (uint64, error) {
	return func(t *task.Task, _ *amd64.Args) (uint64, error) {
		set(t)
		return 0, nil
	}
}

func prGetName(t *task.Task, a *amd64.Args) (uint64, error) {
	var raw [task.MaxComm + 1]byte
	copy(raw[:], t.Comm())
	return 0, t.CopyOut(a[1], raw[:])
}

func capabilityOf(number uint64) (cred.Capability, error) {
	if number > uint64(cred.LastCapability) {
		return 0, unix.EINVAL
	}
	return cred.Capability(number), nil
}

func prCapbsetRead(t *task.Task, a *amd64.Args) (uint64, error) {
	k, err := capabilityOf(a[1])
	return boolean(err == nil && t.Credentials().Bounding.Has(k)), err
}

func prCapbsetDrop(t *task.Task, a *amd64.Args) (uint64, error) {
	if !t.Credentials().Has(cred.SetPCap) {
		return 0, unix.EPERM
	}
	k, err := capabilityOf(a[1])
	if err != nil {
		return 0, err
	}
	return 0, t.ChangeCredentials(func(c *cred.Credentials) error {
		c.Bounding = c.Bounding.Without(k)
		return nil
	})
}

func prGetTSC(t *task.Task, a *amd64.Args) (uint64, error) {
	mode := uint32(unix.PR_TSC_ENABLE)
	if t.Frame.TSCDenied() {
		mode = unix.PR_TSC_SIGSEGV
	}
	return 0, abi.CopyOut(t, a[1], mode)
}

func prSetTSC(t *task.Task, a *amd64.Args) (uint64, error) {
	switch a[1] {
	case unix.PR_TSC_ENABLE:
		t.Frame.DenyTSC(false)
	case unix.PR_TSC_SIGSEGV:
		t.Frame.DenyTSC(true)
	default:
		return 0, unix.EINVAL
	}
	return 0, nil
}

func prGetSecurebits(t *task.Task, a *amd64.Args) (uint64, error) {
	return uint64(t.Credentials().SecureBits), nil
}

func prSetSecurebits(t *task.Task, a *amd64.Args) (uint64, error) {
	next := uint32(a[1])
	return 0, t.ChangeCredentials(func(c *cred.Credentials) error {
		locked := c.SecureBits & secureLocks >> 1
		switch {
		case a[1]&^secureAll != 0,
			(c.SecureBits^next)&locked != 0,
			c.SecureBits&secureLocks&^next != 0,
			!c.Has(cred.SetPCap):
			return unix.EPERM
		}
		c.SecureBits = next
		return nil
	})
}

func prSetTimerslack(t *task.Task, a *amd64.Args) (uint64, error) {
	slack := a[1]
	if int64(slack) <= 0 {
		slack = 0 // the default
	}
	t.SetTimerSlack(slack)
	return 0, nil
}

func prGetTimerslack(t *task.Task, a *amd64.Args) (uint64, error) { return t.TimerSlack(), nil }

func prSetSubreaper(t *task.Task, a *amd64.Args) (uint64, error) {
	t.Group().SetSubreaper(a[1] != 0)
	return 0, nil
}

func prGetSubreaper(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, abi.CopyOut(t, a[1], int32(boolean(t.Group().Subreaper())))
}

func prSetNoNewPrivs(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[1] != 1 || a[2]|a[3]|a[4] != 0 {
		return 0, unix.EINVAL
	}
	t.SetNoNewPrivileges()
	return 0, nil
}

func prGetNoNewPrivs(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[1]|a[2]|a[3]|a[4] != 0 {
		return 0, unix.EINVAL
	}
	return boolean(t.NoNewPrivileges()), nil
}

func prGetTIDAddress(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, abi.CopyOut(t, a[1], t.ChildTID())
}

// prGetTHPDisable returns 0: there are no huge pages to disable.
func prGetTHPDisable(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[1]|a[2]|a[3]|a[4] != 0 {
		return 0, unix.EINVAL
	}
	return 0, nil
}

func prCapAmbient(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[1] == unix.PR_CAP_AMBIENT_CLEAR_ALL {
		if a[2]|a[3]|a[4] != 0 {
			return 0, unix.EINVAL
		}
		return 0, t.ChangeCredentials(func(c *cred.Credentials) error {
			c.Ambient = 0
			return nil
		})
	}
	k, err := capabilityOf(a[2])
	if err != nil || a[3]|a[4] != 0 {
		return 0, unix.EINVAL
	}
	switch a[1] {
	case unix.PR_CAP_AMBIENT_IS_SET:
		return boolean(t.Credentials().Ambient.Has(k)), nil
	case unix.PR_CAP_AMBIENT_RAISE:
		return 0, t.ChangeCredentials(func(c *cred.Credentials) error { return raiseAmbient(c, k) })
	case unix.PR_CAP_AMBIENT_LOWER:
		return 0, t.ChangeCredentials(func(c *cred.Credentials) error {
			c.Ambient = c.Ambient.Without(k)
			return nil
		})
	}
	return 0, unix.EINVAL
}

func raiseAmbient(c *cred.Credentials, k cred.Capability) error {
	const noAmbientRaise = 1 << 6 // SECBIT_NO_CAP_AMBIENT_RAISE
	if c.SecureBits&noAmbientRaise != 0 || !c.Permitted.Has(k) || !c.Inheritable.Has(k) {
		return unix.EPERM
	}
	c.Ambient = c.Ambient.With(k)
	return nil
}

// The codes of arch_prctl(2) for CPUID. Task.SegmentBase has the others.
const (
	archGetCPUID = 0x1011
	archSetCPUID = 0x1012
)

func sysArchPrctl(t *task.Task, _ *amd64.Frame, a *amd64.Args) (uint64, error) {
	switch uint32(a[0]) {
	case archGetCPUID:
		return 1, nil // CPUID does not fault
	case archSetCPUID:
		return 0, unix.ENODEV
	}
	if t.Layout.Narrow() {
		return 0, unix.EINVAL // the bases are those of 64-bit code
	}
	return 0, t.SegmentBase(t, uint64(uint32(a[0])), a[1])
}

func sysPersonality(t *task.Task, a *amd64.Args) (uint64, error) {
	return uint64(t.Personality(uint32(a[0]))), nil
}
