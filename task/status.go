package task

import (
	"strconv"

	"slowpath/signal"
)

// Status is how a process or a thread ended, in the format of wait4(2): the
// exit code in bits 8 to 15, or the signal in bits 0 to 6.
type Status uint32

// ExitStatus is the status of a call of exit with the given code.
func ExitStatus(code int) Status { return Status(code&0xff) << 8 }

// SignalStatus is the status of a process that s has ended.
func SignalStatus(s signal.Signal) Status { return Status(s) & 0x7f }

// stopStatus is what wait4(2) reports of a stopped process.
func stopStatus(s signal.Signal) Status { return Status(s)<<8 | 0x7f }

// continueStatus is what wait4(2) reports of a continued process.
const continueStatus Status = 0xffff

// Signal returns the signal that ended the process, or 0.
func (s Status) Signal() signal.Signal { return signal.Signal(s & 0x7f) }

// Code returns the exit code.
func (s Status) Code() int { return int(s >> 8 & 0xff) }

// childCode returns the CLD_ code and the si_status that describe the status.
func (s Status) childCode() (code int32, status int32) {
	if sig := s.Signal(); sig != 0 {
		return signal.CLD_KILLED, int32(sig)
	}
	return signal.CLD_EXITED, int32(s.Code())
}

// String describes the status for the kernel's log.
func (s Status) String() string {
	if sig := s.Signal(); sig != 0 {
		return "killed by " + signal.Name(sig)
	}
	return "exited with code " + itoa(s.Code())
}

func itoa(n int) string { return strconv.Itoa(n) }
