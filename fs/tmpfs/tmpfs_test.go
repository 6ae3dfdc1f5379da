package tmpfs_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/fs/tmpfs"
	"slowpath/mm"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// running is the last argument of Allocate for a caller that is not killed.
func running() bool { return false }

// TestKilledCallerEndsAllocation stops an allocation in the middle: nothing of it
// stays.
func TestKilledCallerEndsAllocation(t *testing.T) {
	w := fstest.New(t, 256)
	f := w.Open("/f", unix.O_RDWR|unix.O_CREAT, 0o600)
	asked := 0
	killed := func() bool { asked++; return asked > 10 }
	if err := f.Allocate(0, 0, 100*mm.PageSize, killed); err != unix.EINTR {
		t.Errorf("allocation of a killed caller: %v, want EINTR", err)
	}
	if a := f.Attributes(); a.Size != 0 || a.Blocks != 0 {
		t.Errorf("the file has %d bytes and %d blocks, want none", a.Size, a.Blocks)
	}
	must(t, f.Allocate(0, 0, 10*mm.PageSize, running))
	if a := f.Attributes(); a.Size != 10*mm.PageSize {
		t.Errorf("the file has %d bytes", a.Size)
	}
}

// TestRandomReadsAndWritesMatchAModel applies random writes, reads, truncations
// and holes to a file and to a byte slice, and compares the two.
func TestRandomReadsAndWritesMatchAModel(t *testing.T) {
	w := fstest.New(t, 2048)
	f := w.Open("/f", unix.O_RDWR|unix.O_CREAT, 0o600)
	random := rand.New(rand.NewPCG(1, 2))
	var model []byte
	const limit = 300_000
	for step := range 3000 {
		offset, length := random.Int64N(limit), 1+random.Int64N(20_000)
		switch random.IntN(5) {
		case 0, 1:
			data := bytes.Repeat([]byte{byte(step) | 1}, int(length))
			if n, err := f.WriteAt(fs.NewBytesSource(data), offset); err != nil || n != len(data) {
				t.Fatalf("step %d: write %d, %v", step, n, err)
			}
			model = append(model, make([]byte, max(0, int(offset+length)-len(model)))...)
			copy(model[offset:], data)
		case 2:
			sink := fs.NewBytesSink(make([]byte, length))
			if _, err := f.ReadAt(sink, offset); err != nil {
				t.Fatal(err)
			}
			want := model[min(int(offset), len(model)):min(int(offset+length), len(model))]
			if !bytes.Equal(sink.Bytes(), want) {
				t.Fatalf("step %d: read %d bytes at %d differ", step, len(want), offset)
			}
		case 3:
			must(t, f.Truncate(offset))
			model = append(model[:min(len(model), int(offset))], make([]byte, max(0, int(offset)-len(model)))...)
		case 4:
			must(t, f.Allocate(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, length, running))
			if int(offset) < len(model) {
				clear(model[offset:min(int(offset+length), len(model))])
			}
		}
		if size := f.Attributes().Size; size != int64(len(model)) {
			t.Fatalf("step %d: size %d, want %d", step, size, len(model))
		}
	}
}

func TestHolesReadAsZerosAndUseNoBlocks(t *testing.T) {
	w := fstest.New(t, 256)
	f := w.Open("/f", unix.O_RDWR|unix.O_CREAT, 0o600)
	const far = int64(1) << 40
	if _, err := f.WriteAt(fs.NewBytesSource([]byte("x")), far); err != nil {
		t.Fatal(err)
	}
	if a := f.Attributes(); a.Size != far+1 || a.Blocks != 8 {
		t.Errorf("size %d, blocks %d", a.Size, a.Blocks)
	}
	for _, c := range []struct {
		offset int64
		whence int
		want   int64
		err    error
	}{
		{0, unix.SEEK_DATA, far, nil}, {0, unix.SEEK_HOLE, 0, nil},
		{far, unix.SEEK_HOLE, far + 1, nil}, {far + 1, unix.SEEK_DATA, 0, unix.ENXIO}, {-1, unix.SEEK_SET, 0, unix.EINVAL},
	} {
		got, err := f.Seek(c.offset, c.whence)
		if got != c.want || err != c.err && !(err == nil && c.err == nil) {
			t.Errorf("lseek(%d, %d) = %d, %v, want %d, %v", c.offset, c.whence, got, err, c.want, c.err)
		}
	}
	if err := f.Truncate(1 << 62); err != nil {
		t.Errorf("ftruncate to 1<<62: %v", err)
	}
	if _, err := f.WriteAt(fs.NewBytesSource([]byte("x")), 1<<63-1); err != unix.EFBIG {
		t.Errorf("write at the maximum offset: %v, want EFBIG", err)
	}
}

