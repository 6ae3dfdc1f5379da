package virtio

import (
	"encoding/binary"
	"strings"
	"sync"
)

// Events of control messages (5.3.6.2).
const (
	eventDeviceReady = 0
	eventPortAdd     = 1
	eventPortReady   = 3
	eventPortOpen    = 6
	eventPortName    = 7
)

// controlSize is the size of the buffer for a control message. A port's name may
// follow the message.
const controlSize = pageSize / queueSize

// control exchanges control messages about ports with the device.
type control struct {
	mu       sync.Mutex // protects the fields below
	receive  *queue
	transmit *queue
	incoming [queueSize]Segment
	outgoing []Segment
	sent     uint16 // the number of messages that were sent
	name     string // the name of the port to open
	ready    bool   // the device has added the port
	named    bool   // the port has the name
	hosted   bool   // the host has connected the port
	opened   chan struct{}
	open     bool // opened is closed
}

// setUp creates the two queues and their buffers.
func (c *control) setUp(t Transport, allocate Allocate) error {
	c.opened = make(chan struct{})
	var err error
	if c.receive, err = newQueue(t, queueControlReceive, allocate); err != nil {
		return err
	}
	if c.transmit, err = newQueue(t, queueControlTransmit, allocate); err != nil {
		return err
	}
	pages, err := allocate(2)
	if err != nil {
		return err
	}
	pieces := cut(pages, controlSize)
	copy(c.incoming[:], pieces[:queueSize])
	c.outgoing = pieces[queueSize:]
	return nil
}

// start offers buffers for the device's messages.
func (c *control) start() {
	c.receive.enableInterrupts()
	for i, b := range c.incoming {
		c.receive.describe(uint16(i), b.Address, controlSize, descriptorWrite, 0)
		c.receive.offer(uint16(i), controlSize)
	}
	c.receive.notify()
}

// begin asks the device for its ports.
func (c *control) begin(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.name = name
	c.send(message{event: eventDeviceReady, value: 1})
}

// send sends a message. It does not wait until the device has read it: the driver
// sends only three messages, each in its own buffer.
func (c *control) send(m message) {
	b := c.outgoing[c.sent]
	m.put(b.Bytes)
	c.transmit.describe(c.sent, b.Address, messageSize, 0, 0)
	c.transmit.offer(c.sent, 0)
	c.sent++
	c.transmit.notify()
}

// handle processes the device's messages. After a violation of the protocol it
// ignores the device; the port then does not open.
func (c *control) handle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		head, n, ok, err := c.receive.take()
		if !ok || err != nil {
			return
		}
		c.handleMessage(parseMessage(c.incoming[head].Bytes[:n]))
		c.receive.offer(head, controlSize)
		c.receive.notify()
	}
}

// handleMessage processes one message.
func (c *control) handleMessage(m message, tail []byte) {
	if m.port != portNumber {
		return
	}
	switch {
	case m.event == eventPortAdd && !c.ready:
		c.ready = true
		c.send(message{portNumber, eventPortReady, 1})
	case m.event == eventPortName:
		c.named = portName(tail) == c.name
	case m.event == eventPortOpen:
		c.hosted = m.value == 1
	}
	if c.ready && c.named && c.hosted && !c.open {
		c.open = true
		c.send(message{portNumber, eventPortOpen, 1})
		close(c.opened)
	}
}

// portName returns the name after a message. It may end with a NUL.
func portName(tail []byte) string { return strings.TrimRight(string(tail), "\x00") }

// message is a control message (5.3.6.2).
type message struct {
	port         uint32
	event, value uint16
}

const messageSize = 8

func (m message) put(to []byte) {
	binary.LittleEndian.PutUint32(to, m.port)
	binary.LittleEndian.PutUint16(to[4:], m.event)
	binary.LittleEndian.PutUint16(to[6:], m.value)
}

// parseMessage returns the message and the data after it. If the data is too short, the
// message has event 0, which a device never sends.
func parseMessage(data []byte) (m message, tail []byte) {
	if len(data) < messageSize {
		return message{}, nil
	}
	return message{
		port:  binary.LittleEndian.Uint32(data),
		event: binary.LittleEndian.Uint16(data[4:]),
		value: binary.LittleEndian.Uint16(data[6:]),
	}, data[messageSize:]
}
