package eventfd_test

import (
	"encoding/binary"
	"math"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/eventfd"
	"slowpath/fs/fstest"
	"slowpath/wait"
)

func write(f *fs.File, value uint64) error {
	_, err := f.Write(fs.NewBytesSource(binary.LittleEndian.AppendUint64(nil, value)))
	return err
}

func read(f *fs.File) (uint64, error) {
	sink := fs.NewBytesSink(make([]byte, 8))
	_, err := f.Read(sink)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(sink.Bytes()), nil
}

func TestReadReturnsAndClearsTheCounter(t *testing.T) {
	f := eventfd.New(fstest.New(t, 64).Mounts, 3, 0)
	defer f.DecRef()
	write(f, 4)
	if v, err := read(f); v != 7 || err != nil {
		t.Errorf("read %d, %v, want 7", v, err)
	}
	if _, err := read(f); err != unix.EAGAIN {
		t.Errorf("read of zero: %v", err)
	}
	if err := write(f, math.MaxUint64); err != unix.EINVAL {
		t.Errorf("write of 2^64-1: %v", err)
	}
	write(f, math.MaxUint64-1)
	if f.Readiness()&wait.Out != 0 {
		t.Error("a full counter is reported as writable")
	}
	src := fs.NewBytesSource(binary.LittleEndian.AppendUint64(nil, 1))
	if _, err := f.Write(src); err != unix.EAGAIN || src.Remaining() != 8 {
		t.Errorf("write into a full counter: %v, %d bytes left to try again", err, src.Remaining())
	}
	if _, err := f.Write(fs.NewBytesSource([]byte("short"))); err != unix.EINVAL {
		t.Errorf("short write: %v", err)
	}
}

func TestSemaphoreReadsOneAtATime(t *testing.T) {
	f := eventfd.New(fstest.New(t, 64).Mounts, 2, unix.EFD_SEMAPHORE)
	defer f.DecRef()
	for range 2 {
		if v, err := read(f); v != 1 || err != nil {
			t.Errorf("read %d, %v, want 1", v, err)
		}
	}
	if _, err := read(f); err != unix.EAGAIN {
		t.Errorf("third read: %v", err)
	}
}
