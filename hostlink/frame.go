package hostlink

import (
	"encoding/binary"
	"fmt"
)

// Frame is one message. The payload belongs to the [Reader] that returned it
// and is valid until that reader's next call. The methods that decode it fail
// with an error that wraps [ErrFormat] if it is of another kind or malformed.
type Frame struct {
	Kind    Kind
	Payload []byte
}

// payloadSizes gives the exact payload length of the kinds that have a fixed
// one, plus one; zero means any length up to MaxPayload.
var payloadSizes = [kindEnd]int{
	Hello: 2 + 1, StdinCredit: 4 + 1, Exit: 5 + 1, StdinEOF: 0 + 1, WindowSize: 4 + 1, Signal: 1 + 1,
}

// checkHeader reports whether a frame of this kind may have this length.
func checkHeader(kind Kind, length int) error {
	if !kind.known() {
		return fmt.Errorf("%w: it has a frame of the unknown kind %d", ErrFormat, uint8(kind))
	}
	if length > MaxPayload {
		return fmt.Errorf("%w: a %v frame announces %d bytes, more than %d", ErrFormat, kind, length, MaxPayload)
	}
	if want := payloadSizes[kind]; want != 0 && length != want-1 {
		return fmt.Errorf("%w: a %v frame has %d bytes instead of %d", ErrFormat, kind, length, want-1)
	}
	return nil
}

// check reports whether the frame has the kind that a decoding method is for,
// and that kind's length: a frame that was put together by hand, not by a
// Reader, may have another.
func (f Frame) check(kind Kind) error {
	if f.Kind != kind {
		return fmt.Errorf("%w: a %v frame came where a %v frame belongs", ErrFormat, f.Kind, kind)
	}
	return checkHeader(f.Kind, len(f.Payload))
}

// Version decodes a [Hello] frame.
func (f Frame) Version() (uint16, error) {
	if err := f.check(Hello); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint16(f.Payload), nil
}

// Credit decodes a [StdinCredit] frame and returns the bytes it grants.
func (f Frame) Credit() (uint32, error) {
	if err := f.check(StdinCredit); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(f.Payload), nil
}

// Status decodes an [Exit] frame.
func (f Frame) Status() (Status, error) {
	if err := f.check(Exit); err != nil {
		return Status{}, err
	}
	s := Status{Outcome: Outcome(f.Payload[0]), Value: binary.LittleEndian.Uint32(f.Payload[1:])}
	if s.Outcome < Exited || s.Outcome >= outcomeEnd {
		return Status{}, fmt.Errorf("%w: an Exit frame has the unknown outcome %d", ErrFormat, f.Payload[0])
	}
	return s, nil
}

// TerminalSize decodes a [WindowSize] frame.
func (f Frame) TerminalSize() (TerminalSize, error) {
	if err := f.check(WindowSize); err != nil {
		return TerminalSize{}, err
	}
	return TerminalSize{
		Rows:    binary.LittleEndian.Uint16(f.Payload),
		Columns: binary.LittleEndian.Uint16(f.Payload[2:]),
	}, nil
}

// Signal decodes a [Signal] frame and returns the signal's number.
func (f Frame) Signal() (uint8, error) {
	if err := f.check(Signal); err != nil {
		return 0, err
	}
	return f.Payload[0], nil
}