func TestWriteToFullFileSystemFailsWithENOSPC(t *testing.T) {
	w := fstest.New(t, 512)
	must(t, w.At("/m").MakeDirectory(0o755))
	config, err := tmpfs.ParseOptions(w.Memory, "size=40k,nr_inodes=4,mode=700")
	must(t, err)
	must(t, w.At("/m").MountAt(tmpfs.New(w.Memory, config), "tmpfs", 0))
	f := w.Open("/m/f", unix.O_RDWR|unix.O_CREAT, 0o600)
	if n, err := f.Write(fs.NewBytesSource(make([]byte, 50_000))); n != 40960 || err != nil {
		t.Errorf("write into a small file system: %d, %v, want 40960", n, err)
	}
	if _, err := f.Write(fs.NewBytesSource([]byte("x"))); err != unix.ENOSPC {
		t.Errorf("write into a full file system: %v, want ENOSPC", err)
	}
	for i := range 3 {
		err = w.At(fmt.Sprint("/m/", i)).MakeDirectory(0o755)
	}
	if err != unix.ENOSPC {
		t.Errorf("mkdir beyond nr_inodes=4: %v, want ENOSPC", err)
	}
	must(t, w.At("/m").Unmount(unix.MNT_DETACH))
}

func TestWriteFailsWhenMemoryRunsOut(t *testing.T) {
	w := fstest.New(t, 64)
	f := w.Open("/f", unix.O_RDWR|unix.O_CREAT, 0o600)
	var err error
	for err == nil {
		_, err = f.Write(fs.NewBytesSource(make([]byte, 8192)))
	}
	if err != unix.ENOSPC && err != unix.ENOMEM {
		t.Errorf("write without free memory: %v, want ENOSPC or ENOMEM", err)
	}
}

// TestReadDirectoryListsEachEntryOnceDuringChanges removes and adds entries
// between the calls of a reader. The reader must see each of the other entries
// exactly once.
func TestReadDirectoryListsEachEntryOnceDuringChanges(t *testing.T) {
	w := fstest.New(t, 512)
	must(t, w.At("/d").MakeDirectory(0o755))
	for i := range 500 {
		w.Write(fmt.Sprintf("/d/%03d", i), "")
	}
	d := w.Open("/d", unix.O_DIRECTORY, 0)
	seen := make(map[string]int)
	for round := 0; ; round++ {
		count := 0
		must(t, d.ReadDirectory(func(e fs.DirectoryEntry) bool {
			if count == 7 {
				return false
			}
			count++
			seen[e.Name]++
			return true
		}))
		if count == 0 {
			break
		}
		w.At(fmt.Sprintf("/d/%03d", round*2)).Unlink() // usually an entry that the reader has passed
		w.Write(fmt.Sprintf("/d/new%d", round%3), "")
	}
	for i := 1; i < 500; i += 2 {
		if n := seen[fmt.Sprintf("%03d", i)]; n != 1 {
			t.Errorf("entry %03d was seen %d times", i, n)
		}
	}
	if seen["."] != 1 || seen[".."] != 1 {
		t.Error(`"." or ".." is missing`)
	}
}

func TestSealsForbidTheirOperations(t *testing.T) {
	w := fstest.New(t, 256)
	f, err := w.Root.OpenMemfd(w.Mounts, "m", 0, 0, true)
	must(t, err)
	defer f.DecRef()
	if _, err := f.Write(fs.NewBytesSource([]byte("12345"))); err != nil {
		t.Fatal(err)
	}
	must(t, tmpfs.AddSeals(f, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW))
	if err := f.Truncate(2); err != unix.EPERM {
		t.Errorf("shrink: %v", err)
	}
	if err := f.Truncate(20); err != unix.EPERM {
		t.Errorf("grow: %v", err)
	}
	if _, err := f.WriteAt(fs.NewBytesSource([]byte("abc")), 0); err != nil {
		t.Errorf("write within: %v", err)
	}
	must(t, tmpfs.AddSeals(f, unix.F_SEAL_WRITE|unix.F_SEAL_SEAL))
	if _, err := f.WriteAt(fs.NewBytesSource([]byte("abc")), 0); err != unix.EPERM {
		t.Errorf("write: %v", err)
	}
	if err := tmpfs.AddSeals(f, unix.F_SEAL_GROW); err != unix.EPERM {
		t.Errorf("seal after F_SEAL_SEAL: %v", err)
	}
	unsealed, err := w.Root.OpenMemfd(w.Mounts, "n", 0, 0, false)
	must(t, err)
	defer unsealed.DecRef()
	if err := tmpfs.AddSeals(unsealed, unix.F_SEAL_GROW); err != unix.EPERM {
		t.Errorf("memfd without MFD_ALLOW_SEALING: %v", err)
	}
}

