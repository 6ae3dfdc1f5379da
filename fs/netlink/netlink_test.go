package netlink_test

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/fs/fstest"
	"slowpath/fs/netlink"
	"slowpath/wait"
)

const protocol = unix.NETLINK_AUDIT

// world is a namespace with a protocol that keeps what it receives.
type world struct {
	*fstest.World
	family *netlink.Family
	got    []netlink.Message
	sender netlink.Sender
}

func newWorld(t *testing.T) *world {
	w := &world{World: fstest.New(t, 64)}
	w.family = netlink.Register(w.Mounts, netlink.Protocol{
		Number: protocol, Groups: 1,
		Receive: func(_ fs.Caller, from netlink.Sender, p []byte) {
			w.sender = from
			for {
				m, rest, ok := netlink.Next(p)
				if !ok {
					return
				}
				w.got, p = append(w.got, m), rest
			}
		},
	})
	return w
}

func (w *world) socket() *netlink.Socket {
	w.T.Helper()
	f, err := netlink.New(w.Mounts, w.Caller, unix.SOCK_RAW, protocol, 0)
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(f.DecRef)
	return netlink.Of(f)
}

func (w *world) send(s *netlink.Socket, p []byte, to *netlink.Address) error {
	_, err := s.Send(w.Caller, fs.NewBytesSource(p), to, fs.SocketCredentials{})
	return err
}

// receive returns the next message, and its full length.
func receive(s *netlink.Socket, size int) (string, int, error) {
	sink := fs.NewBytesSink(make([]byte, size))
	in, err := s.Receive(sink, false)
	return string(sink.Bytes()), in.Full, err
}

func TestSocketsAreMadeForRegisteredProtocols(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		kind, protocol int
		want           error
	}{
		{unix.SOCK_RAW, protocol, nil}, {unix.SOCK_DGRAM, protocol, nil}, {unix.SOCK_STREAM, protocol, unix.ESOCKTNOSUPPORT},
		{unix.SOCK_RAW, unix.NETLINK_ROUTE, unix.EPROTONOSUPPORT}, {unix.SOCK_RAW, 32, unix.EPROTONOSUPPORT}, {unix.SOCK_RAW, -1, unix.EPROTONOSUPPORT},
	} {
		f, err := netlink.New(w.Mounts, w.Caller, c.kind, c.protocol, 0)
		if !errors.Is(err, c.want) {
			t.Errorf("socket type %d, protocol %d: %v, want %v", c.kind, c.protocol, err, c.want)
		}
		if err == nil {
			f.DecRef()
		}
	}
}

func TestMessagesReachTheKernelAndItsAnswersComeBack(t *testing.T) {
	w := newWorld(t)
	s := w.socket()
	message := append(netlink.Encode(1, 2, 3, []byte("abc")), 0) // padded
	if err := w.send(s, append(message, netlink.Encode(4, 0, 5, nil)...), nil); err != nil {
		t.Fatal(err)
	}
	if len(w.got) != 2 || w.got[0].Type != 1 || string(w.got[0].Payload) != "abc" || w.got[1].Sequence != 5 {
		t.Errorf("the kernel got %+v", w.got)
	}
	if w.sender.Port != uint32(w.Caller.PID) {
		t.Errorf("the port is %d, want the process id", w.sender.Port)
	}
	w.family.Reply(w.sender.Port, w.got[0].Acknowledge(-5, w.sender))
	got, full, err := receive(s, 100)
	if err != nil || full != 16+4+16+3 || int32(binary.LittleEndian.Uint32([]byte(got[16:]))) != -5 || got[36:] != "abc" {
		t.Errorf("the acknowledgement is %q, %d, %v", got, full, err)
	}
	if _, _, err := receive(s, 100); err != unix.EAGAIN {
		t.Errorf("an empty socket: %v, want EAGAIN", err)
	}
}

func TestPortsAreUnique(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.socket(), w.socket(), w.socket()
	if err := a.Bind(w.Caller, netlink.Address{Port: 7}); err != nil {
		t.Fatal(err)
	}
	if err := b.Bind(w.Caller, netlink.Address{Port: 7}); err != unix.EADDRINUSE {
		t.Errorf("a port twice: %v, want EADDRINUSE", err)
	}
	if err := a.Bind(w.Caller, netlink.Address{Port: 8}); err != unix.EINVAL {
		t.Errorf("another port: %v, want EINVAL", err)
	}
	b.Bind(w.Caller, netlink.Address{})
	c.Bind(w.Caller, netlink.Address{})
	if b.LocalName().Port != uint32(w.Caller.PID) || int32(c.LocalName().Port) >= -4096 {
		t.Errorf("the ports are %d and %d", b.LocalName().Port, int32(c.LocalName().Port))
	}
}

