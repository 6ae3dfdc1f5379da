package virtio

// Registers of the MMIO transport, version 2 (4.2.2).
const (
	mmioMagic            = 0x000
	mmioVersion          = 0x004
	mmioDeviceID         = 0x008
	mmioDeviceFeatures   = 0x010
	mmioDeviceSelect     = 0x014
	mmioDriverFeatures   = 0x020
	mmioDriverSelect     = 0x024
	mmioQueueSelect      = 0x030
	mmioQueueLimit       = 0x034
	mmioQueueSize        = 0x038
	mmioQueueReady       = 0x044
	mmioQueueNotify      = 0x050
	mmioInterruptStatus  = 0x060
	mmioInterruptAck     = 0x064
	mmioStatus           = 0x070
	mmioQueueDescriptors = 0x080
	mmioQueueAvailable   = 0x090
	mmioQueueUsed        = 0x0a0
	mmioConfig           = 0x100

	mmioMagicValue = 0x74726976 // "virt"
	mmioModern     = 2
)

// mmio is a device with the MMIO transport.
type mmio struct{ registers Registers }

// NewMMIO returns the transport for a device with MMIO registers. It fails with
// [ErrDevice] if there is no device or the device has only the legacy interface; start
// QEMU with -global virtio-mmio.force-legacy=false.
func NewMMIO(r Registers) (Transport, error) {
	if magic := r.Read32(mmioMagic); magic != mmioMagicValue {
		return nil, broken("its magic register has %#x instead of %#x", magic, mmioMagicValue)
	}
	if version := r.Read32(mmioVersion); version != mmioModern {
		return nil, broken("its registers have version %d instead of %d", version, mmioModern)
	}
	return mmio{r}, nil
}

func (m mmio) Kind() uint32 { return m.registers.Read32(mmioDeviceID) }

func (m mmio) Features() uint64 {
	m.registers.Write32(mmioDeviceSelect, 1)
	high := m.registers.Read32(mmioDeviceFeatures)
	m.registers.Write32(mmioDeviceSelect, 0)
	return uint64(high)<<32 | uint64(m.registers.Read32(mmioDeviceFeatures))
}

func (m mmio) Accept(features uint64) {
	m.registers.Write32(mmioDriverSelect, 0)
	m.registers.Write32(mmioDriverFeatures, uint32(features))
	m.registers.Write32(mmioDriverSelect, 1)
	m.registers.Write32(mmioDriverFeatures, uint32(features>>32))
}

func (m mmio) Status() uint8     { return uint8(m.registers.Read32(mmioStatus)) }
func (m mmio) SetStatus(s uint8) { m.registers.Write32(mmioStatus, uint32(s)) }

func (m mmio) QueueLimit(queue uint16) uint16 {
	m.registers.Write32(mmioQueueSelect, uint32(queue))
	return uint16(min(m.registers.Read32(mmioQueueLimit), 1<<15))
}

func (m mmio) Enable(queue, size uint16, descriptors, available, used uint64) {
	m.registers.Write32(mmioQueueSelect, uint32(queue))
	m.registers.Write32(mmioQueueSize, uint32(size))
	write64(m.registers, mmioQueueDescriptors, descriptors)
	write64(m.registers, mmioQueueAvailable, available)
	write64(m.registers, mmioQueueUsed, used)
	m.registers.Write32(mmioQueueReady, 1)
}

func (m mmio) Notify(queue uint16) { m.registers.Write32(mmioQueueNotify, uint32(queue)) }

func (m mmio) Acknowledge() {
	m.registers.Write32(mmioInterruptAck, m.registers.Read32(mmioInterruptStatus))
}

func (m mmio) Config32(offset uint32) uint32 { return m.registers.Read32(mmioConfig + offset) }

// write64 writes a 64-bit register as two 32-bit halves, which every device supports.
func write64(r Registers, offset uint32, v uint64) {
	r.Write32(offset, uint32(v))
	r.Write32(offset+4, uint32(v>>32))
}
