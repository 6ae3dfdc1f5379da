package syscall

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs/fstest"
	"slowpath/mm"
	"slowpath/task"
)

// remoteTest has a page for iovecs and a range of memory with a hole behind it.
type remoteTest struct {
	*testing.T
	tk                 *task.Task
	vectors, data, end uint64
}

func newRemoteTest(t *testing.T, tk *task.Task) *remoteTest {
	const base = 0x10000000
	r := &remoteTest{T: t, tk: tk, vectors: base, data: base + testPage, end: base + 3*testPage}
	if _, err := tk.MM.Mmap(mm.MapRequest{Addr: base, Length: 3 * testPage, Prot: mm.ProtRead | mm.ProtWrite,
		Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED}); err != nil {
		t.Fatal(err)
	}
	return r
}

// vector writes iovecs at the index of the page, in pairs of base and length, and
// returns their address.
func (r *remoteTest) vector(index int, words ...uint64) uint64 {
	b := make([]byte, 0, 64)
	for _, w := range words {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	at := r.vectors + uint64(index)*16
	if err := r.tk.CopyOut(at, b); err != nil {
		r.Fatal(err)
	}
	return at
}

func TestProcessVMTransfersUpToTheFirstBadByte(t *testing.T) {
	asTask(t, fstest.New(t, 1024), func(tk *task.Task) {
		r := newRemoteTest(t, tk)
		self := uint64(tk.TID())
		text := []byte("0123456789abcdef")
		tk.CopyOut(r.end-16, text)
		for _, c := range []struct {
			name          string
			handler       Handler
			local, remote []uint64
			want          uint64
			err           error
		}{
			{"all", sysProcessVMReadv, []uint64{r.data, 16}, []uint64{r.end - 16, 16}, 16, nil},
			{"split on both sides", sysProcessVMReadv, []uint64{r.data, 3, r.data + 3, 13}, []uint64{r.end - 16, 10, r.end - 6, 6}, 16, nil},
			{"the remote end", sysProcessVMReadv, []uint64{r.data, 64}, []uint64{r.end - 16, 64}, 16, nil},
			{"nothing before the bad byte", sysProcessVMReadv, []uint64{r.data, 64}, []uint64{r.end, 64}, 0, unix.EFAULT},
			{"the local end", sysProcessVMReadv, []uint64{r.end - 4, 64}, []uint64{r.data, 64}, 4, nil},
			{"a local kernel address", sysProcessVMReadv, []uint64{1 << 63, 8}, []uint64{r.data, 8}, 0, unix.EFAULT},
			{"a remote kernel address", sysProcessVMReadv, []uint64{r.data, 8}, []uint64{1 << 63, 8}, 0, unix.EFAULT},
			{"a remote range that wraps", sysProcessVMReadv, []uint64{r.data, 8}, []uint64{1<<64 - 4, 8}, 0, unix.EFAULT},
			{"a negative local length", sysProcessVMReadv, []uint64{r.data, 1 << 63}, []uint64{r.data, 8}, 0, unix.EINVAL},
			{"a negative remote length", sysProcessVMReadv, []uint64{r.data, 8}, []uint64{r.data, 1 << 63}, 0, unix.EINVAL},
			{"an empty local vector", sysProcessVMReadv, []uint64{r.data, 0}, []uint64{r.data, 8}, 0, nil},
			{"an empty remote vector", sysProcessVMReadv, []uint64{r.data, 8}, []uint64{r.data, 0}, 0, nil},
			{"written", sysProcessVMWritev, []uint64{r.data, 16}, []uint64{r.data + 100, 16}, 16, nil},
			{"written up to the end", sysProcessVMWritev, []uint64{r.data, 64}, []uint64{r.end - 8, 64}, 8, nil},
		} {
			local, remote := r.vector(0, c.local...), r.vector(8, c.remote...)
			n, err := invoke(tk, c.handler, self, local, uint64(len(c.local)/2), remote, uint64(len(c.remote)/2), 0)
			if n != c.want || err != c.err {
				t.Errorf("%s: %d, %v, want %d, %v", c.name, n, err, c.want, c.err)
			}
		}
		var got [16]byte
		tk.CopyIn(r.data+100, got[:])
		if string(got[:]) != "0123456789abcdef" {
			t.Errorf("the written memory is %q", got)
		}
	})
}

func TestProcessVMChecksArgumentsInOrder(t *testing.T) {
	asTask(t, fstest.New(t, 1024), func(tk *task.Task) {
		r := newRemoteTest(t, tk)
		const nobody, bad = 30000, 0xdead000
		v, empty := r.vector(0, r.data, 8), r.vector(1, r.data, 0)
		for _, c := range []struct {
			name      string
			arguments [6]uint64
			want      error
		}{
			{"flags first", [6]uint64{nobody, bad, 1, bad, 1, 1}, unix.EINVAL},
			{"too many local vectors", [6]uint64{nobody, v, 1025, v, 1, 0}, unix.EINVAL},
			{"bad local vectors", [6]uint64{nobody, bad, 1, bad, 1, 0}, unix.EFAULT},
			{"nothing local", [6]uint64{nobody, v, 0, bad, 1, 0}, nil},
			{"too many remote vectors", [6]uint64{nobody, v, 1, v, 1025, 0}, unix.EINVAL},
			{"bad remote vectors", [6]uint64{nobody, v, 1, bad, 1, 0}, unix.EFAULT},
			{"nothing remote", [6]uint64{nobody, v, 1, empty, 1, 0}, nil},
			{"no such process", [6]uint64{nobody, v, 1, v, 1, 0}, unix.ESRCH},
		} {
			if n, err := invoke(tk, sysProcessVMReadv, c.arguments[:]...); n != 0 || err != c.want {
				t.Errorf("%s: %d, %v, want %v", c.name, n, err, c.want)
			}
		}
	})
}

// TestProcessVMTransfersMoreThanItsBuffer copies 5 MiB with vectors whose ends fall
// inside of the buffer.
func TestProcessVMTransfersMoreThanItsBuffer(t *testing.T) {
	asTask(t, fstest.New(t, 4096), func(tk *task.Task) {
		r := newRemoteTest(t, tk)
		const size, from, to = 5 << 20, 0x20000000, 0x30000000
		for _, at := range []uint64{from, to} {
			tk.MM.Mmap(mm.MapRequest{Addr: at, Length: size, Prot: mm.ProtRead | mm.ProtWrite,
				Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED})
		}
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i * 7 >> 3)
		}
		tk.CopyOut(from, want)
		local := r.vector(0, to, 12345, to+12345, size-12345)
		remote := r.vector(8, from, 100001, from+100001, size-100001)
		n, err := invoke(tk, sysProcessVMReadv, uint64(tk.TID()), local, 2, remote, 2, 0)
		if n != size || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		got := make([]byte, size)
		tk.CopyIn(to, got)
		if string(got) != string(want) {
			t.Error("the copy differs")
		}
	})
}
