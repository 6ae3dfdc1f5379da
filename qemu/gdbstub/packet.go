package gdbstub

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// ErrFormat is wrapped by errors about packets that violate the protocol.
var ErrFormat = errors.New("the gdb stub broke the protocol")

// maxPacket is the maximum length of a payload in bytes. QEMU's own limit is 4096.
const maxPacket = 64 << 10

// The special bytes of the framing (GDB manual, E.1 Overview).
const (
	packetStart  = '$'
	packetEnd    = '#'
	escape       = '}'
	escapeFlip   = 0x20
	repeat       = '*'
	repeatOffset = 29 // a repeat count n is sent as the character n+29
	acknowledge  = '+'
	resend       = '-'
)

const hexDigits = "0123456789abcdef"

// frame returns a payload as a packet, $payload#checksum, with special bytes
// escaped.
func frame(payload string) []byte {
	out := append(make([]byte, 0, len(payload)+4), packetStart)
	sum := byte(0)
	put := func(b byte) {
		out = append(out, b)
		sum += b
	}
	for i := range len(payload) {
		switch b := payload[i]; b {
		case packetStart, packetEnd, escape, repeat:
			put(escape)
			put(b ^ escapeFlip)
		default:
			put(b)
		}
	}
	return append(out, packetEnd, hexDigits[sum>>4], hexDigits[sum&15])
}

// readPacket returns the payload of the next packet with escapes and run-length
// encoding decoded. It skips acknowledgements, because the stream is reliable. It
// fails with ErrFormat for a malformed packet or a wrong checksum, and with the
// stream's error at its end.
func readPacket(in *bufio.Reader) (string, error) {
	if err := skipToPacket(in); err != nil {
		return "", err
	}
	var p packetBody
	for {
		b, err := in.ReadByte()
		if err != nil {
			return "", unexpected(err)
		}
		if b == packetEnd {
			break
		}
		if err := p.add(b); err != nil {
			return "", err
		}
	}
	return p.finish(in)
}

// skipToPacket reads up to the start of a payload.
func skipToPacket(in *bufio.Reader) error {
	for {
		b, err := in.ReadByte()
		switch {
		case err != nil:
			return err
		case b == packetStart:
			return nil
		case b == resend:
			return fmt.Errorf("%w: it requests retransmission on a reliable stream", ErrFormat)
		case b != acknowledge:
			return fmt.Errorf("%w: %#x is not the start of a packet", ErrFormat, b)
		}
	}
}

// packetBody is the part of a packet between $ and # that has been read.
type packetBody struct {
	payload   []byte
	sum       byte
	escaped   bool
	repeating bool
}

// add decodes the next byte.
func (p *packetBody) add(b byte) error {
	p.sum += b
	switch {
	case p.escaped:
		p.escaped = false
		p.payload = append(p.payload, b^escapeFlip)
	case p.repeating:
		p.repeating = false
		return p.repeatLast(b)
	case b == escape:
		p.escaped = true
	case b == repeat:
		p.repeating = true
	case b == packetStart:
		return fmt.Errorf("%w: a packet starts inside a packet", ErrFormat)
	default:
		p.payload = append(p.payload, b)
	}
	return p.checkLength()
}

// repeatLast repeats the last byte; count is the repeat count plus repeatOffset.
func (p *packetBody) repeatLast(count byte) error {
	if len(p.payload) == 0 || count < ' ' || count > '~' {
		return fmt.Errorf("%w: the repeat count %#x is not valid or follows no byte", ErrFormat, count)
	}
	last := p.payload[len(p.payload)-1]
	for range count - repeatOffset {
		p.payload = append(p.payload, last)
	}
	return p.checkLength()
}

func (p *packetBody) checkLength() error {
	if len(p.payload) > maxPacket {
		return fmt.Errorf("%w: a packet has more than %d bytes", ErrFormat, maxPacket)
	}
	return nil
}

// finish reads the checksum and compares it.
func (p *packetBody) finish(in *bufio.Reader) (string, error) {
	if p.escaped || p.repeating {
		return "", fmt.Errorf("%w: a packet ends inside an escape sequence", ErrFormat)
	}
	var digits [2]byte
	if _, err := io.ReadFull(in, digits[:]); err != nil {
		return "", unexpected(err)
	}
	sum, err := decodeHex(string(digits[:]))
	if err != nil {
		return "", err
	}
	if sum[0] != p.sum {
		return "", fmt.Errorf("%w: the checksum of a packet is %#x, but its bytes have %#x", ErrFormat, sum[0], p.sum)
	}
	return string(p.payload), nil
}

// unexpected turns io.EOF into io.ErrUnexpectedEOF, for the end of the stream
// inside a packet.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
