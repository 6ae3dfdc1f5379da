// Package hostlink is the framed protocol between the kernel and the host
// command, spoken over one byte stream: a virtio port, or a serial port.
//
// A frame is a header of four bytes, the kind and the length of the payload
// as three little-endian bytes, and then the payload. There are no checksums
// and no resynchronisation: the stream is reliable, and a peer that breaks the
// format has failed for good.
//
// What the program writes travels as [Stdout] and [Stderr] frames and needs no
// flow control of its own: a host that stops reading makes the guest's writer
// wait. The other direction does need it, because a program that never reads
// its input must not hold up a window size change: the host sends a byte of
// [Stdin] only against credit that the guest has granted with [StdinCredit].
package hostlink

import (
	"errors"
	"fmt"
)

// Version is the protocol's version, sent in the [Hello] frame. The host
// refuses a kernel that speaks another one.
const Version = 1

// MaxPayload is the greatest payload of one frame in bytes. It bounds what a
// hostile peer can make a [Reader] hold in memory.
const MaxPayload = 64 << 10

// headerSize is the length of a frame's header in bytes.
const headerSize = 4

// Kind says what a frame means.
type Kind uint8

// The kinds of frames. Those from the guest come first.
const (
	// Hello is the guest's first frame; its payload is the version.
	Hello Kind = iota + 1
	// Stdout carries bytes that the program wrote to its standard output.
	Stdout
	// Stderr carries bytes that the program wrote to its standard error.
	Stderr
	// StdinCredit allows the host to send that many more bytes of Stdin.
	StdinCredit
	// Exit says how the program ended; it is the guest's last frame.
	Exit
	// Log carries one line of the kernel's log, without a line end.
	Log
	// Visits carries records of what the kernel did between user mode and
	// user mode; their form is package entry's.
	Visits

	// Stdin carries bytes for the program's standard input.
	Stdin
	// StdinEOF says that the standard input has ended.
	StdinEOF
	// WindowSize carries the rows and columns of the host's terminal.
	WindowSize
	// Signal asks the guest to send a signal to the program's process group.
	Signal

	kindEnd
)

// ErrFormat is the error, found with [errors.Is], of a stream that breaks the
// protocol. The stream cannot be used after it.
var ErrFormat = errors.New("the stream between the kernel and the host breaks the protocol")

// kindNames holds the names that String gives.
var kindNames = [kindEnd]string{
	Hello: "Hello", Stdout: "Stdout", Stderr: "Stderr", StdinCredit: "StdinCredit", Exit: "Exit", Log: "Log", Visits: "Visits",
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

// Outcome says how the program came to its end.
type Outcome uint8

// The ways a program can end.
const (
	// Exited means that the program called exit; the value is its exit code.
	Exited Outcome = iota + 1
	// Signaled means that a signal killed it; the value is the signal's number.
	Signaled
	// NotStarted means that the kernel could not start it; the value is the
	// errno that execve would have returned.
	NotStarted

	outcomeEnd
)

// Status is the payload of an [Exit] frame.
type Status struct {
	Outcome Outcome
	Value   uint32 // exit code, signal or errno, by Outcome
}

// TerminalSize is the payload of a [WindowSize] frame.
type TerminalSize struct {
	Rows, Columns uint16
}
