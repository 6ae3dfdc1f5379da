package unixsock_test

import (
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/fs/epoll"
	"slowpath/fs/eventfd"
	"slowpath/fs/fstest"
	"slowpath/fs/unixsock"
	"slowpath/wait"
)

// pass sends files over a socket with one byte, and drops the caller's references.
func pass(t *testing.T, w *fstest.World, over *fs.File, files ...*fs.File) {
	t.Helper()
	out := unixsock.Outgoing{Caller: w.Caller, Files: files, Limit: 1 << 20}
	if _, err := unixsock.Of(over).Send(fs.NewBytesSource([]byte("f")), out); err != nil {
		t.Fatal(err)
	}
}

// kept adds a reference to a file, for a caller that passes it and goes on to use it.
func kept(f *fs.File) *fs.File {
	f.IncRef()
	return f
}

// witness returns a file and a function that reports whether the file was released.
func witness(w *fstest.World) (*fs.File, func() bool) {
	released := false
	f := eventfd.New(w.Mounts, 0, 0)
	f.OnRelease(&fs.ReleaseHook{Released: func(*fs.File) { released = true }})
	return f, func() bool { return released }
}

// TestSocketsThatOnlyHoldEachOtherAreReleased makes cycles of sockets in flight. A
// file in flight with them is released, because it cannot be received.
func TestSocketsThatOnlyHoldEachOtherAreReleased(t *testing.T) {
	type pair struct{ a, b *fs.File }
	newPair := func(w *fstest.World) pair {
		a, b := unixsock.Pair(w.Mounts, w.Caller, unix.SOCK_STREAM, 0)
		return pair{a, b}
	}
	listener := func(w *fstest.World) (l, client *fs.File) {
		name := unixsock.Address{Name: "l", Abstract: true}
		l = unixsock.New(w.Mounts, w.Caller, unix.SOCK_STREAM, 0)
		client = unixsock.New(w.Mounts, w.Caller, unix.SOCK_STREAM, 0)
		unixsock.Of(l).Bind(w.Caller, name)
		unixsock.Of(l).Listen(w.Caller, 5)
		if err := unixsock.Of(client).Connect(w.Caller, name); err != nil {
			t.Fatal(err)
		}
		return l, client
	}
	for what, leave := range map[string]func(w *fstest.World, f *fs.File){
		"a socket in its own queue": func(w *fstest.World, f *fs.File) {
			p := newPair(w)
			pass(t, w, p.b, kept(p.a), f)
			p.a.DecRef()
			p.b.DecRef()
		},
		"both ends, each in the other's queue": func(w *fstest.World, f *fs.File) {
			p := newPair(w)
			pass(t, w, p.a, kept(p.a), f)
			pass(t, w, p.b, kept(p.b))
			p.a.DecRef()
			p.b.DecRef()
		},
		"two pairs in each other's queues": func(w *fstest.World, f *fs.File) {
			p, q := newPair(w), newPair(w)
			pass(t, w, p.a, kept(q.b), f)
			pass(t, w, q.a, kept(p.b))
			for _, f := range []*fs.File{p.b, q.b, p.a, q.a} {
				f.DecRef()
			}
		},
		"a listener in the queue of a connection that was not accepted": func(w *fstest.World, f *fs.File) {
			l, client := listener(w)
			pass(t, w, client, kept(l), f)
			l.DecRef()
			client.DecRef()
		},
		"a socket twice in its own queue, and a file behind it": func(w *fstest.World, f *fs.File) {
			p, q := newPair(w), newPair(w)
			pass(t, w, p.b, kept(p.a), kept(p.a))
			pass(t, w, p.b, kept(q.a))
			pass(t, w, q.b, f)
			for _, f := range []*fs.File{p.a, q.a, q.b, p.b} {
				f.DecRef()
			}
		},
	} {
		w := fstest.New(t, 64)
		f, released := witness(w)
		leave(w, f)
		// Closing any socket looks for garbage.
		unixsock.New(w.Mounts, w.Caller, unix.SOCK_DGRAM, 0).DecRef()
		if !released() {
			t.Errorf("%s: a file in flight is still open", what)
		}
	}
}

// TestReachableSocketsInFlightStay checks that a socket in flight to itself is kept
// while a descriptor, or a message to a socket in use, leads to it.
func TestReachableSocketsInFlightStay(t *testing.T) {
	w := fstest.New(t, 64)
	f, released := witness(w)
	cycleA, cycleB := unixsock.Pair(w.Mounts, w.Caller, unix.SOCK_STREAM, 0)
	a, b := unixsock.Pair(w.Mounts, w.Caller, unix.SOCK_STREAM, 0)
	pass(t, w, cycleB, kept(cycleA), f)
	pass(t, w, a, cycleA)
	cycleB.DecRef()
	if released() {
		t.Fatal("a file was released that can still be received")
	}
	in, err := unixsock.Of(b).Receive(fs.NewBytesSink(make([]byte, 1)), unixsock.Consume)
	if err != nil || len(in.Files) != 1 || in.Files[0] != cycleA {
		t.Fatalf("%+v, %v", in, err)
	}
	inner, err := unixsock.Of(cycleA).Receive(fs.NewBytesSink(make([]byte, 1)), unixsock.Consume)
	if err != nil || len(inner.Files) != 2 {
		t.Fatalf("%+v, %v", inner, err)
	}
	for _, f := range append(inner.Files, in.Files[0], a, b) {
		f.DecRef()
	}
	if !released() {
		t.Error("the file is still open at the end")
	}
}

