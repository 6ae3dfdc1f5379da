package integration

import (
	"os"
	"syscall"
)

// signalOf returns the signal that ended a process.
func signalOf(state *os.ProcessState) syscall.Signal {
	return state.Sys().(syscall.WaitStatus).Signal()
}
