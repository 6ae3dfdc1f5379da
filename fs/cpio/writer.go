package cpio

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Writer writes an archive. Call WriteHeader for each member, Write for its
// data, and Close at the end.
type Writer struct {
	dst     *bufio.Writer
	written int64 // bytes of the archive that were written
	data    int64 // bytes of the member's data that were not written yet
}

// NewWriter returns a Writer of an archive on w. Close flushes its buffer.
func NewWriter(w io.Writer) *Writer {
	return &Writer{dst: bufio.NewWriterSize(w, bufferSize)}
}

// errShort means that less data than the header says was written for a member.
var errShort = errors.New("the previous member has less data than its header says")

// WriteHeader begins a member. The caller must write exactly h.Size bytes before
// the next call. It fails if data of the previous member is missing, if the name
// has 4096 bytes or more, and with the errors of the stream.
func (w *Writer) WriteHeader(h *Header) error {
	if w.data != 0 {
		return errShort
	}
	if err := w.pad(); err != nil {
		return err
	}
	if len(h.Name) >= maxNameSize {
		return fmt.Errorf("the path %.60q... is too long for the initramfs", h.Name)
	}
	var checksum uint32
	nameSize := uint32(len(h.Name) + 1)
	text := make([]byte, 0, headerSize+len(h.Name)+1)
	text = append(text, magic...)
	for _, field := range h.fields(&nameSize, &checksum) {
		text = fmt.Appendf(text, "%08x", *field)
	}
	text = append(text, h.Name...)
	text = append(text, 0)
	if err := w.raw(text); err != nil {
		return err
	}
	w.data = int64(h.Size)
	return w.pad()
}

// Write appends to the data of the member that the last WriteHeader began. If p
// exceeds the size in the header, it fails and writes nothing. Other errors are
// those of the stream.
func (w *Writer) Write(p []byte) (int, error) {
	if int64(len(p)) > w.data {
		return 0, errors.New("the member has more data than its header says")
	}
	if err := w.raw(p); err != nil {
		return 0, err
	}
	w.data -= int64(len(p))
	return len(p), nil
}

// Close writes the trailer and flushes the buffer. It does not close the
// underlying stream. It fails if data of the last member is missing, and with
// the errors of the stream.
func (w *Writer) Close() error {
	if err := w.WriteHeader(&Header{Name: trailer, Links: 1}); err != nil {
		return err
	}
	return w.dst.Flush()
}

// raw writes bytes and counts them.
func (w *Writer) raw(p []byte) error {
	n, err := w.dst.Write(p)
	w.written += int64(n)
	return err
}

// pad writes zeros up to the next multiple of four bytes.
func (w *Writer) pad() error {
	var zeros [4]byte
	return w.raw(zeros[:padding(w.written)])
}
