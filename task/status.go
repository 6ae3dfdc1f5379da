package task

import (
	"strconv"

	"slowpath/signal"
)

// Status is the exit status of a process or thread in the format of wait4(2):
// the exit code in bits 8 to 15, or the fatal signal in bits 0 to 6 and the core bit.
type Status uint32

// coreDumped is the core bit: the process has written a core file (WCOREDUMP).
const coreDumped Status = 0x80

// ExitStatus returns the status of exit(2) with the given code.
func ExitStatus(code int) Status { return Status(code&0xff) << 8 }

// SignalStatus returns the status of a process that s has killed.
func SignalStatus(s signal.Signal) Status { return Status(s) & 0x7f }

// stopStatus returns the status of a stopped process in wait4(2).
func stopStatus(s signal.Signal) Status { return Status(s)<<8 | 0x7f }

// continueStatus is the status of a continued process in wait4(2).
const continueStatus Status = 0xffff

// Signal returns the signal that killed the process, or 0.
func (s Status) Signal() signal.Signal { return signal.Signal(s & 0x7f) }

// Code returns the exit code.
func (s Status) Code() int { return int(s >> 8 & 0xff) }

// childCode returns si_code (CLD_) and si_status of the SIGCHLD.
func (s Status) childCode() (code int32, status int32) {
	switch sig := s.Signal(); {
	case s&coreDumped != 0:
		return signal.CLD_DUMPED, int32(sig)
	case sig != 0:
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
