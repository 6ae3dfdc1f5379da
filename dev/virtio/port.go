package virtio

import (
	"io"
	"sync"
	"time"
)

// kindConsole is the device type of the console device (5.3).
const kindConsole = 3

// featureMultiport is the feature of a device with named ports besides the console
// (5.3.3). Unlike the console, such a port loses nothing if the host is slow.
const featureMultiport = 1 << 1

// configPorts is the offset of the number of ports in the device configuration.
const configPorts = 4

// portNumber is the number of the only port that the driver uses; port 0 is the
// console.
const portNumber = 1

// The numbers of the queues (5.3.2).
const (
	queueControlReceive  = 2
	queueControlTransmit = 3
	queueReceive         = 2*portNumber + 2
	queueTransmit        = 2*portNumber + 3
)

// receiveSize is the size of a receive buffer in bytes. QEMU never writes more into one
// buffer.
const receiveSize = pageSize

// transmitPages is the maximum number of pages of a chain of output.
const transmitPages = 17 // 64 KiB and a header

// Port is one port of a console device. Any goroutine may call Read and Write, which
// sleep. [Port.Serve] must run.
type Port struct {
	transport Transport
	control   control

	reading  sync.Mutex // protects the fields up to received
	receive  *queue
	buffers  [queueSize]Segment
	current  []byte // the unread part of a received buffer
	head     uint16 // the number of that buffer
	received chan struct{}

	writing  sync.Mutex // protects the fields up to sent
	transmit *queue
	output   []Segment
	sent     chan struct{}
}

// NewPort initializes the console device of a transport (5.3). It gets memory for the
// queues and buffers from allocate. It does not sleep and needs no interrupts. The
// port is usable after [Port.Open]. NewPort fails with [ErrDevice] if the device is not
// a console, refuses a feature, has too small a queue, or has no second port. It also
// returns the errors of allocate. After an error the device is stopped.
func NewPort(t Transport, allocate Allocate) (*Port, error) {
	if kind := t.Kind(); kind != kindConsole {
		return nil, broken("its type is %d instead of %d, a console", kind, kindConsole)
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

// setUp creates the queues and starts the device.
func (p *Port) setUp(allocate Allocate) error {
	if ports := p.transport.Config32(configPorts); ports <= portNumber {
		return broken("it has %d ports instead of at least %d", ports, portNumber+1)
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

// cut divides segments into pieces of the given size.
func cut(segments []Segment, size int) []Segment {
	var pieces []Segment
	for _, s := range segments {
		for o := 0; o+size <= len(s.Bytes); o += size {
			pieces = append(pieces, Segment{s.Bytes[o : o+size], s.Address + uint64(o)})
		}
	}
	return pieces
}

// Open waits until the host has connected the port, which must have the given name. It
// fails with [ErrDevice] after the time limit. [Port.Serve] must run.
func (p *Port) Open(name string, limit time.Duration) error {
	p.control.begin(name)
	p.control.handle() // the device may have answered already
	select {
	case <-p.control.opened:
	case <-time.After(limit):
		return broken("its port %d does not have the name %q or is not connected", portNumber, name)
	}
	p.reading.Lock()
	defer p.reading.Unlock()
	p.receive.notify()
	return nil
}

// Serve handles the device's interrupts. waitIRQ must return true after each interrupt
// of the device, and false to make Serve return. The interrupt may be routed as
// edge-triggered, because Serve acknowledges it before it reads the queues.
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

// wake puts a token into the channel for a goroutine that waits on it now or later.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

var _ io.ReadWriter = (*Port)(nil)

// Read waits for bytes from the host and returns at least one. Its only error is
// [ErrDevice].
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

// giveBack offers the current buffer to the device again. It notifies the device only
// if half of the buffers were offered since the last notification; otherwise await
// does.
func (p *Port) giveBack() {
	p.receive.offer(p.head, receiveSize)
	if p.receive.unnotified() >= queueSize/2 {
		p.receive.notify()
	}
}

// await waits until the device has used a chain. Interrupts are enabled only while it
// sleeps. It loops because the token in the channel may be from an earlier interrupt.
func (p *Port) await(q *queue, token chan struct{}) (head uint16, written uint32, err error) {
	head, written, ok, err := q.take()
	if ok || err != nil {
		return head, written, err
	}
	if q.unnotified() > 0 {
		q.notify()
	}
	q.enableInterrupts()
	defer q.disableInterrupts()
	for {
		head, written, ok, err = q.take()
		if ok || err != nil {
			return head, written, err
		}
		<-token
	}
}

// Write sends data and returns when the device has processed all of it. It sleeps while
// the host does not read. Its only error is [ErrDevice].
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

// fill copies as much of data as fits into the output segments, builds their chain, and
// returns the number of bytes.
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
