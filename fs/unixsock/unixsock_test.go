package unixsock_test

import (
	"reflect"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/eventfd"
	"slowpath/fs/fstest"
	"slowpath/fs/unixsock"
	"slowpath/wait"
)

func send(f *fs.File, text string) error {
	_, err := f.Write(fs.NewBytesSource([]byte(text)))
	return err
}

func receive(t *testing.T, f *fs.File, size int) string {
	t.Helper()
	sink := fs.NewBytesSink(make([]byte, size))
	if _, err := f.Read(sink); err != nil {
		return err.Error()
	}
	return string(sink.Bytes())
}

const again = "resource temporarily unavailable"

func TestStreamPairTransfersBytesAndEOF(t *testing.T) {
	w := fstest.New(t, 64)
	a, b := unixsock.Pair(w.Mounts, w.Caller, unix.SOCK_STREAM, 0)
	send(a, "one ")
	send(a, "two")
	if got := receive(t, b, 5) + "|" + receive(t, b, 100) + "|" + receive(t, b, 1); got != "one t|wo|"+again {
		t.Errorf("reads: %q", got)
	}
	total := 0
	for {
		n, err := a.Write(fs.NewBytesSource(make([]byte, 50_000)))
		total += n
		if err == unix.EAGAIN {
			break
		}
	}
	if total < fs.DefaultSocketBuffer || a.Readiness()&wait.Out != 0 {
		t.Errorf("%d bytes fit into the buffer", total)
	}
	if err := unixsock.Of(a).Shutdown(unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	if err := send(a, "x"); err != unix.EPIPE {
		t.Errorf("write after shutdown: %v", err)
	}
	if got := len(fstest.ReadAll(t, b)); got != total {
		t.Errorf("%d bytes arrived of %d", got, total)
	}
	a.DecRef()
	if b.Readiness()&wait.Hup == 0 {
		t.Error("no POLLHUP when the other end is closed")
	}
	if err := send(b, "x"); err != unix.EPIPE {
		t.Errorf("write to a closed end: %v", err)
	}
	b.DecRef()
}

func TestPacketSocketsKeepMessageBoundaries(t *testing.T) {
	w := fstest.New(t, 64)
	for _, kind := range []int{unix.SOCK_DGRAM, unix.SOCK_SEQPACKET} {
		a, b := unixsock.Pair(w.Mounts, w.Caller, kind, 0)
		send(a, "first")
		send(a, "second")
		if got := receive(t, b, 3) + "|" + receive(t, b, 100); got != "fir|second" {
			t.Errorf("kind %d: %q", kind, got)
		}
		if err := send(a, string(make([]byte, fs.DefaultSocketBuffer))); err != unix.EMSGSIZE {
			t.Errorf("kind %d: a packet that is too long: %v", kind, err)
		}
		a.DecRef()
		b.DecRef()
	}
}

func TestBindListenConnectAccept(t *testing.T) {
	w := fstest.New(t, 64)
	for _, name := range []unixsock.Address{{Name: "/sock"}, {Name: "abs\x00tract", Abstract: true}} {
		listener := unixsock.New(w.Mounts, w.Caller, unix.SOCK_STREAM, 0)
		l := unixsock.Of(listener)
		client := unixsock.New(w.Mounts, w.User(7, 8), unix.SOCK_STREAM, 0)
		c := unixsock.Of(client)
		if err := l.Bind(w.Caller, name); err != nil {
			t.Fatal(err)
		}
		if err := c.Bind(w.Caller, name); err != unix.EADDRINUSE {
			t.Errorf("second bind: %v", err)
		}
		if err := c.Connect(w.Caller, name); err != unix.ECONNREFUSED {
			t.Errorf("connect before listen: %v", err)
		}
		if err := l.Listen(w.Caller, 0); err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.Accept(0); err != unix.EAGAIN {
			t.Errorf("accept without a connection: %v", err)
		}
		if err := c.Connect(w.Caller, name); err != nil {
			t.Fatal(err)
		}
		if listener.Readiness()&wait.In == 0 {
			t.Error("the listener is not readable")
		}
		if err := c.Connect(w.Caller, name); err != unix.EISCONN {
			t.Errorf("second connect: %v", err)
		}
		other := unixsock.New(w.Mounts, w.Caller, unix.SOCK_STREAM, 0)
		if err := unixsock.Of(other).Connect(w.Caller, name); err != unix.EAGAIN {
			t.Errorf("connect beyond the backlog: %v", err)
		}
		server, _, err := l.Accept(0)
		if err != nil {
			t.Fatal(err)
		}
		send(client, "question")
		if got := receive(t, server, 20); got != "question" {
			t.Errorf("server read %q", got)
		}
		if peer, _ := c.PeerName(); peer != name {
			t.Errorf("peer name %+v", peer)
		}
		for _, f := range []*fs.File{listener, client, server, other} {
			f.DecRef()
		}
		again := unixsock.New(w.Mounts, w.Caller, unix.SOCK_STREAM, 0)
		if err := unixsock.Of(again).Connect(w.Caller, name); err != unix.ECONNREFUSED {
			t.Errorf("connect to a name whose socket is closed: %v", err)
		}
		again.DecRef()
	}
	if err := w.At("/sock").Unlink(); err != nil {
		t.Error(err)
	}
	if _, err := w.At("/none").Open(unix.O_RDONLY, 0); err != unix.ENOENT {
		t.Error(err)
	}
}

func TestSCMRightsPassesAndReleasesFiles(t *testing.T) {
	w := fstest.New(t, 64)
	a, b := unixsock.Pair(w.Mounts, w.Caller, unix.SOCK_STREAM, 0)
	defer b.DecRef()
	passed := eventfd.New(w.Mounts, 5, 0)
	send(a, "before")
	if _, err := unixsock.Of(a).Send(fs.NewBytesSource([]byte("with")), unixsock.Outgoing{Caller: w.Caller, Files: []*fs.File{passed}}); err != nil {
		t.Fatal(err)
	}
	send(a, "after")
	if got := receive(t, b, 100); got != "before" {
		t.Errorf("read before the descriptors: %q", got)
	}
	sink := fs.NewBytesSink(make([]byte, 100))
	in, err := unixsock.Of(b).Receive(sink, unixsock.Consume)
	if err != nil || string(sink.Bytes()) != "with" || len(in.Files) != 1 || in.Files[0] != passed {
		t.Fatalf("%q, %+v, %v", sink.Bytes(), in, err)
	}
	in.Files[0].DecRef()
	if got := receive(t, b, 100); got != "after" {
		t.Errorf("read after the descriptors: %q", got)
	}
	// A descriptor that is not received is closed with the socket.
	lost := eventfd.New(w.Mounts, 0, 0)
	released := false
	lost.OnRelease(&fs.ReleaseHook{Released: func(*fs.File) { released = true }})
	unixsock.Of(b).Send(fs.NewBytesSource([]byte("x")), unixsock.Outgoing{Caller: w.Caller, Files: []*fs.File{lost}})
	a.DecRef()
	if !released {
		t.Error("a descriptor in an unread message is still open")
	}
	if got := receive(t, b, 10); got != unix.ECONNRESET.Error() {
		t.Errorf("read after the other end discarded data: %q", got)
	}
}

func TestDatagramsReachTheBoundSocket(t *testing.T) {
	w := fstest.New(t, 64)
	server := unixsock.New(w.Mounts, w.Caller, unix.SOCK_DGRAM, 0)
	defer server.DecRef()
	name := unixsock.Address{Name: "/log"}
	if err := unixsock.Of(server).Bind(w.Caller, name); err != nil {
		t.Fatal(err)
	}
	client := unixsock.New(w.Mounts, w.Caller, unix.SOCK_DGRAM, 0)
	defer client.DecRef()
	unixsock.Of(client).Bind(w.Caller, unixsock.Address{})
	for i := range 11 {
		_, err := unixsock.Of(client).Send(fs.NewBytesSource([]byte("line")), unixsock.Outgoing{Caller: w.Caller, To: &name})
		if want := i == 10; (err == unix.EAGAIN) != want {
			t.Errorf("datagram %d: %v", i, err)
		}
	}
	var s wait.Sleeper
	waiter := s.Waiter(wait.Out)
	client.Queue().Add(waiter)
	defer client.Queue().Remove(waiter)
	in, err := unixsock.Of(server).Receive(fs.NewBytesSink(make([]byte, 2)), unixsock.Peek)
	if err != nil || in.Full != 4 || in.Count != 2 || !in.From.Abstract {
		t.Errorf("peek: %+v, %v", in, err)
	}
	receive(t, server, 10)
	s.Sleep(0) // returns only if the read has woken the blocked sender
	if err := send(client, "x"); err != unix.ENOTCONN {
		t.Errorf("send without a destination: %v", err)
	}
}

// TestOptionsAreReadWhileTheyChange is for the race detector: the result of Options
// is a copy that shares nothing with the socket.
func TestOptionsAreReadWhileTheyChange(t *testing.T) {
	w := fstest.New(t, 64)
	f := unixsock.New(w.Mounts, w.Caller, unix.SOCK_STREAM, 0)
	defer f.DecRef()
	s := unixsock.Of(f)
	var group sync.WaitGroup
	group.Go(func() {
		for i := range int32(1000) {
			s.SetOptions(func(o *unixsock.Options) { o.Kept[fs.Priority] = i })
		}
	})
	for range 1000 {
		o := s.Options()
		if o.Kept[fs.Priority] < 0 || o.Kept[fs.ReuseAddress] != 0 {
			t.Fatalf("options %+v", o)
		}
	}
	group.Wait()
	if v := reflect.ValueOf(s.Options()); !v.Comparable() {
		t.Error("Options contains a map or a slice")
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add([]byte{1, 0, '/', 'a'})
	f.Add([]byte{1, 0, 0, 'a', 0})
	f.Fuzz(func(t *testing.T, p []byte) {
		a, err := unixsock.ParseAddress(p)
		if err != nil {
			return
		}
		back, err := unixsock.ParseAddress(a.Bytes()[:min(len(a.Bytes()), 110)])
		if err != nil || back != a {
			t.Errorf("%v became %+v, then %+v, %v", p, a, back, err)
		}
	})
}

// TestEmptyMessagesTakeRoom: a message without data needs the kernel's memory too, so
// the number of messages is bounded.
func TestEmptyMessagesTakeRoom(t *testing.T) {
	w := fstest.New(t, 64)
	a, b := unixsock.Pair(w.Mounts, w.Caller, unix.SOCK_SEQPACKET, 0)
	defer b.DecRef()
	defer a.DecRef()
	sent := 0
	var err error
	for ; err == nil && sent < 100_000; sent++ {
		_, err = unixsock.Of(a).Send(fs.NewBytesSource(nil), unixsock.Outgoing{Caller: w.Caller})
	}
	if err != unix.EAGAIN || sent > fs.DefaultSocketBuffer/512 {
		t.Fatalf("%d empty messages were sent, then %v; want EAGAIN after a few hundred", sent, err)
	}
	if _, err := unixsock.Of(b).Receive(fs.NewBytesSink(nil), unixsock.Consume); err != nil {
		t.Fatal(err)
	}
	if _, err := unixsock.Of(a).Send(fs.NewBytesSource(nil), unixsock.Outgoing{Caller: w.Caller}); err != nil {
		t.Errorf("a message after one was received: %v", err)
	}
}

// TestEndOfDatagrams: a read that does not wait returns EAGAIN at the end of a datagram
// socket, where one that may wait returns 0, as in Linux.
func TestEndOfDatagrams(t *testing.T) {
	w := fstest.New(t, 64)
	for _, c := range []struct{ kind, flags int }{{unix.SOCK_DGRAM, 0}, {unix.SOCK_DGRAM, unix.O_NONBLOCK}, {unix.SOCK_SEQPACKET, unix.O_NONBLOCK}} {
		a, b := unixsock.Pair(w.Mounts, w.Caller, c.kind, c.flags)
		unixsock.Of(a).Shutdown(unix.SHUT_RD)
		_, err := a.Read(fs.NewBytesSink(make([]byte, 1)))
		if want := c.kind == unix.SOCK_DGRAM && c.flags != 0; (err == unix.EAGAIN) != want {
			t.Errorf("kind %d, flags %#x: %v", c.kind, c.flags, err)
		}
		a.DecRef()
		b.DecRef()
	}
}
