package cpio

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// Reader reads an archive from front to back. Call Next for each member, then
// Read for its data.
type Reader struct {
	src     *bufio.Reader
	data    int64 // bytes of the member's data not yet read
	pad     int64 // padding after them
	started bool  // a member has been seen
	err     error // the final error
}

// bufferSize lets one refill serve many small members.
const bufferSize = 64 << 10

// NewReader returns a Reader of the plain or gzip-compressed archive on r. An
// empty stream is an archive without members. Errors: those of r, ErrTruncated
// and ErrFormat for a damaged compression.
func NewReader(r io.Reader) (*Reader, error) {
	src := bufio.NewReaderSize(r, bufferSize)
	start, err := src.Peek(2)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if string(start) != "\x1f\x8b" {
		return &Reader{src: src}, nil
	}
	plain, err := gzip.NewReader(src)
	if err != nil {
		return nil, describe(err)
	}
	return &Reader{src: bufio.NewReaderSize(plain, bufferSize)}, nil
}

// Next advances to the next member and skips unread data of the current one. The
// error at the end of the archive is io.EOF; others are ErrFormat, ErrTruncated
// and those of the stream. After an error every later call returns it again.
// Concatenated archives, with NUL bytes between them, are read as one, as in
// Linux.
func (r *Reader) Next() (*Header, error) {
	if r.err != nil {
		return nil, r.err
	}
	h, err := r.next()
	r.err = err
	return h, err
}

func (r *Reader) next() (*Header, error) {
	if err := r.skip(r.data + r.pad); err != nil {
		return nil, err
	}
	r.data, r.pad = 0, 0
	for {
		h, err := r.header()
		if err != nil {
			return nil, err
		}
		if h.Name != trailer {
			r.started = true
			r.data, r.pad = int64(h.Size), padding(int64(h.Size))
			return h, nil
		}
		if err := r.skip(int64(h.Size) + padding(int64(h.Size))); err != nil {
			return nil, err
		}
		if err := r.skipZeros(); err != nil {
			return nil, err
		}
	}
}

// header reads a header and the name after it.
func (r *Reader) header() (*Header, error) {
	var text [headerSize]byte
	if n, err := io.ReadFull(r.src, text[:]); err != nil {
		if n == 0 && err == io.EOF && !r.started {
			return nil, io.EOF
		}
		return nil, describe(err)
	}
	h := new(Header)
	nameSize, err := h.parse(&text)
	if err != nil {
		return nil, err
	}
	name := make([]byte, int64(nameSize)+padding(headerSize+int64(nameSize)))
	if _, err := io.ReadFull(r.src, name); err != nil {
		return nil, describe(err)
	}
	if name[nameSize-1] != 0 {
		return nil, fmt.Errorf("%w: a name has no end", ErrFormat)
	}
	h.Name = string(name[:nameSize-1])
	return h, nil
}

// skipZeros passes over the padding between archives. It returns io.EOF when
// nothing else follows.
func (r *Reader) skipZeros() error {
	for {
		c, err := r.src.ReadByte()
		if err != nil {
			if err == io.EOF {
				return io.EOF
			}
			return describe(err)
		}
		if c != 0 {
			return r.src.UnreadByte()
		}
	}
}

// skip passes over n bytes.
func (r *Reader) skip(n int64) error {
	for n > 0 {
		step := int(min(n, 1<<30))
		if _, err := r.src.Discard(step); err != nil {
			return describe(err)
		}
		n -= int64(step)
	}
	return nil
}

// Read implements io.Reader over the member's data, with io.EOF at its end.
// Errors: ErrTruncated, ErrFormat where the compression is damaged, and those
// of the stream.
func (r *Reader) Read(p []byte) (int, error) {
	if r.data == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.data {
		p = p[:r.data]
	}
	n, err := r.src.Read(p)
	r.data -= int64(n)
	if err != nil && r.data > 0 {
		r.err = describe(err)
		return n, r.err
	}
	return n, nil
}

// Rest reads all that is left of the member's data, which must be at most
// limit bytes: a symbolic link's target, a small file. Errors: ErrFormat where
// there is more, and those of Read.
func (r *Reader) Rest(limit int64) ([]byte, error) {
	if r.data > limit {
		return nil, fmt.Errorf("%w: a member has %d bytes where at most %d fit", ErrFormat, r.data, limit)
	}
	data := make([]byte, r.data)
	_, err := io.ReadFull(r, data)
	return data, err
}

// describe turns an error of the stream below into one that a user can act on.
func describe(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrTruncated
	}
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) {
		return fmt.Errorf("%w: its gzip compression is damaged", ErrFormat)
	}
	return err
}
