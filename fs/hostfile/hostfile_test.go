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

func TestOutputKeepsOrderAndReportsClosedHost(t *testing.T) {
	w := fstest.New(t, 64)
	var sent []byte
	var broken error
	out := hostfile.NewOutput(func(p []byte) error { sent = append(sent, p...); return broken })
	f := out.Open(w.Mounts)
	big := make([]byte, 100_000)
	for i := range big {
		big[i] = byte(i * 7)
	}
	if n, err := f.Write(fs.NewBytesSource(big)); n != len(big) || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
	if string(sent) != string(big) {
		t.Error("the host received other bytes than were written")
	}
	broken = errors.New("closed")
	if _, err := f.Write(fs.NewBytesSource([]byte("x"))); err != unix.EPIPE {
		t.Errorf("write after the host closed the stream: %v, want EPIPE", err)
	}
}
