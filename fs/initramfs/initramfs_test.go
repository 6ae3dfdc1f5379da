package initramfs_test

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/cpio"
	"slowpath/fs/fstest"
	"slowpath/fs/initramfs"
)

type member struct {
	cpio.Header
	data string
}

func archive(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := cpio.NewWriter(&b)
	for _, m := range members {
		m.Size = uint32(len(m.data))
		if err := w.WriteHeader(&m.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sample(t testing.TB) []byte {
	return archive(t,
		member{Header: cpio.Header{Name: ".", Mode: cpio.ModeDir | 0o755, Links: 2}},
		member{Header: cpio.Header{Name: "bin", Mode: cpio.ModeDir | 0o711, Links: 2}},
		member{Header: cpio.Header{Name: "bin/sh", Mode: cpio.ModeRegular | 0o4755, Links: 2, Inode: 7, UID: 3}},
		member{Header: cpio.Header{Name: "bin/bash", Mode: cpio.ModeRegular | 0o4755, Links: 2, Inode: 7, UID: 3}, data: strings.Repeat("shell", 3000)},
		member{Header: cpio.Header{Name: "deep/down/f", Mode: cpio.ModeRegular | 0o600, Links: 1, ModTime: 1000}, data: "text"},
		member{Header: cpio.Header{Name: "link", Mode: cpio.ModeSymlink | 0o777, Links: 1}, data: "bin/sh"},
		member{Header: cpio.Header{Name: "null", Mode: cpio.ModeChar | 0o666, Links: 1, RdevMajor: 1, RdevMinor: 3}},
	)
}

func TestUnpackCreatesEveryMember(t *testing.T) {
	w := fstest.New(t, 512)
	if err := initramfs.Unpack(fs.KernelCaller{Context: w.Caller.Context}, bytes.NewReader(sample(t))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/bin/sh", "/bin/bash", "/link"} {
		if got := w.Read(name); got != strings.Repeat("shell", 3000) {
			t.Errorf("%s has %d bytes", name, len(got))
		}
	}
	if got := w.Read("/deep/down/f"); got != "text" {
		t.Errorf("a file without members for its directories reads %q, want \"text\"", got)
	}
	a, _ := w.At("/bin/sh").Attributes()
	if a.Mode != unix.S_IFREG|0o4755 || a.UID != 3 || a.Links != 2 {
		t.Errorf("/bin/sh: mode %#o uid %d links %d", a.Mode, a.UID, a.Links)
	}
	if a, _ := w.At("/deep/down/f").Attributes(); a.Modify != 1000e9 {
		t.Errorf("modification time %d", a.Modify)
	}
	if a, _ := w.At("/null").Attributes(); a.Rdev != unix.Mkdev(1, 3) || a.Type() != unix.S_IFCHR {
		t.Errorf("/null: %+v", a)
	}
}

func TestUnpackReportsTruncatedArchive(t *testing.T) {
	whole := sample(t)
	for _, cut := range []int{len(whole) / 3, len(whole) / 2, 200} {
		w := fstest.New(t, 512)
		err := initramfs.Unpack(fs.KernelCaller{Context: w.Caller.Context}, bytes.NewReader(whole[:cut]))
		if err == nil || !strings.Contains(err.Error(), "cut short") {
			t.Errorf("archive cut at %d: %v", cut, err)
		}
	}
}

func TestUnpackReportsArchiveLargerThanMemory(t *testing.T) {
	w := fstest.New(t, 48)
	err := initramfs.Unpack(fs.KernelCaller{Context: w.Caller.Context}, bytes.NewReader(archive(t,
		member{Header: cpio.Header{Name: "big", Mode: cpio.ModeRegular | 0o644, Links: 1}, data: strings.Repeat("x", 1<<20)})))
	if err == nil || !strings.Contains(err.Error(), "--mem") {
		t.Errorf("a file larger than the memory: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(sample(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		w := fstest.New(t, 128)
		initramfs.Unpack(fs.KernelCaller{Context: w.Caller.Context}, bytes.NewReader(data))
		if _, err := w.At("/").Lookup(); err != nil {
			t.Fatal(err)
		}
	})
}