func TestSendRefusesWhatItCannotSend(t *testing.T) {
	w := newWorld(t)
	s := w.socket()
	if err := w.send(s, nil, nil); err != unix.ENODATA {
		t.Errorf("an empty message: %v, want ENODATA", err)
	}
	if err := w.send(s, make([]byte, fs.DefaultSocketBuffer), nil); err != unix.EMSGSIZE {
		t.Errorf("a long message: %v, want EMSGSIZE", err)
	}
	if err := w.send(s, []byte("x"), &netlink.Address{Port: 99}); err != unix.ECONNREFUSED {
		t.Errorf("a port without a socket: %v, want ECONNREFUSED", err)
	}
	user := w.User(1, 1)
	if _, err := s.Send(user, fs.NewBytesSource([]byte("x")), &netlink.Address{Port: 99}, fs.SocketCredentials{}); err != unix.EPERM {
		t.Errorf("a port, without CAP_NET_ADMIN: %v, want EPERM", err)
	}
}

func TestFullSocketMakesSendersWaitAndReportsLoss(t *testing.T) {
	w := newWorld(t)
	s := w.socket()
	s.Bind(w.Caller, netlink.Address{Groups: 1})
	s.SetOptions(func(o *fs.SocketOptions) { o.ReceiveBuffer = 4608 })
	port := s.LocalName().Port
	sent := 0
	for w.family.Unicast(port, make([]byte, 1000), 0) == nil {
		sent++
	}
	if sent < 2 || sent > 5 {
		t.Errorf("%d messages of 1000 bytes are in a socket of 4608", sent)
	}
	go func() { time.Sleep(10 * time.Millisecond); receive(s, 1000) }()
	if err := w.family.Unicast(port, make([]byte, 10), 10*time.Second); err != nil {
		t.Errorf("a sender that waits: %v", err)
	}
	w.family.Unicast(port, make([]byte, 1000), 0)
	w.family.Multicast(1, []byte("lost"))
	if s.Readiness()&wait.Err == 0 {
		t.Error("the loss is not shown")
	}
	if _, _, err := receive(s, 1000); err != unix.ENOBUFS {
		t.Errorf("after a loss: %v, want ENOBUFS", err)
	}
}

func TestRepliesWaitForRoom(t *testing.T) {
	w := newWorld(t)
	s := w.socket()
	s.Bind(w.Caller, netlink.Address{})
	s.SetOptions(func(o *fs.SocketOptions) { o.ReceiveBuffer = 4608 })
	for i := range 100 {
		if err := w.family.Reply(s.LocalName().Port, make([]byte, 1000+i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		if _, full, err := receive(s, 10); err != nil || full != 1000+i {
			t.Fatalf("reply %d: %d bytes, %v", i, full, err)
		}
	}
	if err := w.family.Reply(s.LocalName().Port, make([]byte, 8<<20)); err == nil {
		t.Error("replies have no bound")
	}
}

func FuzzNext(f *testing.F) {
	f.Add(netlink.Encode(1, 2, 3, []byte("abc")))
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, p []byte) {
		for n := 0; ; n++ {
			m, rest, ok := netlink.Next(p)
			if !ok {
				return
			}
			if len(rest) >= len(p) || len(m.Payload) > len(p) || n > len(p) {
				t.Fatal("the messages do not get shorter")
			}
			m.Acknowledge(-1, netlink.Sender{})
			p = rest
		}
	})
}

func TestMessageIsSentToOneGroup(t *testing.T) {
	w := newWorld(t)
	s := w.socket()
	if err := s.Connect(w.Caller, netlink.Address{Port: 7, Groups: 6}); err != nil {
		t.Fatal(err)
	}
	if got := s.PeerName(); got != (netlink.Address{Port: 7, Groups: 2}) {
		t.Errorf("connected to the groups 6, the peer is %+v, want the lowest group", got)
	}
}
