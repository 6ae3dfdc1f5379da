package cpio

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// member is a header with its data.
type member struct {
	Header
	data string
}

var sample = []member{
	{Header{Name: ".", Mode: ModeDir | 0o755, Links: 2, Inode: 1}, ""},
	{Header{Name: "dir", Mode: ModeDir | 0o1777, Links: 2, Inode: 2, UID: 1, GID: 2, ModTime: 1e9}, ""},
	{Header{Name: "dir/file", Mode: ModeRegular | 0o644, Links: 1, Inode: 3, Size: 5}, "hello"},
	{Header{Name: "link", Mode: ModeSymlink | 0o777, Links: 1, Inode: 4, Size: 8}, "dir/file"},
	{Header{Name: "null", Mode: ModeChar | 0o666, Links: 1, Inode: 5, RdevMajor: 1, RdevMinor: 3}, ""},
}

func pack(t testing.TB, members []member) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := NewWriter(&archive)
	for _, m := range members {
		if err := w.WriteHeader(&m.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func unpack(archive io.Reader) ([]member, error) {
	r, err := NewReader(archive)
	if err != nil {
		return nil, err
	}
	var members []member
	for {
		h, err := r.Next()
		if err == io.EOF {
			return members, nil
		}
		if err != nil {
			return members, err
		}
		data, err := r.Rest(1 << 20)
		if err != nil {
			return members, err
		}
		members = append(members, member{*h, string(data)})
	}
}

func compress(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestReaderReturnsWhatWriterWrote(t *testing.T) {
	archive := pack(t, sample)
	for name, stream := range map[string][]byte{"plain": archive, "gzip": compress(t, archive)} {
		got, err := unpack(bytes.NewReader(stream))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, sample) {
			t.Errorf("%s: got %+v, want %+v", name, got, sample)
		}
	}
}

func TestReaderReadsConcatenatedArchives(t *testing.T) {
	archive := pack(t, sample)
	stream := append(bytes.Clone(archive), make([]byte, 512)...)
	stream = append(stream, archive...)
	got, err := unpack(bytes.NewReader(stream))
	if err != nil || len(got) != 2*len(sample) {
		t.Errorf("got %d members, %v; want %d", len(got), err, 2*len(sample))
	}
}

func TestNextSkipsUnreadData(t *testing.T) {
	r, err := NewReader(bytes.NewReader(pack(t, sample)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range sample {
		h, err := r.Next()
		if err != nil || h.Name != sample[i].Name {
			t.Fatalf("member %d is %+v, %v", i, h, err)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("Next after the last member returned %v, want io.EOF", err)
	}
}

func TestEmptyStreamHasNoMembers(t *testing.T) {
	if got, err := unpack(strings.NewReader("")); len(got) != 0 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestReaderReportsEveryTruncation(t *testing.T) {
	archive := pack(t, sample)
	end := bytes.LastIndex(archive, []byte(trailer)) + len(trailer) + 1
	for n := 1; n < end; n++ {
		if _, err := unpack(bytes.NewReader(archive[:n])); !errors.Is(err, ErrTruncated) {
			t.Fatalf("after %d of %d bytes the error is %v, want ErrTruncated", n, end, err)
		}
	}
	packed := compress(t, archive)
	for n := 2; n < len(packed); n++ {
		if _, err := unpack(bytes.NewReader(packed[:n])); !errors.Is(err, ErrTruncated) {
			t.Fatalf("after %d of %d compressed bytes the error is %v, want ErrTruncated", n, len(packed), err)
		}
	}
}

func TestReaderReportsDamagedHeaders(t *testing.T) {
	archive := pack(t, sample)
	for name, change := range map[string]func(b []byte){
		"magic":            func(b []byte) { b[5] = '7' },
		"digit":            func(b []byte) { b[20] = 'g' },
		"name size zero":   func(b []byte) { copy(b[94:], "00000000") },
		"name size huge":   func(b []byte) { copy(b[94:], "ffffffff") },
		"name without end": func(b []byte) { b[headerSize+1] = 'x' },
	} {
		t.Run(name, func(t *testing.T) {
			damaged := bytes.Clone(archive)
			change(damaged)
			if _, err := unpack(bytes.NewReader(damaged)); !errors.Is(err, ErrFormat) {
				t.Errorf("the error is %v, want ErrFormat", err)
			}
		})
	}
}

func TestWriterRejectsDataThatDoesNotMatchTheHeader(t *testing.T) {
	w := NewWriter(io.Discard)
	w.WriteHeader(&Header{Name: "a", Size: 3})
	if _, err := w.Write([]byte("four")); err == nil {
		t.Error("Write accepted more data than the header says")
	}
	if err := w.WriteHeader(&Header{Name: "b"}); err == nil {
		t.Error("WriteHeader succeeded before the data of the previous member was written")
	}
	if err := NewWriter(io.Discard).WriteHeader(&Header{Name: strings.Repeat("n", maxNameSize)}); err == nil {
		t.Error("WriteHeader accepted a name that is too long for a reader")
	}
}

func TestRestRejectsMoreDataThanItsLimit(t *testing.T) {
	r, _ := NewReader(bytes.NewReader(pack(t, []member{{Header{Name: "f", Size: 5}, "hello"}})))
	r.Next()
	if _, err := r.Rest(4); !errors.Is(err, ErrFormat) {
		t.Errorf("the error is %v, want ErrFormat", err)
	}
}

// TestArchivesAreCompatibleWithBusybox unpacks an archive of Writer with
// busybox, and reads an archive of busybox with Reader.
func TestArchivesAreCompatibleWithBusybox(t *testing.T) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal("busybox is missing; install it by: apt-get install busybox-static")
	}
	dir := t.TempDir()
	cmd := exec.Command(busybox, "cpio", "-id")
	cmd.Dir = dir
	cmd.Stdin = bytes.NewReader(pack(t, sample[:4]))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("busybox cpio: %v, %s", err, out)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "link")); string(data) != "hello" {
		t.Errorf("the file that the unpacked link points to has %q, %v; want \"hello\"", data, err)
	}
	cmd = exec.Command(busybox, "cpio", "-o", "-H", "newc")
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader("dir\ndir/file\nlink\n")
	archive, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	got, err := unpack(bytes.NewReader(archive))
	if err != nil || len(got) != 3 || got[1].data != "hello" || got[2].data != "dir/file" {
		t.Errorf("busybox's archive was read as %+v, %v", got, err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(pack(f, sample))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		members, err := unpack(bytes.NewReader(stream))
		if err != nil {
			return
		}
		again, err := unpack(bytes.NewReader(pack(t, members)))
		if err != nil || !reflect.DeepEqual(again, members) {
			t.Errorf("members %+v were packed and read back as %+v, %v", members, again, err)
		}
	})
}
