package uart

import (
	"bytes"
	"sync"
	"testing"
	"time"
)

// chip simulates a 16550 at COM2. Unless auto is set, bytes leave only in drain.
type chip struct {
	mu        sync.Mutex
	registers [8]uint8
	divisor   [2]uint8
	receive   []byte // the receive FIFO
	transmit  []byte // the transmit FIFO
	sent      []byte // the bytes that have left
	auto      bool   // bytes leave at once
	overrun   bool   // more bytes were written than fit into the FIFO
	irq       chan struct{}
	sentIRQ   bool // "transmitter empty" is pending
}

func newChip(auto bool) *chip { return &chip{auto: auto, irq: make(chan struct{}, 1)} }

func (c *chip) latched() bool { return c.registers[regLineControl]&lineDivisorLatch != 0 }

func (c *chip) In8(port uint16) uint8 {
	c.mu.Lock()
	defer c.mu.Unlock()
	register := port - COM2
	switch {
	case c.latched() && register < 2:
		return c.divisor[register]
	case register == regData:
		return c.takeReceived()
	case register == regLineStatus:
		return c.status()
	case register == regInterruptIdent:
		c.sentIRQ = false
	}
	return c.registers[register]
}

func (c *chip) takeReceived() uint8 {
	if len(c.receive) == 0 {
		return 0
	}
	b := c.receive[0]
	c.receive = c.receive[1:]
	return b
}

func (c *chip) status() uint8 {
	var s uint8
	if len(c.receive) > 0 {
		s |= statusDataReady
	}
	if len(c.transmit) == 0 {
		s |= statusTransmitEmpty
	}
	return s
}

func (c *chip) Out8(port uint16, v uint8) {
	c.mu.Lock()
	defer c.mu.Unlock()
	register := port - COM2
	switch {
	case c.latched() && register < 2:
		c.divisor[register] = v
		return
	case register == regData:
		c.transmit = append(c.transmit, v)
		c.overrun = c.overrun || len(c.transmit) > fifoSize
		if c.auto {
			c.drainLocked()
		}
		return
	case register == regFIFOControl: // has the same offset as the identification register
		return
	}
	c.registers[register] = v
	c.raise()
}

// raise raises the interrupt line if an enabled cause is pending.
func (c *chip) raise() {
	enabled := c.registers[regInterruptEnable]
	received := enabled&interruptReceived != 0 && len(c.receive) > 0
	sent := enabled&interruptSent != 0 && len(c.transmit) == 0
	if !received && !sent {
		return
	}
	select {
	case c.irq <- struct{}{}:
	default:
	}
}

func (c *chip) drainLocked() {
	c.sent = append(c.sent, c.transmit...)
	c.transmit = nil
	c.raise()
}

// drain sends the bytes in the transmit FIFO.
func (c *chip) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drainLocked()
}

// arrive receives a byte. It returns false if the FIFO is full.
func (c *chip) arrive(b byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.receive) == fifoSize {
		return false
	}
	c.receive = append(c.receive, b)
	c.raise()
	return true
}

func (c *chip) state() (sent []byte, overrun bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.sent), c.overrun
}

func (c *chip) waitIRQ() bool { _, ok := <-c.irq; return ok }

func pattern(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i * 7)
	}
	return data
}

func TestNewReturnsNilWithoutChip(t *testing.T) {
	if New(floatingBus{}, COM2) != nil {
		t.Error("New finds a chip on a bus that reads as all ones")
	}
}

// floatingBus is a bus without a device.
type floatingBus struct{}

func (floatingBus) In8(uint16) uint8   { return 0xff }
func (floatingBus) Out8(uint16, uint8) {}

func TestNewInitializesChip(t *testing.T) {
	c := newChip(true)
	if New(c, COM2) == nil {
		t.Fatal("the chip was not found")
	}
	if c.divisor != [2]uint8{1, 0} {
		t.Errorf("the divisor is %v, want 1", c.divisor)
	}
	if c.registers[regLineControl] != lineEightBits || c.registers[regInterruptEnable] != 0 {
		t.Errorf("the registers are %v", c.registers)
	}
}

func TestPolledOutputIsComplete(t *testing.T) {
	c := newChip(true)
	data := pattern(1000)
	if n, err := New(c, COM2).Write(data); n != len(data) || err != nil {
		t.Fatalf("Write returned %d, %v", n, err)
	}
	if sent, _ := c.state(); !bytes.Equal(sent, data) {
		t.Error("the bytes that were sent differ from those that were written")
	}
}

func TestOutputNeverOverrunsFIFO(t *testing.T) {
	c := newChip(false)
	p := New(c, COM2)
	go p.Serve(c.waitIRQ, func([]byte) {})
	data := pattern(5000)
	written := make(chan struct{})
	go func() { p.Write(data); close(written) }()
	for done := false; !done; {
		select {
		case <-written:
			done = true
		case <-time.After(20 * time.Microsecond):
			c.drain()
		}
	}
	c.drain()
	sent, overrun := c.state()
	if overrun {
		t.Error("the transmit FIFO was overrun")
	}
	if !bytes.Equal(sent, data) {
		t.Error("the bytes that were sent differ from those that were written")
	}
}

func TestInputIsComplete(t *testing.T) {
	c := newChip(true)
	p := New(c, COM2)
	var got []byte
	done := make(chan struct{})
	data := pattern(3000)
	c.arrive(data[0]) // before Serve runs
	go p.Serve(c.waitIRQ, func(b []byte) {
		got = append(got, b...)
		if len(got) == len(data) {
			close(done)
		}
	})
	for _, b := range data[1:] {
		for !c.arrive(b) {
			time.Sleep(10 * time.Microsecond)
		}
	}
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the bytes did not arrive")
	}
	if !bytes.Equal(got, data) {
		t.Error("the bytes that arrived differ from those that were sent")
	}
}

func TestServeEndsWithWaitIRQ(t *testing.T) {
	c := newChip(true)
	close(c.irq)
	New(c, COM2).Serve(c.waitIRQ, func([]byte) {})
}

// burstChip is a chip with StringPorts.
type burstChip struct {
	*chip
	longest int
}

func (b *burstChip) OutBytes(port uint16, data []byte) {
	b.longest = max(b.longest, len(data))
	for _, c := range data {
		b.Out8(port, c)
	}
}

func TestStringPortsAreUsed(t *testing.T) {
	c := &burstChip{chip: newChip(true)}
	data := pattern(100)
	New(c, COM2).Write(data)
	if sent, _ := c.state(); !bytes.Equal(sent, data) || c.longest != fifoSize {
		t.Errorf("the longest string has %d bytes, want %d", c.longest, fifoSize)
	}
}