// TestLongChainsOfSocketsInFlightAreReleased sends each socket over the next one.
// Closing the last one must not need a stack as deep as the chain is long.
func TestLongChainsOfSocketsInFlightAreReleased(t *testing.T) {
	w := fstest.New(t, 64)
	f, released := witness(w)
	inner := f
	for range 4_000 {
		a, b := unixsock.Pair(w.Mounts, w.Caller, unix.SOCK_STREAM, 0)
		pass(t, w, a, inner)
		a.DecRef()
		inner = b
	}
	inner.DecRef()
	if !released() {
		t.Error("the file at the end of the chain is still open")
	}
}

// TestFilesInFlightAreLimited checks that a user may send descriptors up to
// RLIMIT_NOFILE, counted in all sockets, and more after they were received.
func TestFilesInFlightAreLimited(t *testing.T) {
	w := fstest.New(t, 64)
	c := w.User(1000, 1000)
	a, b := unixsock.Pair(w.Mounts, c, unix.SOCK_DGRAM, 0)
	defer a.DecRef()
	defer b.DecRef()
	f := eventfd.New(w.Mounts, 0, 0)
	defer f.DecRef()
	sendAs := func(caller *fstest.Caller) error {
		out := unixsock.Outgoing{Caller: caller, Files: []*fs.File{kept(f), kept(f)}, Limit: 3}
		_, err := unixsock.Of(a).Send(fs.NewBytesSource([]byte("x")), out)
		if err != nil {
			f.DecRef()
			f.DecRef()
		}
		return err
	}
	for i, want := range []error{nil, nil, unix.ETOOMANYREFS} {
		if err := sendAs(c); err != want {
			t.Errorf("message %d: %v, want %v", i, err, want)
		}
	}
	if !w.Caller.Cred.Has(cred.SysResource) || sendAs(w.Caller) != nil {
		t.Error("the limit applies to root")
	}
	in, err := unixsock.Of(b).Receive(fs.NewBytesSink(make([]byte, 1)), unixsock.Consume)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range in.Files {
		f.DecRef()
	}
	if err := sendAs(c); err != nil {
		t.Errorf("after a message was received: %v", err)
	}
}

// TestListenerCloseResetsWaitingClients closes a listener before it accepts: the
// client gets ECONNRESET once and then the end of the file, and an edge-triggered
// set reports all of it.
func TestListenerCloseResetsWaitingClients(t *testing.T) {
	w := fstest.New(t, 64)
	name := unixsock.Address{Name: "l", Abstract: true}
	l := unixsock.New(w.Mounts, w.Caller, unix.SOCK_STREAM, 0)
	client := unixsock.New(w.Mounts, w.Caller, unix.SOCK_STREAM, 0)
	defer client.DecRef()
	unixsock.Of(l).Bind(w.Caller, name)
	unixsock.Of(l).Listen(w.Caller, 5)
	if err := unixsock.Of(client).Connect(w.Caller, name); err != nil {
		t.Fatal(err)
	}
	set := epoll.New(w.Mounts, w.Caller)
	defer set.DecRef()
	epoll.Of(set).Add(client, 3, epoll.Event{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET})
	epoll.Of(set).Collect(1)
	l.DecRef()
	const want = unix.EPOLLIN | unix.EPOLLERR | unix.EPOLLHUP | unix.EPOLLRDHUP
	if got := epoll.Of(set).Collect(1); len(got) != 1 || got[0].Events != want {
		t.Errorf("epoll reports %+v, want %#x", got, want)
	}
	if got := receive(t, client, 1); got != unix.ECONNRESET.Error() {
		t.Errorf("first read: %q", got)
	}
	if got := receive(t, client, 1); got != "" {
		t.Errorf("second read: %q, want the end of the file", got)
	}
	if err := send(client, "x"); err != unix.EPIPE {
		t.Errorf("write: %v, want EPIPE", err)
	}
}

