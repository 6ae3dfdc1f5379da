package gdbstub

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// ErrFormat is wrapped by the errors about packets that are not what the
// protocol allows.
var ErrFormat = errors.New("the gdb stub broke the protocol")

// maxPacket bounds the payload of a packet: QEMU's own limit is 4096.
const maxPacket = 64 << 10

// The bytes with a meaning in the framing (GDB manual, E.1 Overview).
const (
	packetStart  = '$'
	packetEnd    = '#'
	escape       = '}'
	escapeFlip   = 0x20
	repeat       = '*'
	repeatOffset = 29 // a repeat count n is sent as the character n+29
	acknowledge  = '+'
	again        = '-'
)

const hexDigits = "0123456789abcdef"

// frame returns a payload as a packet: $payload#checksum, with the bytes
// escaped that the framing itself uses.
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

// readPacket returns the payload of the next packet, with escapes and repeats
// undone. Acknowledgements before it are skipped: the stream is reliable. It
// fails with ErrFormat for a packet that is none or whose checksum is wrong,
// and with the stream's error when that ends.
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
		if err := p.take(b); err != nil {
			return "", err
		}
	}
	return p.finish(in)
}

// skipToPacket reads on to where a payload begins.
func skipToPacket(in *bufio.Reader) error {
	for {
		b, err := in.ReadByte()
		switch {
		case err != nil:
			return err
		case b == packetStart:
			return nil
		case b == again:
			return fmt.Errorf("%w: it wants a packet again", ErrFormat)
		case b != acknowledge:
			return fmt.Errorf("%w: %#x comes where a packet begins", ErrFormat, b)
		}
	}
}

// packetBody is what has been read of a packet between its $ and its #.
type packetBody struct {
	payload   []byte
	sum       byte
	escaped   bool
	repeating bool
}

// take takes the next byte.
func (p *packetBody) take(b byte) error {
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
		return fmt.Errorf("%w: a packet begins within a packet", ErrFormat)
	default:
		p.payload = append(p.payload, b)
	}
	return p.checkLength()
}

// repeatLast repeats the last byte as often as the count says.
func (p *packetBody) repeatLast(count byte) error {
	if len(p.payload) == 0 || count < ' ' || count > '~' {
		return fmt.Errorf("%w: the repeat count %#x repeats nothing", ErrFormat, count)
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
		return "", fmt.Errorf("%w: a packet ends within an escape", ErrFormat)
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
		return "", fmt.Errorf("%w: the checksum of a packet is %#x, its bytes make %#x", ErrFormat, sum[0], p.sum)
	}
	return string(p.payload), nil
}

// unexpected makes the end of the stream within a packet an error.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
