package hostlink

import (
	"encoding/binary"
	"fmt"
)

// Frame is one message. The payload belongs to the [Reader] that returned it and is
// valid until that Reader's next call. The decoding methods fail with an error that
// wraps [ErrFormat] if the frame has another kind or is malformed.
type Frame struct {
	Kind    Kind
	Payload []byte
}

// payloadSizes has the exact payload length plus one for the kinds with a fixed
// length. Zero means any length up to MaxPayload.
var payloadSizes = [kindEnd]int{
	Hello: 2 + 1, StdinCredit: 4 + 1, Exit: 5 + 1, StdinEOF: 0 + 1, WindowSize: 4 + 1, Signal: 1 + 1,
}

// checkHeader reports whether a frame of this kind may have this length.
func checkHeader(kind Kind, length int) error {
	if !kind.known() {
		return fmt.Errorf("%w: a frame has the unknown kind %d", ErrFormat, uint8(kind))
	}
	if length > MaxPayload {
		return fmt.Errorf("%w: a %v frame has a length of %d bytes, more than %d", ErrFormat, kind, length, MaxPayload)
	}
	if want := payloadSizes[kind]; want != 0 && length != want-1 {
		return fmt.Errorf("%w: a %v frame has %d bytes instead of %d", ErrFormat, kind, length, want-1)
	}
	return nil
}

// check checks that the frame has the given kind and a valid length. The length may be
// wrong if the frame does not come from a Reader.
func (f Frame) check(kind Kind) error {
	if f.Kind != kind {
		return fmt.Errorf("%w: received a %v frame instead of a %v frame", ErrFormat, f.Kind, kind)
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

// Credit decodes a [StdinCredit] frame and returns the number of bytes it grants.
func (f Frame) Credit() (uint32, error) {
	if err := f.check(StdinCredit); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(f.Payload), nil
}

// coreOffset is the size of the offset in a [Core] frame.
const coreOffset = 8

// CorePart decodes a [Core] frame: the bytes of a core file at an offset.
func (f Frame) CorePart() (offset int64, data []byte, err error) {
	if err := f.check(Core); err != nil {
		return 0, nil, err
	}
	if len(f.Payload) < coreOffset {
		return 0, nil, fmt.Errorf("%w: a Core frame has %d bytes, too few for an offset", ErrFormat, len(f.Payload))
	}
	if offset = int64(binary.LittleEndian.Uint64(f.Payload)); offset < 0 {
		return 0, nil, fmt.Errorf("%w: a Core frame has the offset %d", ErrFormat, offset)
	}
	return offset, f.Payload[coreOffset:], nil
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