// TestFaultsKeepStreamsAndLosePackets reads and writes with user memory that ends
// early. Each result is that of Linux 6.18 for the same calls.
func TestFaultsKeepStreamsAndLosePackets(t *testing.T) {
	w := fstest.New(t, 64)
	again := unix.EAGAIN.Error()
	for _, c := range []struct {
		kind   int
		writes []int // sizes of the messages before the read
		memory fstest.PartialMemory
		want   int    // EFAULT if 0
		next   string // the result of the next read of up to 100 bytes, or its length
	}{
		{unix.SOCK_STREAM, []int{10}, fstest.PartialMemory{Size: 10, Good: 4}, 0, "10"},
		{unix.SOCK_STREAM, []int{10, 10}, fstest.PartialMemory{Size: 20, Good: 15}, 10, "10"},
		{unix.SOCK_STREAM, []int{30}, fstest.PartialMemory{Size: 20, Good: 10}, 0, "30"},
		{unix.SOCK_DGRAM, []int{10}, fstest.PartialMemory{Size: 10, Good: 4}, 0, again},
		{unix.SOCK_SEQPACKET, []int{10, 3}, fstest.PartialMemory{Size: 10, Good: 4}, 0, "3"},
	} {
		a, b := unixsock.Pair(w.Mounts, w.Caller, c.kind, 0)
		if _, err := a.Write(&fstest.PartialMemory{Size: 200, Good: 100}); err != unix.EFAULT {
			t.Errorf("kind %d: write with a fault: %v, want EFAULT", c.kind, err)
		}
		passed, _ := witness(w)
		for i, size := range c.writes {
			out := unixsock.Outgoing{Caller: w.Caller, Limit: 100}
			if i == 0 && len(c.writes) == 1 {
				out.Files = []*fs.File{passed}
			}
			unixsock.Of(a).Send(fs.NewBytesSource(make([]byte, size)), out)
		}
		n, err := b.Read(&c.memory)
		if n != c.want || (err == unix.EFAULT) != (c.want == 0) {
			t.Errorf("kind %d: read with a fault: %d, %v, want %d", c.kind, n, err, c.want)
		}
		in, err := unixsock.Of(b).Receive(fs.NewBytesSink(make([]byte, 100)), unixsock.Consume)
		got := again
		if err == nil {
			got = strconv.Itoa(in.Count)
		}
		if got != c.next {
			t.Errorf("kind %d, writes %v: the next read: %s, want %s", c.kind, c.writes, got, c.next)
		}
		if want := len(c.writes) == 1 && c.kind == unix.SOCK_STREAM; len(in.Files) == 1 != want {
			t.Errorf("kind %d: %d files after the fault", c.kind, len(in.Files))
		}
		a.DecRef()
		b.DecRef()
	}
}

// TestSendingNothingIsNoEndOfFile sends no bytes on a stream: the reader must not see
// a message.
func TestSendingNothingIsNoEndOfFile(t *testing.T) {
	w := fstest.New(t, 64)
	a, b := unixsock.Pair(w.Mounts, w.Caller, unix.SOCK_STREAM, 0)
	defer b.DecRef()
	f, released := witness(w)
	out := unixsock.Outgoing{Caller: w.Caller, Files: []*fs.File{f}, Limit: 100}
	if n, err := unixsock.Of(a).Send(fs.NewBytesSource(nil), out); n != 0 || err != nil {
		t.Errorf("send: %d, %v", n, err)
	}
	if !released() {
		t.Error("the descriptor of an empty message is kept")
	}
	if got := receive(t, b, 10); got != again {
		t.Errorf("read: %q", got)
	}
	unixsock.Of(a).Shutdown(unix.SHUT_WR)
	if _, err := unixsock.Of(a).Send(fs.NewBytesSource(nil), unixsock.Outgoing{Caller: w.Caller}); err != unix.EPIPE {
		t.Errorf("send after shutdown: %v, want EPIPE", err)
	}
	a.DecRef()
}

// TestPartialReadsOfAStreamCauseNoWakeUp counts the wake-ups that EPOLLET reports.
func TestPartialReadsOfAStreamCauseNoWakeUp(t *testing.T) {
	w := fstest.New(t, 64)
	a, b := unixsock.Pair(w.Mounts, w.Caller, unix.SOCK_STREAM, 0)
	defer a.DecRef()
	defer b.DecRef()
	woken := 0
	count := func(*wait.Waiter, wait.Events) { woken++ }
	reader, writer := &wait.Waiter{Mask: wait.In, Notify: count}, &wait.Waiter{Mask: wait.Out, Notify: count}
	b.Queue().Add(reader)
	defer b.Queue().Remove(reader)
	a.Queue().Add(writer)
	defer a.Queue().Remove(writer)
	send(a, "0123456789")
	if woken != 1 {
		t.Errorf("a write woke %d times, want once", woken)
	}
	receive(t, b, 4)
	if woken != 1 {
		t.Error("a partial read woke the reader or the writer")
	}
	receive(t, b, 100)
	if woken != 2 {
		t.Error("the end of a message did not wake the writer")
	}
}
