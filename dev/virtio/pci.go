package virtio

// Ports is 32-bit x86 port I/O, for access to PCI's configuration space (PCI Local Bus
// Specification 3.0, 3.2.2.3.2).
type Ports interface {
	// In32 reads a port (INL).
	In32(port uint16) uint32
	// Out32 writes a port (OUTL).
	Out32(port uint16, value uint32)
}

// The two ports of PCI's configuration space.
const (
	pciAddressPort = 0xcf8
	pciDataPort    = 0xcfc
	pciEnable      = 1 << 31
)

// Configuration space (PCI 3.0, 6.1 and 6.7).
const (
	pciIdentity      = 0x00
	pciCommand       = 0x04 // and status in the upper half
	pciBAR0          = 0x10
	pciCapabilities  = 0x34
	pciInterruptLine = 0x3c

	commandMemory    = 1 << 1
	commandBusMaster = 1 << 2

	barPort    = 1 << 0
	barKind    = 3 << 1
	barIs64    = 2 << 1
	barAddress = ^uint32(15)
	barCount   = 6

	capabilityVendor  = 0x09
	mostCapabilities  = 48 // as many fit into 256 bytes
	firstCapability   = 0x40
	noInterruptRouted = 0xff
)

// The device ids of console devices on PCI (4.1.2).
const (
	pciConsole             = 0x1043<<16 | 0x1af4
	pciConsoleTransitional = 0x1003<<16 | 0x1af4
)

// The types of virtio capabilities (4.1.4).
const (
	capabilityCommon = 1
	capabilityNotify = 2
	capabilityISR    = 3
	capabilityDevice = 4
	capabilityEnd    = 5
)

// capabilityNeeds is the minimum length of each structure in bytes.
var capabilityNeeds = [capabilityEnd]uint32{
	capabilityCommon: 56, capabilityNotify: 4, capabilityISR: 1, capabilityDevice: 12,
}

// Registers of the common configuration (4.1.4.3).
const (
	commonDeviceSelect     = 0x00
	commonDeviceFeatures   = 0x04
	commonDriverSelect     = 0x08
	commonDriverFeatures   = 0x0c
	commonStatus           = 0x14
	commonQueueSelect      = 0x16
	commonQueueSize        = 0x18
	commonQueueEnable      = 0x1c
	commonQueueNotify      = 0x1e
	commonQueueDescriptors = 0x20
	commonQueueAvailable   = 0x28
	commonQueueUsed        = 0x30
)

// pciFunction is the configuration space of function 0 of a device on bus 0.
type pciFunction struct {
	ports  Ports
	device uint32
}

func (f pciFunction) read(offset uint32) uint32 {
	f.ports.Out32(pciAddressPort, pciEnable|f.device<<11|offset&^3)
	return f.ports.In32(pciDataPort)
}

func (f pciFunction) write(offset, v uint32) {
	f.ports.Out32(pciAddressPort, pciEnable|f.device<<11|offset&^3)
	f.ports.Out32(pciDataPort, v)
}

// findConsole returns the first console device on bus 0.
func findConsole(ports Ports) (f pciFunction, ok bool) {
	ports.Out32(pciAddressPort, pciEnable)
	if ports.In32(pciAddressPort) != pciEnable {
		return pciFunction{}, false // the machine has no PCI
	}
	for device := range uint32(32) {
		f := pciFunction{ports, device}
		if id := f.read(pciIdentity); id == pciConsole || id == pciConsoleTransitional {
			return f, true
		}
	}
	return pciFunction{}, false
}

// Map returns the registers at a physical address, or nil if the kernel cannot access
// them.
type Map func(address uint64, length uint32) Registers

// NewPCI returns the transport for the first console device on bus 0, and the number
// of its interrupt as the firmware has routed it. The interrupt line may be shared,
// and stays asserted until it is acknowledged. If there is no such device, the
// Transport and the error are nil. NewPCI fails with [ErrDevice] if the device cannot
// be used.
func NewPCI(ports Ports, registers Map) (t Transport, irq uint32, err error) {
	f, ok := findConsole(ports)
	if !ok {
		return nil, 0, nil
	}
	f.write(pciCommand, f.read(pciCommand)&0xffff|commandMemory|commandBusMaster)
	p, err := f.structures(registers)
	if err != nil {
		return nil, 0, err
	}
	if irq = f.read(pciInterruptLine) & 0xff; irq == noInterruptRouted {
		return nil, 0, broken("the firmware has not routed its interrupt")
	}
	return p, irq, nil
}

