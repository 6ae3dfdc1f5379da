package virtio

import (
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

// bus simulates a PCI bus with one device, which is in slot 3.
type bus struct {
	address uint32
	space   [256]byte
	absent  bool
	device  *pciDevice
}

func (b *bus) word(offset int, v uint32) { binary.LittleEndian.PutUint32(b.space[offset:], v) }

func (b *bus) In32(port uint16) uint32 {
	switch {
	case b.absent:
		return 0xffffffff
	case port == pciAddressPort:
		return b.address
	case b.address>>11 != pciEnable>>11|3:
		return 0xffffffff
	}
	return binary.LittleEndian.Uint32(b.space[b.address&0xfc:])
}

func (b *bus) Out32(port uint16, v uint32) {
	if port == pciAddressPort {
		b.address = v
	} else if b.address>>11 == pciEnable>>11|3 {
		b.word(int(b.address&0xfc), v)
	}
}

// The addresses of the simulated device's structures. BAR 4 and 5 have the base.
const (
	barBase      = 0x1_fe00_0000
	structureGap = 0x1000
	notifyStep   = 4
)

func newBus() *bus {
	b := &bus{device: &pciDevice{simulated: newSimulated()}}
	b.word(pciIdentity, pciConsoleTransitional)
	b.word(pciCapabilities, 0x40)
	b.word(pciInterruptLine, 0x10b)
	b.word(pciBAR0+16, uint32(barBase&0xffffffff)|barIs64|8)
	b.word(pciBAR0+20, barBase>>32)
	b.word(0x40, 0x11|0x50<<8) // MSI-X, which the driver skips
	for i, kind := range []uint32{capabilityCommon, capabilityISR, capabilityDevice, capabilityNotify} {
		at := 0x50 + 20*i
		next := uint32(at + 20)
		if kind == capabilityNotify {
			next = 0
		}
		b.word(at, capabilityVendor|next<<8|20<<16|kind<<24)
		b.word(at+4, 4)
		b.word(at+8, kind*structureGap)
		b.word(at+12, structureGap)
		if kind == capabilityNotify {
			b.word(at+16, notifyStep)
		}
	}
	return b
}

func (b *bus) registers(address uint64, length uint32) Registers {
	if address < barBase || length != structureGap {
		return nil
	}
	return &window{b.device, uint32(address-barBase) / structureGap}
}

// pciDevice maps the PCI registers to those of the simulated MMIO device.
type pciDevice struct {
	*simulated
	queueNotify uint16
}

// window is one structure of the device.
type window struct {
	d    *pciDevice
	kind uint32
}

// commonToMMIO maps registers of the common configuration to MMIO registers.
var commonToMMIO = map[uint32]uint32{
	commonDeviceSelect: mmioDeviceSelect, commonDeviceFeatures: mmioDeviceFeatures,
	commonDriverSelect: mmioDriverSelect, commonDriverFeatures: mmioDriverFeatures,
	commonStatus: mmioStatus, commonQueueSelect: mmioQueueSelect, commonQueueEnable: mmioQueueReady,
	commonQueueDescriptors: mmioQueueDescriptors, commonQueueDescriptors + 4: mmioQueueDescriptors + 4,
	commonQueueAvailable: mmioQueueAvailable, commonQueueAvailable + 4: mmioQueueAvailable + 4,
	commonQueueUsed: mmioQueueUsed, commonQueueUsed + 4: mmioQueueUsed + 4,
}

func (w *window) Read8(offset uint32) uint8 {
	if w.kind == capabilityISR {
		v := w.d.Read32(mmioInterruptStatus)
		w.d.Write32(mmioInterruptAck, v)
		return uint8(v)
	}
	return uint8(w.d.Read32(commonToMMIO[offset]))
}

func (w *window) Read16(offset uint32) uint16 {
	if offset == commonQueueNotify {
		return uint16(w.d.queueSelect)
	}
	return uint16(w.d.Read32(mmioQueueLimit)) // commonQueueSize
}

func (w *window) Read32(offset uint32) uint32 {
	if w.kind == capabilityDevice {
		return w.d.Read32(mmioConfig + offset)
	}
	return w.d.Read32(commonToMMIO[offset])
}

func (w *window) Write8(offset uint32, v uint8) { w.d.Write32(commonToMMIO[offset], uint32(v)) }

func (w *window) Write16(offset uint32, v uint16) {
	switch {
	case w.kind == capabilityNotify:
		if offset == uint32(v)*notifyStep {
			w.d.Write32(mmioQueueNotify, uint32(v))
		}
	case offset == commonQueueSize:
		w.d.Write32(mmioQueueSize, uint32(v))
	default:
		w.d.Write32(commonToMMIO[offset], uint32(v))
	}
}

func (w *window) Write32(offset, v uint32) { w.d.Write32(commonToMMIO[offset], v) }

func TestPCIDeviceTransfersData(t *testing.T) {
	b := newBus()
	transport, irq, err := NewPCI(b, b.registers)
	if err != nil || transport == nil || irq != 11 {
		t.Fatalf("got %v, interrupt %d, %v", transport, irq, err)
	}
	if got := binary.LittleEndian.Uint32(b.space[pciCommand:]); got != commandMemory|commandBusMaster {
		t.Errorf("the command register is %#x", got)
	}
	p, err := NewPort(transport, b.device.allocate)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, b.device.simulated, p)
	if err := p.Open("link", longTime); err != nil {
		t.Fatal(err)
	}
	p.Write([]byte("hello"))
	go b.device.send([]byte("world"))
	got := make([]byte, 5)
	if _, err := io.ReadFull(p, got); err != nil || string(got) != "world" || string(b.device.sent()) != "hello" {
		t.Errorf("got %q, sent %q, %v", got, b.device.sent(), err)
	}
}

