package hostfile_test

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/fs/hostfile"
	"slowpath/wait"
)

func TestInputReturnsCreditForBytesRead(t *testing.T) {
	w := fstest.New(t, 64)
	credit := 0
	in := hostfile.NewInput(func(n int) { credit += n })
	f := in.Open(w.Mounts)
	if _, err := f.Read(fs.NewBytesSink(make([]byte, 4))); err != unix.EAGAIN {
		t.Errorf("read without data: %v", err)
	}
	in.Feed([]byte("hello "))
	in.Feed([]byte("world"))
	sink := fs.NewBytesSink(make([]byte, 8))
	if n, err := f.Read(sink); n != 8 || err != nil || credit != 8 {
		t.Errorf("read %d, %v; credit %d", n, err, credit)
	}
	in.End()
	if got := fstest.ReadAll(t, f); got != "rld" {
		t.Errorf("the rest is %q", got)
	}
	if f.Readiness()&wait.Hup == 0 {
		t.Error("no POLLHUP at the end")
	}
	if a := f.Attributes(); a.Type() != unix.S_IFIFO {
		t.Errorf("mode %#o", a.Mode)
	}
}

// writeAll writes p like a blocking write(2): after EAGAIN it waits until the spool
// has sent everything.
func writeAll(t *testing.T, s *hostfile.Spool, f *fs.File, p []byte) {
	t.Helper()
	src := fs.NewBytesSource(p)
	for src.Remaining() > 0 {
		if _, err := f.Write(src); err == unix.EAGAIN {
			s.Flush()
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestOutputKeepsOrderAndReportsClosedHost(t *testing.T) {
	w := fstest.New(t, 64)
	var sent []byte
	var broken error
	spool := hostfile.NewSpool()
	send := func(p []byte) error { sent = append(sent, p...); return broken }
	f := hostfile.NewOutput(spool, send).Open(w.Mounts)
	other := hostfile.NewOutput(spool, send).Open(w.Mounts)
	big := make([]byte, 200_000)
	for i := range big {
		big[i] = byte(i * 7)
	}
	writeAll(t, spool, f, big)
	var want []byte
	for i := range 100 { // the order of two streams is kept
		writeAll(t, spool, f, []byte{byte(i)})
		writeAll(t, spool, other, []byte{byte(i), 1})
		want = append(want, byte(i), byte(i), 1)
	}
	spool.Flush()
	if string(sent) != string(big)+string(want) {
		t.Error("the host received other bytes than were written")
	}
	broken = errors.New("closed")
	writeAll(t, spool, f, []byte("x"))
	spool.Flush()
	if _, err := f.Write(fs.NewBytesSource([]byte("x"))); err != unix.EPIPE {
		t.Errorf("write after the host closed the stream: %v, want EPIPE", err)
	}
	if f.Readiness()&wait.Err == 0 {
		t.Error("no POLLERR after the host closed the stream")
	}
}

// TestStalledHostBlocksNoWriter writes to a host that does not read. A write then
// fails with EAGAIN, so the caller can sleep where signals reach it, and the wait
// queue is woken when the host reads again.
func TestStalledHostBlocksNoWriter(t *testing.T) {
	w := fstest.New(t, 64)
	spool := hostfile.NewSpool()
	read := make(chan bool)
	f := hostfile.NewOutput(spool, func([]byte) error { <-read; return nil }).Open(w.Mounts)
	total := 0
	for {
		n, err := f.Write(fs.NewBytesSource(make([]byte, 10_000)))
		if err == unix.EAGAIN {
			break
		}
		if total += n; err != nil || total > 2*hostfile.Capacity {
			t.Fatalf("after %d bytes: %v", total, err)
		}
	}
	if total != hostfile.Capacity || f.Readiness() != 0 {
		t.Errorf("%d bytes fit; the file is %v", total, f.Readiness())
	}
	var s wait.Sleeper
	waiter := s.Waiter(wait.Writable)
	f.Queue().Add(waiter)
	defer f.Queue().Remove(waiter)
	go func() {
		for {
			read <- true
		}
	}()
	s.Sleep(0) // returns only if the writers are woken
	if f.Readiness()&wait.Out == 0 {
		t.Error("the file is not writable after the host has read")
	}
	spool.Flush()
}
