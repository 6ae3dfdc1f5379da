package virtio

import (
	"io"
	"sync"
	"time"
)

// kindConsole is the number of the console device (5.3).
const kindConsole = 3

// featureMultiport lets the device have ports beside the console, which have
// names and lose nothing when the host is slow. (5.3.3)
const featureMultiport = 1 << 1

// configPorts is where the configuration has the number of ports.
const configPorts = 4

// portNumber is the one port that is used; port 0 is the console's.
const portNumber = 1

// Queues (5.3.2).
const (
	queueControlReceive  = 2
	queueControlTransmit = 3
	queueReceive         = 2*portNumber + 2
	queueTransmit        = 2*portNumber + 3
)

// receiveSize is the size of one receive buffer: QEMU hands on no more at once.
const receiveSize = pageSize

// transmitPages is how many pages one chain of output takes at most.
const transmitPages = 17 // 64 KiB and a header

// Port is one port of a console device. Read and Write may be called by any
// goroutine; they sleep, once [Port.Serve] runs.
type Port struct {
	transport Transport
	control   control

	reading  sync.Mutex // guards what follows
	receive  *queue
	buffers  [queueSize]Segment
	current  []byte // what is left of a received buffer
	head     uint16 // its number
	received chan struct{}

	writing  sync.Mutex // guards what follows
	transmit *queue
	output   []Segment
	sent     chan struct{}
}

// NewPort sets the console device behind a transport up (virtio 1.1, 5.3), with
// memory that allocate gives for the queues and buffers. It does not sleep, and
// needs no interrupts; the port is usable after [Port.Open]. It fails with
// ErrDevice for a device that is no console, refuses the features or has too
// small a queue or no second port, and with the errors of allocate; the device
// is left switched off then.
func NewPort(t Transport, allocate Allocate) (*Port, error) {
	if kind := t.Kind(); kind != kindConsole {
		return nil, broken("it is a device of kind %d, no console", kind)
	}
	if err := negotiate(t, featureVersion1|featureMultiport); err != nil {
		return nil, err
	}
	p := &Port{transport: t, received: make(chan struct{}, 1), sent: make(chan struct{}, 1)}
	if err := p.setUp(allocate); err != nil {
		t.SetStatus(statusFailed)
		return nil, err
	}
	return p, nil
}

// setUp makes the queues and starts the device.
func (p *Port) setUp(allocate Allocate) error {
	if ports := p.transport.Config32(configPorts); ports <= portNumber {
		return broken("it has %d ports", ports)
	}
	if err := p.control.setUp(p.transport, allocate); err != nil {
		return err
	}
	var err error
	if p.receive, err = newQueue(p.transport, queueReceive, allocate); err != nil {
		return err
	}
	if p.transmit, err = newQueue(p.transport, queueTransmit, allocate); err != nil {
		return err
	}
	if p.output, err = allocate(transmitPages); err != nil {
		return err
	}
	input, err := allocate(queueSize)
	if err != nil {
		return err
	}
	p.transport.SetStatus(statusAcknowledge | statusDriver | statusFeaturesOK | statusDriverOK)
	for i, b := range cut(input, receiveSize) {
		p.buffers[i] = b
		p.receive.describe(uint16(i), b.Address, receiveSize, descriptorWrite, 0)
		p.receive.offer(uint16(i), receiveSize)
	}
	p.control.start()
	return nil
}

// cut divides segments into pieces of the same size.
func cut(segments []Segment, size int) []Segment {
	var pieces []Segment
	for _, s := range segments {
		for o := 0; o+size <= len(s.Bytes); o += size {
			pieces = append(pieces, Segment{s.Bytes[o : o+size], s.Address + uint64(o)})
		}
	}
	return pieces
}

// Open waits until the host has connected the port, which must have that name.
// It fails with [ErrDevice] when that has not happened within the time.
// [Port.Serve] must run.
func (p *Port) Open(name string, limit time.Duration) error {
	p.control.begin(name)
	p.control.handle() // a device that answers at once needs no interrupt
	select {
	case <-p.control.opened:
	case <-time.After(limit):
		return broken("its port %d is not %q, or not connected", portNumber, name)
	}
	p.reading.Lock()
	defer p.reading.Unlock()
	p.receive.notify()
	return nil
}

// Serve handles the device's interrupts for ever. waitIRQ returns when the
// device's interrupt has come since it returned last, and reports false when
// the device is to be given up; that is when Serve returns. The interrupt may
// be routed as edge-triggered: it is taken back before the queues are looked at.
func (p *Port) Serve(waitIRQ func() bool) {
	for {
		p.transport.Acknowledge()
		p.control.handle()
		wake(p.received)
		wake(p.sent)
		if !waitIRQ() {
			return
		}
	}
}

// wake leaves a token for the goroutine that sleeps on the channel, or will.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

var _ io.ReadWriter = (*Port)(nil)

// Read returns bytes that the host has sent, at least one; it waits for them.
// Its only error is [ErrDevice].
func (p *Port) Read(data []byte) (int, error) {
	p.reading.Lock()
	defer p.reading.Unlock()
	if len(data) == 0 {
		return 0, nil
	}
	for len(p.current) == 0 {
		head, n, err := p.await(p.receive, p.received)
		if err != nil {
			return 0, err
		}
		p.head, p.current = head, p.buffers[head].Bytes[:n]
		if n == 0 {
			p.giveBack()
		}
	}
	n := copy(data, p.current)
	p.current = p.current[n:]
	if len(p.current) == 0 {
		p.giveBack()
	}
	return n, nil
}

// giveBack lets the device fill the current buffer anew. The device is told
// when half of them are empty, or by await.
func (p *Port) giveBack() {
	p.receive.offer(p.head, receiveSize)
	if p.receive.unnotified() >= queueSize/2 {
		p.receive.notify()
	}
}

// await waits until the device has used a chain. Interrupts are on only while
// it sleeps. The token in the channel may be an old one, hence the loop.
func (p *Port) await(q *queue, token chan struct{}) (head uint16, written uint32, err error) {
	head, written, ok, err := q.take()
	if ok || err != nil {
		return head, written, err
	}
	if q.unnotified() > 0 {
		q.notify()
	}
	q.interrupt(true)
	defer q.interrupt(false)
	for {
		head, written, ok, err = q.take()
		if ok || err != nil {
			return head, written, err
		}
		<-token
	}
}

// Write sends data and returns when the device is done with all of it. It
// waits while the host does not read. Its only error is [ErrDevice].
func (p *Port) Write(data []byte) (int, error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	for rest := data; len(rest) > 0; {
		rest = rest[p.fill(rest):]
		p.transmit.offer(0, 0)
		p.transmit.notify()
		if _, _, err := p.await(p.transmit, p.sent); err != nil {
			return len(data) - len(rest), err
		}
	}
	return len(data), nil
}

// fill copies as much of data as fits into the output's segments, chains them,
// and returns how much that is.
func (p *Port) fill(data []byte) int {
	total := 0
	for i, s := range p.output {
		n := copy(s.Bytes, data[total:])
		total += n
		if total == len(data) || i == len(p.output)-1 {
			p.transmit.describe(uint16(i), s.Address, uint32(n), 0, 0)
			break
		}
		p.transmit.describe(uint16(i), s.Address, uint32(n), descriptorNext, uint16(i)+1)
	}
	return total
}
