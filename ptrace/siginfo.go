package ptrace

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/signal"
	"slowpath/task"
)

// signalRequests read and change the signals of a tracee.
var signalRequests = map[int32]request{
	unix.PTRACE_GETSIGINFO:  {"GETSIGINFO", needsStopped, only(getSiginfo)},
	unix.PTRACE_SETSIGINFO:  {"SETSIGINFO", needsStopped, only(setSiginfo)},
	unix.PTRACE_PEEKSIGINFO: {"PEEKSIGINFO", needsStopped, peekSiginfo},
	unix.PTRACE_GETSIGMASK:  {"GETSIGMASK", needsStopped, only(getSignalMask)},
	unix.PTRACE_SETSIGMASK:  {"SETSIGMASK", needsStopped, only(setSignalMask)},
}

// siginfoSize is the size of siginfo_t in bytes.
const siginfoSize = 128

// userSignal returns the siginfo of a signal that t sends for its user.
func userSignal(t *task.Task, s signal.Signal) signal.Info {
	return signal.UserInfo(s, signal.SI_USER, t.PID(), t.Credentials().UID)
}

// getSiginfo stores the siginfo of the stop: EINVAL for the group stop of a tracee
// that was not seized.
func getSiginfo(c *call) error {
	stop := c.tracee.CurrentStop()
	if !stop.HasInfo() {
		return unix.EINVAL
	}
	info := stop.Siginfo(c.tracee)
	return c.copyOutSiginfo(c.data, &info)
}

// setSiginfo changes the siginfo of a signal that is about to be delivered. In other
// stops it changes only what getSiginfo returns.
func setSiginfo(c *call) error {
	info, err := abi.CopyIn[abi.Siginfo](c.tracer, c.data)
	if err != nil {
		return err
	}
	return changeSiginfo(c, signal.InfoOf(&info))
}

// changeSiginfo stores the siginfo of the stop: EINVAL if it has none.
func changeSiginfo(c *call, changed signal.Info) error {
	stop := c.tracee.CurrentStop()
	if !stop.HasInfo() {
		return unix.EINVAL
	}
	if stop.Info == nil {
		stop.Info = &changed
	} else {
		*stop.Info = changed
	}
	return nil
}

// peekArguments is struct ptrace_peeksiginfo_args (include/uapi/linux/ptrace.h).
type peekArguments struct {
	Offset uint64
	Flags  uint32
	Count  int32
}

// peekSiginfo copies pending signals to data without removing them, and returns
// their number.
func peekSiginfo(c *call) (uint64, error) {
	a, err := abi.CopyIn[peekArguments](c.tracer, c.addr)
	if err != nil {
		return 0, err
	}
	if a.Flags&^unix.PTRACE_PEEKSIGINFO_SHARED != 0 || a.Count < 0 {
		return 0, unix.EINVAL
	}
	queue := task.ThreadQueue
	if a.Flags&unix.PTRACE_PEEKSIGINFO_SHARED != 0 {
		queue = task.ProcessQueue
	}
	copied := uint64(0)
	for copied < uint64(a.Count) {
		info, found := c.tracee.PeekSignal(queue, a.Offset+copied)
		if !found {
			break
		}
		if err := c.copyOutSiginfo(c.data+copied*siginfoSize, &info); err != nil {
			if copied == 0 {
				return 0, err
			}
			break
		}
		if copied++; c.tracer.Interrupted() {
			break
		}
	}
	return copied, nil
}

// copyOutSiginfo stores a siginfo_t in the layout of the tracer's call. Its size is the same
// in both layouts. EFAULT.
func (c *call) copyOutSiginfo(address uint64, info *signal.Info) error {
	if c.tracer.Layout.Narrow() {
		return abi.CopyOut(c.tracer, address, info.Siginfo32())
	}
	return abi.CopyOut(c.tracer, address, info.Siginfo())
}

// maskSize is the size of a signal mask in bytes.
const maskSize = 8

func getSignalMask(c *call) error {
	if c.addr != maskSize {
		return unix.EINVAL
	}
	return abi.CopyOut(c.tracer, c.data, uint64(c.tracee.SignalMask()))
}

func setSignalMask(c *call) error {
	if c.addr != maskSize {
		return unix.EINVAL
	}
	mask, err := abi.CopyIn[uint64](c.tracer, c.data)
	if err != nil {
		return err
	}
	c.tracee.SetSignalMask(signal.Set(mask))
	return nil
}
