package main

import (
	"io"
	"slices"
	"time"

	"slowpath/arch/amd64"
	"slowpath/boot"
	"slowpath/boot/commandline"
	"slowpath/dev/uart"
	"slowpath/dev/virtio"
	"slowpath/goos"
	"slowpath/mm/frame"
)

// linkPort is the name of the link's virtio port.
const linkPort = "slowpath.link"

// openLimit is the time limit for the host to connect the port. QEMU connects it
// before the kernel runs.
const openLimit = 2 * time.Second

// hostChannel returns the byte stream to the host command: a virtio port if the
// machine has one, else the second serial port, or nil if there is neither.
func (k *kernel) hostChannel() io.ReadWriter {
	transport, irq, err := k.virtioTransport()
	if transport != nil {
		var port *virtio.Port
		if port, err = k.openPort(transport, irq); err == nil {
			return port
		}
	}
	if err != nil {
		k.log.Infof("The link to the host does not use virtio: %v", err)
	}
	return serialChannel()
}

// virtioTransport returns the virtio console device that the command line declares,
// or else the one on PCI, and its interrupt number. It returns nil if there is
// none.
func (k *kernel) virtioTransport() (virtio.Transport, uint32, error) {
	announced := k.options.VirtioMMIO
	isRegisters := func(d commandline.VirtioDevice) bool { return deviceRegisters(d.Base, uint32(d.Size)) != nil }
	if i := slices.IndexFunc(announced, isRegisters); i >= 0 {
		t, err := virtio.NewMMIO(deviceRegisters(announced[i].Base, uint32(announced[i].Size)))
		return t, announced[i].IRQ, err
	}
	return virtio.NewPCI(ports{}, deviceRegisters)
}

// openPort starts the device and waits until its port is connected.
func (k *kernel) openPort(t virtio.Transport, irq uint32) (*virtio.Port, error) {
	port, err := virtio.NewPort(t, k.deviceMemory)
	if err != nil {
		return nil, err
	}
	boot.RouteInterrupt(irq)
	go port.Serve(func() bool { goos.WaitIRQ(int(irq)); return true })
	return port, port.Open(linkPort, openLimit)
}

// deviceMemory allocates pages for a device. Consecutive pages are one segment.
func (k *kernel) deviceMemory(pages int) ([]virtio.Segment, error) {
	frames := make([]frame.Number, pages)
	for i := range frames {
		n, err := k.memory.Allocate()
		if err != nil {
			k.memory.PutAll(frames[:i])
			return nil, err
		}
		frames[i] = n
	}
	slices.Sort(frames)
	var segments []virtio.Segment
	for start := 0; start < pages; {
		end := start + 1
		for end < pages && frames[end] == frames[end-1]+1 {
			end++
		}
		segments = append(segments, directMapped(frames[start], end-start))
		start = end
	}
	return segments, nil
}

// serialChannel returns the second serial port as a byte stream, or nil.
func serialChannel() io.ReadWriter {
	port := uart.New(ports{}, uart.COM2)
	if port == nil {
		return nil
	}
	boot.RouteInterrupt(uart.IRQ2)
	received, sender := io.Pipe()
	go port.Serve(func() bool { goos.WaitIRQ(uart.IRQ2); return true }, func(data []byte) { sender.Write(data) })
	return struct {
		io.Reader
		io.Writer
	}{received, port}
}

// ports implements the drivers' port I/O interfaces.
type ports struct{}

func (ports) In8(port uint16) uint8             { return amd64.In8(port) }
func (ports) Out8(port uint16, v uint8)         { amd64.Out8(port, v) }
func (ports) In32(port uint16) uint32           { return amd64.In32(port) }
func (ports) Out32(port uint16, v uint32)       { amd64.Out32(port, v) }
func (ports) OutBytes(port uint16, data []byte) { amd64.OutBytes(port, data) }

var (
	_ uart.StringPorts = ports{}
	_ virtio.Ports     = ports{}
)
