package virtio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"
)

const longTime = 20 * time.Second

// open returns the open port of a device. Serve runs until the test ends.
func open(t *testing.T, s *simulated) *Port {
	t.Helper()
	transport, err := NewMMIO(s)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPort(transport, s.allocate)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, s, p)
	if err := p.Open("link", longTime); err != nil {
		t.Fatal(err)
	}
	return p
}

func serve(t *testing.T, s *simulated, p *Port) {
	done := make(chan struct{})
	go func() { p.Serve(s.waitIRQ); close(done) }()
	t.Cleanup(func() { s.set(func() { s.gone = true; close(s.irq) }); <-done })
}

func pattern(n int) []byte {
	data := make([]byte, n)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

func TestOutputIsComplete(t *testing.T) {
	s := newSimulated()
	p := open(t, s)
	if want := uint64(featureVersion1 | featureMultiport); s.accepted != want {
		t.Errorf("the driver accepts %#x, want %#x", s.accepted, want)
	}
	var all []byte
	for _, n := range []int{1, 5, pageSize, pageSize + 1, transmitPages * pageSize, transmitPages*pageSize + 1, 300_000, 0} {
		data := pattern(n)
		all = append(all, data...)
		if written, err := p.Write(data); written != n || err != nil {
			t.Fatalf("Write of %d bytes: %d, %v", n, written, err)
		}
	}
	if !bytes.Equal(s.sent(), all) {
		t.Error("the bytes that were sent differ from those that were written")
	}
}

func TestQueueIndicesWrapAround(t *testing.T) {
	s := newSimulated()
	p := open(t, s)
	for range 1<<16 + 100 {
		if _, err := p.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.sent()); n != 1<<16+100 {
		t.Errorf("%d bytes were sent, want %d", n, 1<<16+100)
	}
}

func TestWriteBlocksWhileHostDoesNotRead(t *testing.T) {
	s := newSimulated()
	p := open(t, s)
	s.set(func() { s.deaf = true })
	data := pattern(200_000)
	written := make(chan error)
	go func() { _, err := p.Write(data); written <- err }()
	select {
	case err := <-written:
		t.Fatalf("Write does not block: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	s.set(func() { s.deaf = false })
	s.run()
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(s.sent(), data) {
		t.Error("the bytes that were sent differ from those that were written")
	}
}

func TestInputIsComplete(t *testing.T) {
	s := newSimulated()
	p := open(t, s)
	data := pattern(1_000_000)
	go func() {
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1+len(rest)%9000)
			s.send(rest[:n])
			rest = rest[n:]
		}
	}()
	got := make([]byte, len(data))
	if _, err := io.ReadFull(p, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, data) {
		t.Error("the bytes that arrived differ from those that were sent")
	}
	if n, err := p.Read(nil); n != 0 || err != nil {
		t.Errorf("Read with an empty buffer returns %d, %v", n, err)
	}
}

func TestBothDirectionsWorkOnSlowDevice(t *testing.T) {
	s := newSimulated()
	s.late = true
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Microsecond):
				s.run()
			}
		}
	}()
	p := open(t, s)
	data := pattern(500_000)
	go p.Write(data)
	go s.send(data)
	got := make([]byte, len(data))
	if _, err := io.ReadFull(p, got); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(longTime); len(s.sent()) < len(data) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if !bytes.Equal(got, data) || !bytes.Equal(s.sent(), data) {
		t.Error("the bytes that arrived differ from those that were sent")
	}
}

func TestUnsuitableDeviceIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(s *simulated){
		"no device":       func(s *simulated) { s.magic = 0xffffffff },
		"legacy":          func(s *simulated) { s.version = 1 },
		"empty slot":      func(s *simulated) { s.kind = 0 },
		"disk":            func(s *simulated) { s.kind = 2 },
		"no multiport":    func(s *simulated) { s.features &^= featureMultiport },
		"legacy features": func(s *simulated) { s.features &^= featureVersion1 },
		"refusal":         func(s *simulated) { s.refuse = true },
		"no reset":        func(s *simulated) { s.stuck, s.status = true, statusAcknowledge },
		"one port":        func(s *simulated) { s.ports = 1 },
		"small queues":    func(s *simulated) { s.limit = queueSize / 2 },
		"no queues":       func(s *simulated) { s.limit = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSimulated()
			spoil(s)
			transport, err := NewMMIO(s)
			if err == nil {
				_, err = NewPort(transport, s.allocate)
			}
			if !errors.Is(err, ErrDevice) {
				t.Errorf("the error is %v, want ErrDevice", err)
			}
			if s.status&statusDriverOK != 0 {
				t.Error("the device is started")
			}
		})
	}
}