// memfd returns a file of one page that can be sealed.
func memfd(t *testing.T, w *fstest.World) *fs.File {
	t.Helper()
	f, err := w.Root.OpenMemfd(w.Mounts, "m", 0, 0, true)
	must(t, err)
	must(t, f.Truncate(mm.PageSize))
	t.Cleanup(f.DecRef)
	return f
}

// TestReservedWritableMappingForbidsSealing checks that F_SEAL_WRITE fails from the
// moment at which mmap(2) has checked the seals, not only from the moment at which
// the mapping exists.
func TestReservedWritableMappingForbidsSealing(t *testing.T) {
	w := fstest.New(t, 256)
	f := memfd(t, w)
	object, err := f.Mappable(true)
	must(t, err)
	release, err := tmpfs.ReserveWritable(object)
	must(t, err)
	if err := tmpfs.AddSeals(f, unix.F_SEAL_WRITE); err != unix.EBUSY {
		t.Errorf("F_SEAL_WRITE with a reserved mapping: %v, want EBUSY", err)
	}
	release()
	must(t, tmpfs.AddSeals(f, unix.F_SEAL_WRITE))
	if _, err := tmpfs.ReserveWritable(object); err != unix.EPERM {
		t.Errorf("a writable mapping of a sealed file: %v, want EPERM", err)
	}
	future := memfd(t, w)
	object, err = future.Mappable(true)
	must(t, err)
	release, err = tmpfs.ReserveWritable(object)
	must(t, err)
	must(t, tmpfs.AddSeals(future, unix.F_SEAL_FUTURE_WRITE))
	release()
	if _, err := tmpfs.ReserveWritable(object); err != unix.EPERM {
		t.Errorf("a writable mapping after F_SEAL_FUTURE_WRITE: %v, want EPERM", err)
	}
	if err := future.Allocate(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 1, running); err != unix.EPERM {
		t.Errorf("a hole after F_SEAL_FUTURE_WRITE: %v, want EPERM", err)
	}
}

// TestConcurrentSealAndMappingExcludeEachOther seals a file while another goroutine
// maps it: one of the two must fail.
func TestConcurrentSealAndMappingExcludeEachOther(t *testing.T) {
	w := fstest.New(t, 512)
	space, err := w.Memory.NewAddressSpace()
	must(t, err)
	defer space.DecRef()
	writable := mm.ProtRead | mm.ProtWrite
	for range 1000 {
		f := memfd(t, w)
		object, err := f.Mappable(true)
		must(t, err)
		var group sync.WaitGroup
		mapped := false
		group.Go(func() {
			release, err := tmpfs.ReserveWritable(object)
			if err != nil {
				return
			}
			defer release()
			_, err = space.Mmap(mm.MapRequest{Length: mm.PageSize, Prot: writable, Flags: unix.MAP_SHARED, Object: object, File: f})
			mapped = err == nil
		})
		sealed := tmpfs.AddSeals(f, unix.F_SEAL_WRITE) == nil
		group.Wait()
		if sealed == mapped {
			t.Fatalf("sealed: %v, mapped for writing: %v", sealed, mapped)
		}
	}
}

// TestGrowSealCutsWritesAtTheLastFullPage checks that a write beyond the end of a
// file with F_SEAL_GROW stops before the first page that would grow the file.
func TestGrowSealCutsWritesAtTheLastFullPage(t *testing.T) {
	w := fstest.New(t, 256)
	f := memfd(t, w)
	must(t, f.Truncate(mm.PageSize+10))
	must(t, tmpfs.AddSeals(f, unix.F_SEAL_GROW))
	if n, err := f.WriteAt(fs.NewBytesSource(make([]byte, 2*mm.PageSize)), 0); n != mm.PageSize || err != nil {
		t.Errorf("a write across the end: %d, %v, want %d", n, err, mm.PageSize)
	}
	if n, err := f.WriteAt(fs.NewBytesSource(make([]byte, 10)), mm.PageSize-5); n != 10 || err != nil {
		t.Errorf("a write before the end: %d, %v", n, err)
	}
	if _, err := f.WriteAt(fs.NewBytesSource(make([]byte, 10)), mm.PageSize+5); err != unix.EPERM {
		t.Errorf("a write of bytes on both sides of the end: %v, want EPERM", err)
	}
}

// TestConcurrentAppendsDoNotOverlap appends records from several goroutines. No
// record may be lost or overwritten.
func TestConcurrentAppendsDoNotOverlap(t *testing.T) {
	w := fstest.New(t, 1024)
	w.Write("/log", "")
	var group sync.WaitGroup
	for id := range 4 {
		f := w.Open("/log", unix.O_WRONLY|unix.O_APPEND, 0)
		group.Go(func() {
			for range 200 {
				f.Write(fs.NewBytesSource(bytes.Repeat([]byte{byte('a' + id)}, 10)))
			}
		})
	}
	group.Wait()
	text := w.Read("/log")
	if len(text) != 8000 {
		t.Fatalf("%d bytes, want 8000", len(text))
	}
	for i := 0; i < len(text); i += 10 {
		if text[i:i+10] != string(bytes.Repeat([]byte{text[i]}, 10)) {
			t.Fatalf("record %d has bytes of several writers: %q", i/10, text[i:i+10])
		}
	}
}

