package hostlink

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// Reader reads frames from a byte stream. One goroutine may use it at a time.
type Reader struct {
	src    io.Reader
	header [headerSize]byte
	buffer []byte
	err    error
}

// NewReader returns a Reader of the frames in r. Wrap r in a bufio.Reader if its Read
// is expensive.
func NewReader(r io.Reader) *Reader { return &Reader{src: r} }

// Next waits for the next frame and returns it. The payload is valid until the next
// call. The error is io.EOF if the stream ends between two frames,
// io.ErrUnexpectedEOF if it ends inside a frame, or wraps [ErrFormat]. After an
// error, every call returns the same error.
func (r *Reader) Next() (Frame, error) {
	if r.err != nil {
		return Frame{}, r.err
	}
	frame, err := r.next()
	r.err = err
	return frame, err
}

func (r *Reader) next() (Frame, error) {
	if _, err := io.ReadFull(r.src, r.header[:]); err != nil {
		return Frame{}, err
	}
	word := binary.LittleEndian.Uint32(r.header[:])
	kind, length := Kind(word), int(word>>8)
	if err := checkHeader(kind, length); err != nil {
		return Frame{}, err
	}
	if length > cap(r.buffer) {
		r.buffer = make([]byte, length)
	}
	payload := r.buffer[:length]
	if _, err := io.ReadFull(r.src, payload); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, err
	}
	return Frame{Kind: kind, Payload: payload}, nil
}

// Writer writes frames to a byte stream, each with one Write. Several goroutines may
// use it at once. Its methods block while the stream blocks, and return the stream's
// errors.
type Writer struct {
	mu     sync.Mutex
	dst    io.Writer
	buffer []byte
}

// NewWriter returns a Writer of frames to w.
func NewWriter(w io.Writer) *Writer { return &Writer{dst: w} }

// Stdout sends bytes of the program's standard output in one or more frames.
func (w *Writer) Stdout(data []byte) error { return w.stream(Stdout, data) }

// Visits sends encoded records of visits, at most MaxPayload bytes, in one frame.
func (w *Writer) Visits(p []byte) error { return w.send(Visits, p) }

// Probes sends a batch of records of probes, at most MaxPayload bytes, in one frame.
func (w *Writer) Probes(p []byte) error { return w.send(Probes, p) }

// Calls sends a batch of records of system calls, at most MaxPayload bytes, in one frame.
func (w *Writer) Calls(p []byte) error { return w.send(Calls, p) }

// MaxCore is the maximum number of bytes of a core file in one frame.
const MaxCore = MaxPayload - coreOffset

// Core sends bytes of the core file, at most MaxCore, in one frame. Without bytes it
// sends the size of the file.
func (w *Writer) Core(offset int64, data []byte) error {
	return w.send(Core, append(binary.LittleEndian.AppendUint64(nil, uint64(offset)), data...))
}

// Stderr sends bytes of the program's standard error.
func (w *Writer) Stderr(data []byte) error { return w.stream(Stderr, data) }

// Stdin sends bytes of the program's standard input. The caller must have credit for
// all of them.
func (w *Writer) Stdin(data []byte) error { return w.stream(Stdin, data) }

// Log sends a line of the kernel's log. A line longer than MaxPayload is sent in
// several frames.
func (w *Writer) Log(line []byte) error { return w.stream(Log, line) }

// Hello sends the guest's first frame.
func (w *Writer) Hello() error {
	return w.send(Hello, binary.LittleEndian.AppendUint16(nil, Version))
}

// StdinCredit grants the host n more bytes of standard input.
func (w *Writer) StdinCredit(n uint32) error {
	return w.send(StdinCredit, binary.LittleEndian.AppendUint32(nil, n))
}

// Exit sends the guest's last frame.
func (w *Writer) Exit(s Status) error {
	return w.send(Exit, binary.LittleEndian.AppendUint32([]byte{byte(s.Outcome)}, s.Value))
}

// StdinEOF reports the end of standard input.
func (w *Writer) StdinEOF() error { return w.send(StdinEOF, nil) }

// WindowSize sends the size of the host's terminal.
func (w *Writer) WindowSize(size TerminalSize) error {
	payload := binary.LittleEndian.AppendUint16(nil, size.Rows)
	return w.send(WindowSize, binary.LittleEndian.AppendUint16(payload, size.Columns))
}

// Signal requests the signal with the given number.
func (w *Writer) Signal(number uint8) error { return w.send(Signal, []byte{number}) }

// stream sends data in frames of at most MaxPayload bytes. It locks mu for each frame
// separately. A control frame can then be sent between two of them.
func (w *Writer) stream(kind Kind, data []byte) error {
	for len(data) > 0 {
		n := min(len(data), MaxPayload)
		if err := w.send(kind, data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// send sends one frame.
func (w *Writer) send(kind Kind, payload []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buffer = binary.LittleEndian.AppendUint32(w.buffer[:0], uint32(kind)|uint32(len(payload))<<8)
	w.buffer = append(w.buffer, payload...)
	if _, err := w.dst.Write(w.buffer); err != nil {
		return fmt.Errorf("cannot send a %v frame: %w", kind, err)
	}
	return nil
}
