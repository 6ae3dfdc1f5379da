package pipe_test

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/fs/pipe"
	"slowpath/wait"
)

func newPair(t *testing.T) (r, w *fs.File) {
	world := fstest.New(t, 64)
	return pipe.New(world.Mounts, 0, 0, 0)
}

func TestWriteFillsPipeAndKeepsSmallWritesWhole(t *testing.T) {
	r, w := newPair(t)
	defer r.DecRef()
	if n, err := w.Write(fs.NewBytesSource(make([]byte, 100_000))); n != 65536 || err != nil {
		t.Errorf("first write: %d, %v", n, err)
	}
	if _, err := w.Write(fs.NewBytesSource([]byte("x"))); err != unix.EAGAIN {
		t.Errorf("write into a full pipe: %v", err)
	}
	if w.Readiness()&wait.Out != 0 {
		t.Error("a full pipe is reported as writable")
	}
	sink := fs.NewBytesSink(make([]byte, 4000))
	r.Read(sink)
	if _, err := w.Write(fs.NewBytesSource(make([]byte, 4096))); err != unix.EAGAIN {
		t.Errorf("write of PIPE_BUF bytes without room for all: %v, want EAGAIN", err)
	}
	if n, err := w.Write(fs.NewBytesSource(make([]byte, 5000))); n != 4000 || err != nil {
		t.Errorf("write of more than PIPE_BUF bytes: %d, %v", n, err)
	}
	w.DecRef()
	if got := fstest.ReadAll(t, r); len(got) != 65536 {
		t.Errorf("read %d bytes, want 65536", len(got))
	}
}

func TestPipeKeepsByteOrderWhenTheRingWraps(t *testing.T) {
	r, w := newPair(t)
	defer r.DecRef()
	defer w.DecRef()
	var next, expect byte
	for round := range 500 {
		p := make([]byte, 1+round*37%1500)
		for i := range p {
			p[i] = next
			next++
		}
		if n, err := w.Write(fs.NewBytesSource(p)); n != len(p) || err != nil {
			t.Fatalf("round %d: %d, %v", round, n, err)
		}
		sink := fs.NewBytesSink(make([]byte, 1+round*53%1600))
		r.Read(sink)
		if round > 100 { // the pipe fills first, then it is drained
			for pipe.Of(r).Buffered() > 3000 {
				more := fs.NewBytesSink(make([]byte, 700))
				for _, b := range sink.Bytes() {
					if b != expect {
						t.Fatalf("round %d: byte %d, want %d", round, b, expect)
					}
					expect++
				}
				sink = more
				r.Read(sink)
			}
		}
		for _, b := range sink.Bytes() {
			if b != expect {
				t.Fatalf("round %d: byte %d, want %d", round, b, expect)
			}
			expect++
		}
	}
}

func TestClosingAPipeEndWakesTheOtherEnd(t *testing.T) {
	r, w := newPair(t)
	if _, err := r.Read(fs.NewBytesSink(make([]byte, 1))); err != unix.EAGAIN {
		t.Errorf("read of an empty pipe: %v", err)
	}
	r.DecRef()
	if _, err := w.Write(fs.NewBytesSource([]byte("x"))); err != unix.EPIPE {
		t.Errorf("write without a reader: %v", err)
	}
	if w.Readiness()&wait.Err == 0 {
		t.Error("POLLERR is missing")
	}
	w.DecRef()

	r, w = newPair(t)
	defer r.DecRef()
	w.DecRef()
	if n, err := r.Read(fs.NewBytesSink(make([]byte, 1))); n != 0 || err != nil {
		t.Errorf("read at the end: %d, %v", n, err)
	}
	if r.Readiness()&wait.Hup == 0 {
		t.Error("POLLHUP is missing")
	}
}

func TestFIFOOpenWaitsForTheOtherEnd(t *testing.T) {
	world := fstest.New(t, 64)
	if _, err := world.At("/fifo").MakeNode(unix.S_IFIFO|0o600, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := world.At("/fifo").Open(unix.O_WRONLY|unix.O_NONBLOCK, 0); err != unix.ENXIO {
		t.Errorf("non-blocking writer without a reader: %v", err)
	}
	r := world.Open("/fifo", unix.O_RDONLY, 0)
	if err := r.Opened(); err != unix.EAGAIN {
		t.Errorf("reader without a writer: %v", err)
	}
	w, err := world.At("/fifo").Open(unix.O_WRONLY, 0)
	if err != nil || w.Opened() != nil {
		t.Errorf("writer: %v", err)
	}
	w.Write(fs.NewBytesSource([]byte("message")))
	w.DecRef() // the reader's open(2) must still return
	if err := r.Opened(); err != nil {
		t.Errorf("reader after the writer was opened and closed: %v", err)
	}
	if got := fstest.ReadAll(t, r); got != "message" {
		t.Errorf("read %q", got)
	}
}

// TestReopeningAnUnnamedPipeDoesNotBlock opens an end of an unnamed pipe, as
// /proc/pid/fd does, after the other end was closed. The open must neither wait
// nor fail.
func TestReopeningAnUnnamedPipeDoesNotBlock(t *testing.T) {
	r, w := newPair(t)
	w.Write(fs.NewBytesSource([]byte("left behind")))
	w.DecRef()
	operations, err := r.Inode().Open(fs.OpenRequest{Flags: unix.O_RDONLY})
	if err != nil {
		t.Fatal(err)
	}
	if err := operations.(fs.Opener).Opened(); err != nil {
		t.Errorf("a reader without a writer: %v", err)
	}
	r, w = newPair(t)
	r.DecRef()
	if _, err := w.Inode().Open(fs.OpenRequest{Flags: unix.O_WRONLY | unix.O_NONBLOCK}); err != nil {
		t.Errorf("a non-blocking writer without a reader: %v", err)
	}
}

func TestSetCapacityRoundsUpAndChecksBounds(t *testing.T) {
	r, w := newPair(t)
	defer r.DecRef()
	defer w.DecRef()
	p := pipe.Of(r)
	w.Write(fs.NewBytesSource(bytes.Repeat([]byte("z"), 10_000)))
	for _, c := range []struct {
		size uint64
		want int
		err  error
	}{{4096, 0, unix.EBUSY}, {9000, 16384, nil}, {0, 0, unix.EBUSY}, {2 << 20, 0, unix.EPERM}, {1 << 40, 0, unix.EINVAL}} {
		if got, err := p.SetCapacity(c.size, 1<<20); got != c.want || err != c.err && !(err == nil && c.err == nil) {
			t.Errorf("SetCapacity(%d) = %d, %v", c.size, got, err)
		}
	}
}
