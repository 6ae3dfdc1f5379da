package pipe_test

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/fs/pipe"
	"slowpath/wait"
)

func newPair(t *testing.T) (r, w *fs.File) {
	_, r, w = newWorldWithPair(t)
	return r, w
}

func newWorldWithPair(t *testing.T) (world *fstest.World, r, w *fs.File) {
	world = fstest.New(t, 64)
	r, w, err := pipe.New(world.Mounts, world.Caller, 0)
	if err != nil {
		t.Fatal(err)
	}
	return world, r, w
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
	for _, size := range []int{1, 4096, 5000} {
		if _, err := w.Write(fs.NewBytesSource(make([]byte, size))); err != unix.EAGAIN {
			t.Errorf("write of %d bytes while no page is unused: %v, want EAGAIN", size, err)
		}
	}
	r.Read(fs.NewBytesSink(make([]byte, 96)))
	if n, err := w.Write(fs.NewBytesSource(make([]byte, 5000))); n != 4096 || err != nil {
		t.Errorf("write of more than one page into an unused page: %d, %v", n, err)
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

// TestFaultsKeepWholePages writes and reads with user memory that ends early. As in
// Linux, the page in which the fault happens is not moved.
func TestFaultsKeepWholePages(t *testing.T) {
	for _, c := range []struct {
		what   string
		before []int // sizes of earlier writes
		read   bool
		memory fstest.PartialMemory
		want   int // EFAULT if 0
		left   int // bytes in the pipe afterwards
	}{
		{what: "write within a page", memory: fstest.PartialMemory{Size: 200, Good: 100}},
		{what: "write of the first page", memory: fstest.PartialMemory{Size: 8192, Good: 4096}, want: 4096, left: 4096},
		{what: "write of more than a page", memory: fstest.PartialMemory{Size: 8192, Good: 5000}, want: 4096, left: 4096},
		{what: "write behind another", before: []int{10}, memory: fstest.PartialMemory{Size: 20, Good: 10}, left: 10},
		{what: "read within a page", before: []int{10}, read: true, memory: fstest.PartialMemory{Size: 10, Good: 4}, left: 10},
		{what: "read of the first page", before: []int{6000}, read: true, memory: fstest.PartialMemory{Size: 6000, Good: 5000}, want: 4096, left: 1904},
		{what: "read of a page of two writes", before: []int{10, 5000}, read: true, memory: fstest.PartialMemory{Size: 6000, Good: 4000}, want: 914, left: 4096},
	} {
		r, w := newPair(t)
		for _, size := range c.before {
			w.Write(fs.NewBytesSource(make([]byte, size)))
		}
		move := func() (int, error) { return w.Write(&c.memory) }
		if c.read {
			move = func() (int, error) { return r.Read(&c.memory) }
		}
		n, err := move()
		if n != c.want || (err == unix.EFAULT) != (c.want == 0) {
			t.Errorf("%s: %d, %v, want %d", c.what, n, err, c.want)
		}
		if left := pipe.Of(r).Buffered(); left != c.left {
			t.Errorf("%s: %d bytes are in the pipe, want %d", c.what, left, c.left)
		}
		w.DecRef()
		if all := fstest.ReadAll(t, r); len(all) != c.left {
			t.Errorf("%s: %d bytes can be read, want %d", c.what, len(all), c.left)
		}
		r.DecRef()
	}
}

// TestWakeUpsOfPartialReads counts the wake-ups of both ends, which EPOLLET reports:
// readers are woken by new data only, and writers only after the pipe was full.
func TestWakeUpsOfPartialReads(t *testing.T) {
	r, w := newPair(t)
	defer r.DecRef()
	defer w.DecRef()
	woken := map[wait.Events]int{}
	for _, events := range []wait.Events{wait.In, wait.Out} {
		waiter := &wait.Waiter{Mask: events, Notify: func(*wait.Waiter, wait.Events) { woken[events]++ }}
		r.Queue().Add(waiter)
		defer r.Queue().Remove(waiter)
	}
	expect := func(what string, in, out int) {
		t.Helper()
		if woken[wait.In] != in || woken[wait.Out] != out {
			t.Errorf("%s woke readers %d times and writers %d times, want %d and %d", what, woken[wait.In], woken[wait.Out], in, out)
		}
		clear(woken)
	}
	w.Write(fs.NewBytesSource(make([]byte, 100)))
	expect("a write", 1, 0)
	r.Read(fs.NewBytesSink(make([]byte, 10)))
	expect("a partial read", 0, 0)
	w.Write(fs.NewBytesSource(make([]byte, 70_000)))
	expect("a write that fills the pipe", 1, 0)
	r.Read(fs.NewBytesSink(make([]byte, 10)))
	expect("a read from a full pipe", 0, 1)
}

func TestUnreadBytesComeFirst(t *testing.T) {
	r, w := newPair(t)
	defer r.DecRef()
	w.Write(fs.NewBytesSource([]byte("behind")))
	pipe.Of(r).Unread([]byte("before "))
	w.DecRef()
	if got := fstest.ReadAll(t, r); got != "before behind" {
		t.Errorf("read %q", got)
	}
}

// TestReopeningAnUnnamedPipeDoesNotBlock opens an end of an unnamed pipe, as
// /proc/pid/fd does, after the other end was closed. The open must neither wait
// nor fail.
func TestReopeningAnUnnamedPipeDoesNotBlock(t *testing.T) {
	world, r, w := newWorldWithPair(t)
	w.Write(fs.NewBytesSource([]byte("left behind")))
	w.DecRef()
	operations, err := r.Inode().Open(fs.OpenRequest{Caller: world.Caller, Mounts: world.Mounts, Flags: unix.O_RDONLY})
	if err != nil {
		t.Fatal(err)
	}
	if err := operations.(fs.Opener).Opened(); err != nil {
		t.Errorf("a reader without a writer: %v", err)
	}
	world, r, w = newWorldWithPair(t)
	r.DecRef()
	if _, err := w.Inode().Open(fs.OpenRequest{Caller: world.Caller, Mounts: world.Mounts, Flags: unix.O_WRONLY | unix.O_NONBLOCK}); err != nil {
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
		if got, err := p.SetCapacity(c.size, cred.User(1000, 1000)); got != c.want || err != c.err && !(err == nil && c.err == nil) {
			t.Errorf("SetCapacity(%d) = %d, %v", c.size, got, err)
		}
	}
}

func TestUnprivilegedUserAboveSoftLimitGetsSmallPipes(t *testing.T) {
	world := fstest.New(t, 64)
	user := world.User(1000, 1000)
	world.Mounts.Settings.PipeUserPagesSoft.Set(20)
	var files []*fs.File
	open := func(caller fs.Caller) *pipe.Pipe {
		r, w, err := pipe.New(world.Mounts, caller, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, r, w)
		return pipe.Of(r)
	}
	first, second := open(user), open(user)
	if first.Capacity() != pipe.DefaultCapacity || second.Capacity() != 8192 {
		t.Errorf("capacities %d and %d, want the default and two pages", first.Capacity(), second.Capacity())
	}
	if _, err := second.SetCapacity(65536, user.Credentials()); err != unix.EPERM {
		t.Errorf("F_SETPIPE_SZ above the soft limit: %v, want EPERM", err)
	}
	if root := open(world.Caller); root.Capacity() != pipe.DefaultCapacity {
		t.Errorf("root got %d bytes, want the default", root.Capacity())
	}
	for _, f := range files {
		f.DecRef()
	}
	if held := world.Mounts.Accounts().Held(1000, fs.PipePages); held != 0 {
		t.Errorf("the user is charged for %d pages after all pipes were closed", held)
	}
	if again := open(user); again.Capacity() != pipe.DefaultCapacity {
		t.Errorf("after closing all pipes a new one has %d bytes", again.Capacity())
	}
}

func TestUserAboveHardLimitGetsNoPipe(t *testing.T) {
	world := fstest.New(t, 64)
	world.Mounts.Settings.PipeUserPagesHard.Set(20)
	user := world.User(1000, 1000)
	r, w, err := pipe.New(world.Mounts, user, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.DecRef()
	defer w.DecRef()
	if _, _, err := pipe.New(world.Mounts, user, 0); err != unix.ENFILE {
		t.Errorf("a pipe above the hard limit: %v, want ENFILE", err)
	}
}

// TestSmallTransfersAllocateNothing: one page of a pipe is in use, as between two programs that
// answer each other.
func TestSmallTransfersAllocateNothing(t *testing.T) {
	r, w := newPair(t)
	defer r.DecRef()
	defer w.DecRef()
	b := make([]byte, 16)
	got := testing.AllocsPerRun(20, func() {
		source, sink := fs.NewBytesSource(b), fs.NewBytesSink(b)
		if n, err := w.Write(source); n != len(b) || err != nil {
			t.Errorf("write: %d, %v", n, err)
		}
		if n, err := r.Read(sink); n != len(b) || err != nil {
			t.Errorf("read: %d, %v", n, err)
		}
	})
	const ofTheTest = 2 // the source and the sink
	if got > ofTheTest {
		t.Errorf("a write and a read allocate %v times, want at most %d", got, ofTheTest)
	}
}