// faulty is a source that fails with EFAULT after left bytes.
type faulty struct {
	fs.BytesSource
	left int
}

func (f *faulty) Get(p []byte) (int, error) {
	n := min(len(p), f.left)
	for i := range n {
		p[i] = 'y'
	}
	f.left -= n
	if n < len(p) {
		return n, unix.EFAULT
	}
	return n, nil
}

func (f *faulty) Remaining() int { return 10_000 }

func TestFaultInWriteKeepsTheBytesBeforeIt(t *testing.T) {
	w := fstest.New(t, 256)
	f := w.Open("/f", unix.O_RDWR|unix.O_CREAT, 0o600)
	if n, err := f.Write(&faulty{left: 5000}); n != 5000 || err != nil {
		t.Errorf("write that faults after 5000 bytes: %d, %v", n, err)
	}
	if n, err := f.Write(&faulty{}); n != 0 || err != unix.EFAULT {
		t.Errorf("write that faults at once: %d, %v", n, err)
	}
	if size := f.Attributes().Size; size != 5000 {
		t.Errorf("size %d, want 5000", size)
	}
}

func FuzzParseOptions(f *testing.F) {
	for _, s := range []string{"size=10%", "size=1g,mode=1777", "nr_inodes=5k,uid=0", "size=99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, options string) {
		w := fstest.New(t, 64)
		c, err := tmpfs.ParseOptions(w.Memory, options)
		if err == nil && (c.MaxPages < 0 || c.MaxNodes < 0 || c.Mode > 0o7777) {
			t.Errorf("ParseOptions(%q) returned an invalid config: %+v", options, c)
		}
	})
}

func TestFilePagesCountAsSharedMemoryUntilUnlink(t *testing.T) {
	w := fstest.New(t, 64)
	before := w.Memory.Stats().Shared
	w.Write("/file", string(make([]byte, 3*mm.PageSize)))
	if got := w.Memory.Stats().Shared - before; got != 3 {
		t.Errorf("a file of 3 pages counts as %d", got)
	}
	if err := w.At("/file").Unlink(); err != nil {
		t.Fatal(err)
	}
	if got := w.Memory.Stats().Shared - before; got != 0 {
		t.Errorf("%d pages are still counted after unlink, want 0", got)
	}
}

// TestLinksCountAsInodes: every name needs memory of the kernel, so hard links count
// against nr_inodes as in Linux, and give their count back.
func TestLinksCountAsInodes(t *testing.T) {
	w := fstest.New(t, 512)
	must(t, w.At("/m").MakeDirectory(0o755))
	must(t, w.At("/m").MountAt(tmpfs.New(w.Memory, tmpfs.Config{MaxNodes: 4}), "tmpfs", 0))
	w.Write("/m/f", "")
	must(t, w.At("/m/a").LinkTo(w.At("/m/f")))
	must(t, w.At("/m/b").LinkTo(w.At("/m/f")))
	if err := w.At("/m/c").LinkTo(w.At("/m/f")); err != unix.ENOSPC {
		t.Errorf("a link beyond nr_inodes=4: %v, want ENOSPC", err)
	}
	must(t, w.At("/m/a").Unlink())
	must(t, w.At("/m/c").LinkTo(w.At("/m/f")))
	for _, name := range []string{"/m/f", "/m/b", "/m/c"} {
		must(t, w.At(name).Unlink())
	}
	for i := range 3 {
		must(t, w.At(fmt.Sprint("/m/", i)).MakeDirectory(0o755))
	}
}

// TestPathDescriptorKeepsARemovedFile opens a file by O_PATH, removes its name, and opens
// its contents by the descriptor.
func TestPathDescriptorKeepsARemovedFile(t *testing.T) {
	w := fstest.New(t, 64)
	w.Write("/file", "contents")
	path, err := w.At("/file").Open(unix.O_PATH, 0)
	must(t, err)
	must(t, w.At("/file").Unlink())
	opened, err := fs.At{Caller: w.Caller, Start: path, Empty: true, Follow: true}.Open(unix.O_RDONLY, 0)
	if err != nil {
		t.Fatalf("opening the removed file: %v", err)
	}
	opened.DecRef()
	path.DecRef()
	if got := w.Memory.Stats().Shared; got != 0 {
		t.Errorf("%d pages stay after the last descriptor is closed", got)
	}
}
