// Package uart drives a 16550 serial port: polled output for the console at
// any time, and buffered, interrupt-driven input and output once the kernel
// has interrupts.
//
// The hardware is reached through [Ports], so the driver is ordinary Go and is
// tested on the host against a simulated chip.
package uart

import (
	"io"
	"sync"
)

// Where a PC has its serial ports, and their interrupt lines.
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

// StringPorts is implemented by Ports that can write many bytes to one port
// by one instruction (REP OUTSB); the driver uses it where it is there.
type StringPorts interface {
	OutBytes(port uint16, data []byte)
}

// Port is one serial port. Create it with [New].
type Port struct {
	ports  Ports
	burst  func(data []byte)
	base   uint16
	write  sync.Mutex // held by the goroutine that transmits
	sent   chan struct{}
	enable sync.Mutex // guards the interrupt enable register
	mask   uint8      // what that register holds
	served bool       // Serve runs, so waiting for interrupts makes sense
	input  func(data []byte)
}

// New sets the chip at the base port up, 115200 baud, eight bits, FIFOs on,
// interrupts off, and returns it, or nil when no chip answers there. It does
// not sleep and may run before the kernel has interrupts.
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

// present reports whether a chip answers: the divisor latch must hold what is
// written to it, and a bus without a device reads as all ones.
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

// Write transmits data and returns when the chip has taken all of it. It
// sleeps while the other side does not read, once Serve runs; before that, it
// polls. It never fails.
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

// pollLimit is how often Write looks whether the transmitter is empty before
// it asks for an interrupt. An emulated chip is empty at once unless its
// reader lags behind.
const pollLimit = 64

// awaitTransmit waits until the transmit FIFO is empty. It asks for the
// interrupt first and looks once more afterwards, so none is missed; the
// token in p.sent may be an old one, hence the loop.
func (p *Port) awaitTransmit() {
	for polls := 0; !p.transmitEmpty(); polls++ {
		if polls < pollLimit || !p.serving() {
			continue
		}
		p.setInterrupt(interruptSent, true)
		if !p.transmitEmpty() {
			<-p.sent
		}
		p.setInterrupt(interruptSent, false)
	}
}

// serving reports whether Serve has been called.
func (p *Port) serving() bool {
	p.enable.Lock()
	defer p.enable.Unlock()
	return p.served
}

// setInterrupt turns interrupts of the chip on or off.
func (p *Port) setInterrupt(bits uint8, on bool) {
	p.enable.Lock()
	defer p.enable.Unlock()
	if on {
		p.mask |= bits
	} else {
		p.mask &^= bits
	}
	p.out(regInterruptEnable, p.mask)
}

// Serve handles the chip's interrupts for ever: it hands received bytes to
// input and wakes a writer that waits. waitIRQ returns when the port's
// interrupt line has been raised since it returned last, and reports false
// when the port is to be given up; that is when Serve returns. input runs on
// Serve's goroutine and holds up further reception while it runs; it may keep
// nothing of its argument.
func (p *Port) Serve(waitIRQ func() bool, input func(data []byte)) {
	p.enable.Lock()
	p.served = true
	p.enable.Unlock()
	p.input = input
	p.setInterrupt(interruptReceived|interruptLineStatus, true)
	var buffer [256]byte
	for {
		// Bytes that came before interrupts were on are fetched first.
		p.receive(buffer[:])
		p.wakeWriter()
		if !waitIRQ() {
			return
		}
	}
}

// receive empties the receive FIFO. Reading until no byte is left also takes
// the interrupt back, as the next one needs.
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

// wakeWriter lets a writer look at the transmitter again.
func (p *Port) wakeWriter() {
	select {
	case p.sent <- struct{}{}:
	default:
	}
}
