// Package hostlink is the framed protocol between the kernel and the host command.
// It runs over one byte stream: a virtio port or a serial port.
//
// A frame is a header of four bytes and a payload. The header has the kind in one
// byte and the length of the payload in three little-endian bytes. There are no
// checksums and no resynchronisation: the stream is reliable, and a violation of
// the format is a permanent error.
//
// The program's output travels in [Stdout] and [Stderr] frames. It needs no flow
// control: if the host stops reading, the guest's writer blocks. The opposite
// direction has flow control, because a program that does not read its input must
// not delay a window size change. The host sends bytes of [Stdin] only up to the
// credit that the guest has granted with [StdinCredit].
package hostlink

import (
	"errors"
	"fmt"
)

// Version is the protocol's version in the [Hello] frame. The host refuses a kernel
// with another version.
const Version = 4

// MaxPayload is the maximum payload of a frame in bytes. It limits the memory that a
// hostile peer can make a [Reader] allocate.
const MaxPayload = 64 << 10

// headerSize is the size of a frame's header in bytes.
const headerSize = 4

// Kind is the type of a frame.
type Kind uint8

// The kinds of frames. Those from the guest come first.
const (
	// Hello is the guest's first frame. The payload is the version.
	Hello Kind = iota + 1
	// Stdout carries bytes that the program wrote to its standard output.
	Stdout
	// Stderr carries bytes that the program wrote to its standard error.
	Stderr
	// StdinCredit allows the host to send more bytes of Stdin. The payload is
	// their number.
	StdinCredit
	// Exit is the guest's last frame. The payload is the program's status.
	Exit
	// Log carries one line of the kernel's log, without a line end.
	Log
	// Visits carries records of tasks' visits to the kernel, in the encoding
	// of package entry.
	Visits
	// Core carries bytes of a core file: the offset in the file in eight bytes, and
	// the bytes at that offset. What no frame has is zero. Without bytes the offset
	// is the size of the file.
	Core
	// Probes carries a batch of records of probes, in the encoding of package
	// probespec.
	Probes
	// Calls carries a batch of records of system calls, in the encoding of package
	// tracespec.
	Calls

	// Stdin carries bytes for the program's standard input.
	Stdin
	// StdinEOF reports the end of standard input.
	StdinEOF
	// WindowSize carries the rows and columns of the host's terminal.
	WindowSize
	// Signal requests a signal to the program's process group.
	Signal

	kindEnd
)

// ErrFormat is wrapped by the errors about a stream that violates the protocol. The
// stream cannot be used afterwards.
var ErrFormat = errors.New("the stream between the kernel and the host breaks the protocol")

// kindNames has the names of the kinds.
var kindNames = [kindEnd]string{
	Hello: "Hello", Stdout: "Stdout", Stderr: "Stderr", StdinCredit: "StdinCredit", Exit: "Exit", Log: "Log", Visits: "Visits", Core: "Core", Probes: "Probes", Calls: "Calls",
	Stdin: "Stdin", StdinEOF: "StdinEOF", WindowSize: "WindowSize", Signal: "Signal",
}

// String returns the name of the kind.
func (k Kind) String() string {
	if k.known() {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// known reports whether the protocol has the kind.
func (k Kind) known() bool { return k >= Hello && k < kindEnd }

// Outcome is the way in which the program ended.
type Outcome uint8

// The ways a program can end.
const (
	// Exited means that the program exited. The value is its exit code.
	Exited Outcome = iota + 1
	// Signaled means that a signal killed it. The value is the signal number.
	Signaled
	// NotStarted means that the kernel could not start it. The value is the
	// errno that execve would have returned.
	NotStarted

	outcomeEnd
)

// Status is the payload of an [Exit] frame.
type Status struct {
	Outcome Outcome
	Value   uint32 // exit code, signal or errno, depending on Outcome
}

// TerminalSize is the payload of a [WindowSize] frame, in characters.
type TerminalSize struct {
	Rows, Columns uint16
}
