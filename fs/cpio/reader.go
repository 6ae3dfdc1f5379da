package cpio

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// Reader reads an archive sequentially. Call Next for each member, then Read for
// its data.
type Reader struct {
	src     *bufio.Reader
	data    int64 // bytes of the member's data not yet read
	pad     int64 // bytes of padding after the data
	started bool  // a member was read
	err     error // the error that ended reading
}

// bufferSize is large enough for many small members, in bytes.
const bufferSize = 64 << 10

// NewReader returns a Reader of the plain or gzip-compressed archive on r. An
// empty stream is an archive without members. It fails with the errors of r, and
// with ErrTruncated or ErrFormat if the gzip header is damaged.
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

// Next skips unread data of the current member and returns the header of the
// next one. It returns io.EOF at the end of the archive. Other errors are
// ErrFormat, ErrTruncated and those of the stream. After an error, later calls
// return the same error. Concatenated archives, with NUL bytes between them, are
// read as one archive, as in Linux.
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
		return nil, fmt.Errorf("%w: a name has no terminating NUL", ErrFormat)
	}
	h.Name = string(name[:nameSize-1])
	return h, nil
}

// skipZeros skips the padding between archives. It returns io.EOF if no archive
// follows.
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

// skip skips n bytes.
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

// Read implements io.Reader for the member's data, with io.EOF at its end. Other
// errors are ErrTruncated, ErrFormat if the compression is damaged, and those of
// the stream.
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

// Rest reads the unread data of the member, such as a symbolic link's target. It
// fails with ErrFormat if there are more than limit bytes, and with the errors
// of Read.
func (r *Reader) Rest(limit int64) ([]byte, error) {
	if r.data > limit {
		return nil, fmt.Errorf("%w: a member has %d bytes, but at most %d are allowed", ErrFormat, r.data, limit)
	}
	data := make([]byte, r.data)
	_, err := io.ReadFull(r, data)
	return data, err
}

// describe replaces an error of the underlying stream by a sentence for the user.
func describe(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrTruncated
	}
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) {
		return fmt.Errorf("%w: its gzip compression is damaged", ErrFormat)
	}
	return err
}
