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

// controlSize is the size of one buffer for a control message; a port's name
// may fill what the message leaves.
const controlSize = pageSize / queueSize

// control is the conversation with the device about its ports.
type control struct {
	mu       sync.Mutex // guards what follows
	receive  *queue
	transmit *queue
	incoming [queueSize]Segment
	outgoing []Segment
	said     uint16 // how many messages were sent
	name     string // of the port that is wanted
	ready    bool   // the device knows that the driver has the port
	named    bool   // the port has that name
	hosted   bool   // the host has connected it
	opened   chan struct{}
	open     bool // opened is closed
}

// setUp makes the two queues and their buffers.
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

// start offers the buffers for what the device will say.
func (c *control) start() {
	c.receive.interrupt(true)
	for i, b := range c.incoming {
		c.receive.describe(uint16(i), b.Address, controlSize, descriptorWrite, 0)
		c.receive.offer(uint16(i), controlSize)
	}
	c.receive.notify()
}

// begin asks the device to tell of its ports.
func (c *control) begin(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.name = name
	c.say(message{event: eventDeviceReady, value: 1})
}

// say sends a message. There are only three to send, each in a buffer of its
// own, so the device's word that it has read them is not waited for.
func (c *control) say(m message) {
	b := c.outgoing[c.said]
	m.put(b.Bytes)
	c.transmit.describe(c.said, b.Address, messageSize, 0, 0)
	c.transmit.offer(c.said, 0)
	c.said++
	c.transmit.notify()
}

// handle acts on what the device has said. Devices that break the rules are
// not listened to any more; the port then does not open.
func (c *control) handle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		head, n, ok, err := c.receive.take()
		if !ok || err != nil {
			return
		}
		c.hear(parseMessage(c.incoming[head].Bytes[:n]))
		c.receive.offer(head, controlSize)
		c.receive.notify()
	}
}

// hear acts on one message.
func (c *control) hear(m message, tail []byte) {
	if m.port != portNumber {
		return
	}
	switch {
	case m.event == eventPortAdd && !c.ready:
		c.ready = true
		c.say(message{portNumber, eventPortReady, 1})
	case m.event == eventPortName:
		c.named = portName(tail) == c.name
	case m.event == eventPortOpen:
		c.hosted = m.value == 1
	}
	if c.ready && c.named && c.hosted && !c.open {
		c.open = true
		c.say(message{portNumber, eventPortOpen, 1})
		close(c.opened)
	}
}

// portName returns the name in a message's tail, which may end with a zero.
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

// parseMessage splits what the device sent; too short a one has event 0, which
// only drivers send.
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