// pci is a virtio 1.x device on PCI.
type pci struct {
	common, notify, isr, device Registers
	notifyLength                uint32
	multiplier                  uint32
	notifyOffsets               [queueTransmit + 1]uint32
}

// structures finds the four structures through the list of capabilities.
func (f pciFunction) structures(registers Map) (*pci, error) {
	p := new(pci)
	place := [capabilityEnd]*Registers{
		capabilityCommon: &p.common, capabilityNotify: &p.notify, capabilityISR: &p.isr, capabilityDevice: &p.device,
	}
	at := f.read(pciCapabilities) & 0xfc
	for range mostCapabilities {
		if at < firstCapability {
			break
		}
		head := f.read(at)
		kind := head >> 24
		if head&0xff == capabilityVendor && kind > 0 && kind < capabilityEnd && *place[kind] == nil {
			*place[kind] = f.structure(at, capabilityNeeds[kind], registers)
			if kind == capabilityNotify {
				p.notifyLength, p.multiplier = f.read(at+12), f.read(at+16)
			}
		}
		at = head >> 8 & 0xfc
	}
	if p.common == nil || p.notify == nil || p.isr == nil || p.device == nil {
		return nil, broken("a structure of virtio 1.x is missing or at an address that the kernel cannot access")
	}
	return p, nil
}

// structure returns the registers that a capability describes, or nil if the
// capability is not valid.
func (f pciFunction) structure(at, need uint32, registers Map) Registers {
	bar, offset, length := f.read(at+4)&0xff, f.read(at+8), f.read(at+12)
	if bar >= barCount || length < need {
		return nil
	}
	low := f.read(pciBAR0 + 4*bar)
	if low&barPort != 0 || low&barAddress == 0 && low&barKind != barIs64 {
		return nil
	}
	base := uint64(low & barAddress)
	if low&barKind == barIs64 {
		if bar+1 == barCount {
			return nil
		}
		base |= uint64(f.read(pciBAR0+4*(bar+1))) << 32
	}
	if base == 0 {
		return nil
	}
	return registers(base+uint64(offset), length)
}

func (p *pci) Kind() uint32 { return kindConsole } // findConsole has checked it

func (p *pci) Features() uint64 {
	p.common.Write32(commonDeviceSelect, 1)
	high := p.common.Read32(commonDeviceFeatures)
	p.common.Write32(commonDeviceSelect, 0)
	return uint64(high)<<32 | uint64(p.common.Read32(commonDeviceFeatures))
}

func (p *pci) Accept(features uint64) {
	p.common.Write32(commonDriverSelect, 0)
	p.common.Write32(commonDriverFeatures, uint32(features))
	p.common.Write32(commonDriverSelect, 1)
	p.common.Write32(commonDriverFeatures, uint32(features>>32))
}

func (p *pci) Status() uint8     { return p.common.Read8(commonStatus) }
func (p *pci) SetStatus(s uint8) { p.common.Write8(commonStatus, s) }

// QueueLimit also stores the offset of the queue's notification register. It returns 0
// if the register is outside of the notification structure.
func (p *pci) QueueLimit(queue uint16) uint16 {
	p.common.Write16(commonQueueSelect, queue)
	offset := uint64(p.common.Read16(commonQueueNotify)) * uint64(p.multiplier)
	if queue > queueTransmit || offset+2 > uint64(p.notifyLength) || offset%2 != 0 {
		return 0
	}
	p.notifyOffsets[queue] = uint32(offset)
	return p.common.Read16(commonQueueSize)
}

func (p *pci) Enable(queue, size uint16, descriptors, available, used uint64) {
	p.common.Write16(commonQueueSelect, queue)
	p.common.Write16(commonQueueSize, size)
	write64(p.common, commonQueueDescriptors, descriptors)
	write64(p.common, commonQueueAvailable, available)
	write64(p.common, commonQueueUsed, used)
	p.common.Write16(commonQueueEnable, 1)
}

func (p *pci) Notify(queue uint16) { p.notify.Write16(p.notifyOffsets[queue], queue) }

// Acknowledge reads the ISR, which clears it (4.1.4.5).
func (p *pci) Acknowledge() { p.isr.Read8(0) }

func (p *pci) Config32(offset uint32) uint32 { return p.device.Read32(offset) }