func TestMissingPCIDeviceIsNoError(t *testing.T) {
	empty := newBus()
	empty.word(pciIdentity, 0xffffffff)
	for name, b := range map[string]*bus{"no PCI": {absent: true}, "other device": empty} {
		if transport, _, err := NewPCI(b, b.registers); transport != nil || err != nil {
			t.Errorf("%s: got %v, %v", name, transport, err)
		}
	}
}

func TestInvalidConfigurationSpaceIsRefused(t *testing.T) {
	const common = 0x50
	for name, spoil := range map[string]func(b *bus){
		"legacy only":            func(b *bus) { b.word(pciCapabilities, 0) },
		"capabilities in a ring": func(b *bus) { b.word(0x40, 0x11|0x40<<8) },
		"no such BAR":            func(b *bus) { b.word(common+4, 6) },
		"half a BAR":             func(b *bus) { b.word(common+4, 5); b.word(pciBAR0+20, barIs64) },
		"ports":                  func(b *bus) { b.word(pciBAR0+16, 0xc001) },
		"no address":             func(b *bus) { b.word(pciBAR0+16, 0) },
		"no 64-bit address":      func(b *bus) { b.word(pciBAR0+16, barIs64); b.word(pciBAR0+20, 0) },
		"out of reach":           func(b *bus) { b.word(pciBAR0+20, 0) },
		"too short":              func(b *bus) { b.word(common+12, 8) },
		"no interrupt":           func(b *bus) { b.word(pciInterruptLine, noInterruptRouted) },
	} {
		b := newBus()
		spoil(b)
		if transport, _, err := NewPCI(b, b.registers); transport != nil || !errors.Is(err, ErrDevice) {
			t.Errorf("%s: got %v, %v", name, transport, err)
		}
	}
}

func TestNotificationOutsideOfStructureIsRefused(t *testing.T) {
	b := newBus()
	b.word(0x50+3*20+16, structureGap) // the multiplier
	transport, _, err := NewPCI(b, b.registers)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewPort(transport, b.device.allocate); !errors.Is(err, ErrDevice) {
		t.Errorf("the error is %v, want ErrDevice", err)
	}
}

// FuzzConfigurationSpace checks that no configuration space makes NewPCI panic or map
// registers of length 0.
func FuzzConfigurationSpace(f *testing.F) {
	b := newBus()
	f.Add(b.space[:])
	f.Fuzz(func(t *testing.T, space []byte) {
		b := newBus()
		copy(b.space[:], space)
		NewPCI(b, func(address uint64, length uint32) Registers {
			if length == 0 {
				t.Fatal("registers of length 0 are mapped")
			}
			return b.registers(address, length)
		})
	})
}
