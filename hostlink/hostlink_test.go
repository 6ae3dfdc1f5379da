package hostlink

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

// collect returns all frames of a stream with copies of their payloads.
func collect(t *testing.T, r io.Reader) []Frame {
	t.Helper()
	var frames []Frame
	for reader := NewReader(r); ; {
		frame, err := reader.Next()
		if err == io.EOF {
			return frames
		}
		if err != nil {
			t.Fatal(err)
		}
		frame.Payload = bytes.Clone(frame.Payload)
		frames = append(frames, frame)
	}
}

func TestReaderReturnsTheFramesThatWriterWrote(t *testing.T) {
	var stream bytes.Buffer
	w := NewWriter(&stream)
	status := Status{Outcome: Signaled, Value: 9}
	size := TerminalSize{Rows: 25, Columns: 132}
	err := errors.Join(w.Hello(), w.Stdout([]byte("out")), w.Stderr([]byte("err")), w.StdinCredit(1<<31), w.Log([]byte("line")),
		w.Stdin([]byte{0, 255}), w.StdinEOF(), w.WindowSize(size), w.Signal(2), w.Exit(status))
	if err != nil {
		t.Fatal(err)
	}
	frames := collect(t, iotest.OneByteReader(&stream))
	if len(frames) != 10 {
		t.Fatalf("got %d frames, want 10", len(frames))
	}
	if v, err := frames[0].Version(); v != Version || err != nil {
		t.Errorf("Version is %d, %v", v, err)
	}
	for i, want := range map[int]string{1: "out", 2: "err", 4: "line", 5: "\x00\xff", 6: ""} {
		if got := string(frames[i].Payload); got != want {
			t.Errorf("the payload of %v is %q, want %q", frames[i].Kind, got, want)
		}
	}
	if n, err := frames[3].Credit(); n != 1<<31 || err != nil {
		t.Errorf("Credit is %d, %v", n, err)
	}
	if got, err := frames[7].TerminalSize(); got != size || err != nil {
		t.Errorf("TerminalSize is %v, %v", got, err)
	}
	if n, err := frames[8].Signal(); n != 2 || err != nil {
		t.Errorf("Signal is %d, %v", n, err)
	}
	if got, err := frames[9].Status(); got != status || err != nil {
		t.Errorf("Status is %v, %v", got, err)
	}
}

func TestCorePartsCarryOffsets(t *testing.T) {
	var stream bytes.Buffer
	w := NewWriter(&stream)
	w.Core(1<<40, []byte("part"))
	w.Core(1<<41, nil)
	frames := collect(t, &stream)
	if at, data, err := frames[0].CorePart(); at != 1<<40 || string(data) != "part" || err != nil {
		t.Errorf("the part is at %d: %q, %v", at, data, err)
	}
	if at, data, err := frames[1].CorePart(); at != 1<<41 || len(data) != 0 || err != nil {
		t.Errorf("the size is %d, %q, %v", at, data, err)
	}
}

func TestLongWritesAreSplit(t *testing.T) {
	var stream bytes.Buffer
	data := bytes.Repeat([]byte("0123456789"), MaxPayload/4)
	if err := NewWriter(&stream).Stdout(data); err != nil {
		t.Fatal(err)
	}
	var joined []byte
	for _, frame := range collect(t, &stream) {
		if frame.Kind != Stdout {
			t.Errorf("got a %v frame", frame.Kind)
		}
		joined = append(joined, frame.Payload...)
	}
	if !bytes.Equal(joined, data) {
		t.Error("the joined payloads differ from the data that was written")
	}
}

func TestReaderRejectsBrokenStreams(t *testing.T) {
	for name, c := range map[string]struct {
		stream string
		want   error
	}{
		"unknown kind":          {"\x00\x00\x00\x00", ErrFormat},
		"kind beyond the last":  {"\xff\x00\x00\x00", ErrFormat},
		"payload too long":      {"\x02\xff\xff\xff", ErrFormat},
		"wrong fixed length":    {"\x01\x03\x00\x00abc", ErrFormat},
		"end inside a header":   {"\x01\x02", io.ErrUnexpectedEOF},
		"end inside a payload":  {"\x01\x02\x00\x00a", io.ErrUnexpectedEOF},
		"end before a payload":  {"\x01\x02\x00\x00", io.ErrUnexpectedEOF},
		"an empty stream's end": {"", io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReader(strings.NewReader(c.stream))
			for range 2 { // the error must be returned again
				if _, err := r.Next(); !errors.Is(err, c.want) {
					t.Errorf("the error is %v, want %v", err, c.want)
				}
			}
		})
	}
}

func TestDecodingRejectsOtherKinds(t *testing.T) {
	wrong := Frame{Kind: Stdout, Payload: []byte{1}}
	short := Frame{Kind: Exit, Payload: []byte{1}}
	_, errStatus := wrong.Status()
	_, errShort := short.Status()
	_, errOutcome := Frame{Kind: Exit, Payload: []byte{77, 0, 0, 0, 0}}.Status()
	_, errCredit := wrong.Credit()
	_, errSize := wrong.TerminalSize()
	_, errSignal := wrong.Signal()
	_, errVersion := wrong.Version()
	_, _, errCore := wrong.CorePart()
	_, _, errNoOffset := Frame{Kind: Core, Payload: make([]byte, 7)}.CorePart()
	_, _, errNegative := Frame{Kind: Core, Payload: bytes.Repeat([]byte{0xff}, 8)}.CorePart()
	for i, err := range []error{errCore, errNoOffset, errNegative, errStatus, errShort, errOutcome, errCredit, errSize, errSignal, errVersion} {
		if !errors.Is(err, ErrFormat) {
			t.Errorf("error %d is %v, want ErrFormat", i, err)
		}
	}
}

func TestConcurrentWritesDoNotMixFrames(t *testing.T) {
	pr, pw := io.Pipe()
	w := NewWriter(pw)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				w.Stdout(bytes.Repeat([]byte{byte(i)}, 100+i))
			}
		})
	}
	go func() { wg.Wait(); pw.Close() }()
	frames := collect(t, pr)
	if len(frames) != 800 {
		t.Fatalf("got %d frames, want 800", len(frames))
	}
	for _, frame := range frames {
		i := int(frame.Payload[0])
		if !bytes.Equal(frame.Payload, bytes.Repeat([]byte{byte(i)}, 100+i)) {
			t.Fatal("a frame has bytes of another frame")
		}
	}
}

func TestStdoutDoesNotAllocate(t *testing.T) {
	w := NewWriter(io.Discard)
	data := make([]byte, 4096)
	if n := testing.AllocsPerRun(100, func() { w.Stdout(data) }); n > 0 {
		t.Errorf("Stdout allocates %v times", n)
	}
}

// FuzzReader checks that frames that were read from a stream are written as the same
// bytes.
func FuzzReader(f *testing.F) {
	f.Add([]byte("\x01\x02\x00\x00\x01\x00\x02\x03\x00\x00abc\x05\x05\x00\x00\x01\x07\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := NewReader(bytes.NewReader(stream))
		var again bytes.Buffer
		w := NewWriter(&again)
		for {
			frame, err := r.Next()
			if err != nil {
				break
			}
			frame.Version()
			frame.Status()
			frame.Credit()
			frame.TerminalSize()
			frame.Signal()
			w.send(frame.Kind, frame.Payload)
		}
		if !bytes.HasPrefix(stream, again.Bytes()) {
			t.Error("the frames that were read differ from the stream")
		}
	})
}
