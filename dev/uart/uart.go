// Package uart is a driver for 16550 serial ports. Output is polled until Serve runs;
// then input and output use interrupts.
//
// The driver accesses the hardware through [Ports], so that it can be tested on the
// host with a simulated chip.
package uart

import (
	"io"
	"sync"
)

// The base ports and the interrupt lines of a PC's serial ports.
const (
	COM1 uint16 = 0x3f8
	COM2 uint16 = 0x2f8

	IRQ1 = 4
	IRQ2 = 3
)

// Ports is x86 port I/O.
type Ports interface {
	// In8 reads a byte from a port (INB).
	In8(port uint16) uint8
	// Out8 writes a byte to a port (OUTB).
	Out8(port uint16, value uint8)
}

// StringPorts is an optional interface of [Ports]. The driver uses it if it is
// implemented.
type StringPorts interface {
	// OutBytes writes bytes to one port with one instruction (REP OUTSB).
	OutBytes(port uint16, data []byte)
}

// Port is one serial port. Create it with [New].
type Port struct {
	ports  Ports
	burst  func(data []byte)
	base   uint16
	write  sync.Mutex // held during a transmission
	sent   chan struct{}
	enable sync.Mutex // protects the interrupt enable register, mask and served
	mask   uint8      // the value of that register
	served bool       // Serve runs, so that a goroutine can wait for interrupts
	input  func(data []byte)
}

// New initializes the chip at the base port: 115200 baud, eight bits, FIFOs enabled,
// interrupts disabled. It returns nil if there is no chip. It does not sleep and may
// be called before the kernel has interrupts.
func New(ports Ports, base uint16) *Port {
	p := &Port{ports: ports, base: base, sent: make(chan struct{}, 1)}
	p.burst = p.outBytes
	if s, ok := ports.(StringPorts); ok {
		p.burst = func(data []byte) { s.OutBytes(base+regData, data) }
	}
	if !p.present() {
		return nil
	}
	p.out(regInterruptEnable, 0)
	p.out(regLineControl, lineDivisorLatch|lineEightBits)
	p.out(regDivisorLow, 1)
	p.out(regDivisorHigh, 0)
	p.out(regLineControl, lineEightBits)
	p.out(regFIFOControl, fifoEnable|fifoClearReceive|fifoClearTransmit|fifoTrigger14)
	p.out(regModemControl, modemDTR|modemRTS|modemOut2)
	return p
}

// present reports whether there is a chip. It writes the divisor latch and reads it
// back; a bus without a device reads as all ones.
func (p *Port) present() bool {
	p.out(regLineControl, lineDivisorLatch)
	p.out(regDivisorLow, 0x5a)
	answer := p.in(regDivisorLow)
	p.out(regLineControl, lineEightBits)
	return answer == 0x5a
}

func (p *Port) in(register uint16) uint8     { return p.ports.In8(p.base + register) }
func (p *Port) out(register uint16, v uint8) { p.ports.Out8(p.base+register, v) }
func (p *Port) transmitEmpty() bool          { return p.in(regLineStatus)&statusTransmitEmpty != 0 }
func (p *Port) outBytes(data []byte) {
	for _, c := range data {
		p.out(regData, c)
	}
}

// Write transmits data and returns when the chip has accepted all of it. While the
// other side does not read, it sleeps if Serve runs, and polls otherwise. It never
// fails.
func (p *Port) Write(data []byte) (int, error) {
	p.write.Lock()
	defer p.write.Unlock()
	for rest := data; len(rest) > 0; {
		p.awaitTransmit()
		n := min(len(rest), fifoSize)
		p.burst(rest[:n])
		rest = rest[n:]
	}
	return len(data), nil
}

var _ io.Writer = (*Port)(nil)

// pollLimit is how often Write polls the transmitter before it enables the interrupt.
// An emulated chip is empty at once unless its reader is slow.
const pollLimit = 64

// awaitTransmit waits until the transmit FIFO is empty. It enables the interrupt before
// the last poll, so that it cannot miss the interrupt. It loops because the token in
// p.sent may be from an earlier interrupt.
func (p *Port) awaitTransmit() {
	for polls := 0; !p.transmitEmpty(); polls++ {
		if polls < pollLimit || !p.serving() {
			continue
		}
		p.setInterrupts(interruptSent, 0)
		if !p.transmitEmpty() {
			<-p.sent
		}
		p.setInterrupts(0, interruptSent)
	}
}

// serving reports whether Serve has been called.
func (p *Port) serving() bool {
	p.enable.Lock()
	defer p.enable.Unlock()
	return p.served
}

// setInterrupts enables and disables interrupts of the chip.
func (p *Port) setInterrupts(enable, disable uint8) {
	p.enable.Lock()
	defer p.enable.Unlock()
	p.mask = p.mask&^disable | enable
	p.out(regInterruptEnable, p.mask)
}

// Serve handles the chip's interrupts: it passes received bytes to input and wakes a
// waiting writer. waitIRQ must return true after each interrupt of the port, and
// false to make Serve return. input runs on Serve's goroutine, which receives nothing
// meanwhile, and must not keep its argument.
func (p *Port) Serve(waitIRQ func() bool, input func(data []byte)) {
	p.enable.Lock()
	p.served = true
	p.enable.Unlock()
	p.input = input
	p.setInterrupts(interruptReceived|interruptLineStatus, 0)
	var buffer [256]byte
	for {
		// The first iteration reads bytes that arrived before interrupts were enabled.
		p.receive(buffer[:])
		p.wakeWriter()
		if !waitIRQ() {
			return
		}
	}
}

// receive reads the receive FIFO until it is empty. This also deasserts the interrupt
// line, which the next interrupt requires.
func (p *Port) receive(buffer []byte) {
	n := 0
	for p.in(regLineStatus)&statusDataReady != 0 {
		buffer[n] = p.in(regData)
		n++
		if n == len(buffer) {
			p.input(buffer)
			n = 0
		}
	}
	if n > 0 {
		p.input(buffer[:n])
	}
	p.in(regInterruptIdent) // acknowledges "transmitter empty"
}

// wakeWriter wakes a writer that waits for the transmitter.
func (p *Port) wakeWriter() {
	select {
	case p.sent <- struct{}{}:
	default:
	}
}
