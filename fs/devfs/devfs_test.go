package devfs_test

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/devfs"
	"slowpath/fs/fstest"
)

func newWorld(t *testing.T) (*fstest.World, *[]string) {
	w := fstest.New(t, 128)
	var log []string
	devfs.Register(w.Mounts, devfs.Config{
		Random:  func(p []byte) { copy(p, bytes.Repeat([]byte("random!"), len(p)/7+1)) },
		Log:     func(line string) { log = append(log, line) },
		ReadLog: func() []byte { return []byte("booted\n") },
	})
	if err := w.At("/dev").MakeDirectory(0o755); err != nil {
		t.Fatal(err)
	}
	if err := devfs.Populate(w.Caller, "/dev"); err != nil {
		t.Fatal(err)
	}
	return w, &log
}

func TestMemoryDevicesReadAndWriteLikeLinux(t *testing.T) {
	w, log := newWorld(t)
	read := func(name string) string {
		sink := fs.NewBytesSink(bytes.Repeat([]byte{0xee}, 9000))
		if _, err := w.Open(name, unix.O_RDONLY, 0).Read(sink); err != nil {
			return err.Error()
		}
		return string(sink.Bytes())
	}
	write := func(name, text string) (int, error) {
		return w.Open(name, unix.O_WRONLY, 0).Write(fs.NewBytesSource([]byte(text)))
	}
	if got := read("/dev/null"); got != "" {
		t.Errorf("null reads %q", got)
	}
	if got := read("/dev/zero"); got != string(make([]byte, 9000)) {
		t.Errorf("zero reads %d bytes", len(got))
	}
	if got := read("/dev/urandom"); len(got) != 9000 || got[:7] != "random!" {
		t.Errorf("urandom reads %d bytes", len(got))
	}
	if n, err := write("/dev/null", "gone"); n != 4 || err != nil {
		t.Errorf("null: %d, %v", n, err)
	}
	if _, err := write("/dev/full", "x"); err != unix.ENOSPC {
		t.Errorf("full: %v", err)
	}
	if _, err := write("/dev/kmsg", "a line\n"); err != nil || len(*log) != 1 || (*log)[0] != "a line" {
		t.Errorf("kmsg: %v, %q", err, *log)
	}
	if got := read("/dev/kmsg"); got != "booted\n" {
		t.Errorf("kmsg reads %q", got)
	}
	if _, err := w.At("/dev/ptmx").Open(unix.O_RDWR, 0); err != unix.ENXIO {
		t.Errorf("open of a device without a driver: %v, want ENXIO", err)
	}
}

func TestDeviceNodesHaveLinuxModes(t *testing.T) {
	w, _ := newWorld(t)
	for name, want := range map[string]uint32{
		"null": unix.S_IFCHR | 0o666, "kmsg": unix.S_IFCHR | 0o644, "console": unix.S_IFCHR | 0o600,
		"pts": unix.S_IFDIR | 0o755, "shm": unix.S_IFDIR | 0o1777,
	} {
		if a, err := w.At("/dev/" + name).Attributes(); err != nil || a.Mode != want {
			t.Errorf("%s has mode %#o, want %#o (%v)", name, a.Mode, want, err)
		}
	}
}
