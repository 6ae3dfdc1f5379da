package gdbstub

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func read(text string) (string, error) { return readPacket(bufio.NewReader(strings.NewReader(text))) }

func TestFrameEscapesSpecialBytes(t *testing.T) {
	for payload, want := range map[string]string{
		"":      "$#00",
		"g":     "$g#67",
		"OK":    "$OK#9a",
		"a#b$c": "$a}\x03b}\x04c#27",
		"}*":    "$}]}\n#61",
	} {
		if got := string(frame(payload)); got != want {
			t.Errorf("%q becomes %q, want %q", payload, got, want)
		}
	}
}

func TestReadPacketDecodesEscapesAndRepeats(t *testing.T) {
	for text, want := range map[string]string{
		"$OK#9a":      "OK",
		"++$OK#9a":    "OK",
		"$#00":        "",
		"$0* #7a":     "0000", // the manual's example: a space is a count of three
		"$a}\x03b#43": "a#b",
	} {
		if got, err := read(text); err != nil || got != want {
			t.Errorf("%q gives %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestReadPacketRefusesMalformedPackets(t *testing.T) {
	for text, want := range map[string]error{
		"":            io.EOF,
		"+":           io.EOF,
		"$OK":         io.ErrUnexpectedEOF,
		"$OK#9":       io.ErrUnexpectedEOF,
		"$OK#9b":      ErrFormat, // checksum
		"$OK#zz":      ErrFormat,
		"OK#9a":       ErrFormat, // no start
		"-$OK#9a":     ErrFormat, // request for retransmission
		"$* #4a":      ErrFormat, // nothing to repeat
		"$0*\x01#5b":  ErrFormat, // invalid count
		"$0*#5a":      ErrFormat, // ends inside a repeat
		"$a}#de":      ErrFormat,
		"$O$K#be":     ErrFormat,
		tooLong + "#": ErrFormat,
	} {
		if got, err := read(text); !errors.Is(err, want) {
			t.Errorf("%.20q gives %.20q, %v; want %v", text, got, err, want)
		}
	}
}

var tooLong = "$" + strings.Repeat("x", maxPacket+1)

// FuzzReadPacket checks that framing and reading a payload gives it back, and that
// repeat counts cannot exceed the maximum length.
func FuzzReadPacket(f *testing.F) {
	for _, seed := range []string{"$OK#9a", "+$0* #7a", "$a}\x03b#43", "$T05thread:01;#07", "$", "$*~#00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		payload, err := readPacket(bufio.NewReader(bytes.NewReader(text)))
		if err != nil {
			return
		}
		if len(payload) > maxPacket {
			t.Fatalf("a payload of %d bytes", len(payload))
		}
		if again, err := read(string(frame(payload))); err != nil || again != payload {
			t.Fatalf("%q, framed, gives %q, %v", payload, again, err)
		}
	})
}