func TestAllocationErrorIsReturned(t *testing.T) {
	for most := range 8 {
		s := newSimulated()
		none := errors.New("no memory")
		transport, _ := NewMMIO(s)
		calls := 0
		_, err := NewPort(transport, func(pages int) ([]Segment, error) {
			if calls++; calls > most {
				return nil, none
			}
			return s.allocate(pages)
		})
		if want := most < 7; errors.Is(err, none) != want {
			t.Errorf("with %d allocations, the error is %v", most, err)
		}
	}
}

func TestOpenTimesOut(t *testing.T) {
	for name, spoil := range map[string]func(s *simulated){
		"other name":    func(s *simulated) { s.name = "agent" },
		"not connected": func(s *simulated) { s.connected = false },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSimulated()
			spoil(s)
			transport, _ := NewMMIO(s)
			p, err := NewPort(transport, s.allocate)
			if err != nil {
				t.Fatal(err)
			}
			serve(t, s, p)
			if err := p.Open("link", 20*time.Millisecond); !errors.Is(err, ErrDevice) {
				t.Errorf("the error is %v, want ErrDevice", err)
			}
		})
	}
}

func TestHostileUsedRingIsRefused(t *testing.T) {
	put := binary.LittleEndian.PutUint32
	for name, spoil := range map[string]func(q *simulatedQueue, entry []byte){
		"head outside of table":  func(_ *simulatedQueue, e []byte) { put(e, queueSize) },
		"huge head":              func(_ *simulatedQueue, e []byte) { put(e, 1<<32-1) },
		"head of another chain":  func(_ *simulatedQueue, e []byte) { put(e, binary.LittleEndian.Uint32(e)^1); put(e[4:], 1<<20) },
		"more bytes than fit":    func(_ *simulatedQueue, e []byte) { put(e[4:], receiveSize+1) },
		"more chains than given": func(q *simulatedQueue, _ []byte) { q.used += queueSize + 1 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSimulated()
			p := open(t, s)
			s.set(func() { s.spoil = spoil })
			if _, err := p.Write([]byte("x")); !errors.Is(err, ErrDevice) {
				t.Errorf("Write returned %v, want ErrDevice", err)
			}
			s.send([]byte("y"))
			if n, err := p.Read(make([]byte, 10)); n != 0 || !errors.Is(err, ErrDevice) {
				t.Errorf("Read returned %d, %v, want ErrDevice", n, err)
			}
		})
	}
}

func TestChainUsedTwiceIsRefused(t *testing.T) {
	s := newSimulated()
	transport, _ := NewMMIO(s)
	q, err := newQueue(transport, queueReceive, s.allocate)
	if err != nil {
		t.Fatal(err)
	}
	q.offer(0, 10)
	q.offer(1, 10)
	storeWord(q.page.Bytes, usedOffset, 2<<16) // two entries, both with chain 0
	if head, _, ok, err := q.take(); head != 0 || !ok || err != nil {
		t.Fatalf("got %d, %v, %v", head, ok, err)
	}
	if _, _, ok, err := q.take(); ok || !errors.Is(err, ErrDevice) {
		t.Errorf("got %v, %v, want ErrDevice", ok, err)
	}
}

// FuzzUsedRing checks that take returns only chains that were offered, each at most
// once, whatever the device writes.
func FuzzUsedRing(f *testing.F) {
	f.Add([]byte{0, 0, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 9})
	f.Fuzz(func(t *testing.T, ring []byte) {
		s := newSimulated()
		transport, _ := NewMMIO(s)
		q, err := newQueue(transport, queueReceive, s.allocate)
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint16(10) {
			q.offer(i, uint32(i))
		}
		copy(q.page.Bytes[usedOffset:pageSize], ring)
		taken := map[uint16]bool{}
		for range 100 {
			head, n, ok, err := q.take()
			if !ok || err != nil {
				return
			}
			if head >= 10 || taken[head] || n > uint32(head) {
				t.Fatalf("take returns chain %d with %d bytes", head, n)
			}
			taken[head] = true
		}
		t.Fatal("take returns more chains than were offered")
	})
}

// FuzzControlMessages checks that control messages of the device neither make the driver
// panic nor send more than its three messages.
func FuzzControlMessages(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x01\x00\x01\x00"), []byte("\x01\x00\x00\x00\x07\x00\x01\x00link\x00"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		s := newSimulated()
		s.late = true
		transport, _ := NewMMIO(s)
		p, err := NewPort(transport, s.allocate)
		if err != nil {
			t.Fatal(err)
		}
		p.control.begin("link")
		for range 100 {
			p.control.handleMessage(parseMessage(first))
			p.control.handleMessage(parseMessage(second))
		}
		if p.control.sent > 3 {
			t.Fatalf("the driver sent %d messages, want at most 3", p.control.sent)
		}
	})
}
