// Package virtio is a driver for virtio devices (OASIS, Virtual I/O Device version
// 1.2; section numbers in the comments refer to it). It has the split virtqueue, the
// MMIO and PCI transports of virtio 1.x, and one port of a console device, which
// carries bytes in both directions.
//
// The driver accesses device registers through [Registers] and gets memory from an
// [Allocate] function, so that it can be tested on the host with a simulated device.
// It does not trust the device: it checks every index, length and offset, and stops
// using a device that violates the protocol.
package virtio

import (
	"errors"
	"fmt"
)

// Registers are the memory-mapped registers of a device. Offsets are in bytes. An
// implementation must make each access with exactly the width in its name.
type Registers interface {
	Read8(offset uint32) uint8
	Read16(offset uint32) uint16
	Read32(offset uint32) uint32
	Write8(offset uint32, v uint8)
	Write16(offset uint32, v uint16)
	Write32(offset uint32, v uint32)
}

// Segment is page-aligned memory that driver and device share.
type Segment struct {
	Bytes   []byte // the driver's view
	Address uint64 // the physical address, for the device
}

// pageSize is the unit of memory allocation in bytes.
const pageSize = 4096

// Allocate returns segments with the given total number of pages. They are never
// freed.
type Allocate func(pages int) ([]Segment, error)

// Transport is the access to a device (chapter 4). Notify and Acknowledge may be called
// by any goroutine, the other methods only by the one that initializes the device. No
// method sleeps.
type Transport interface {
	// Kind returns the device type (chapter 5).
	Kind() uint32
	// Features returns the features that the device offers.
	Features() uint64
	// Accept sets the features that the driver uses.
	Accept(features uint64)
	// Status returns the device status.
	Status() uint8
	// SetStatus sets the device status; 0 resets the device.
	SetStatus(s uint8)
	// QueueLimit returns the maximum number of entries of a queue, or 0 if
	// the queue does not exist.
	QueueLimit(queue uint16) uint16
	// Enable enables a queue with its parts at the given physical addresses.
	Enable(queue, size uint16, descriptors, available, used uint64)
	// Notify notifies the device of new entries in a queue.
	Notify(queue uint16)
	// Acknowledge acknowledges the device's interrupt.
	Acknowledge()
	// Config32 reads four bytes of the device's own configuration.
	Config32(offset uint32) uint32
}

// Device status (2.1).
const (
	statusAcknowledge = 1 << 0
	statusDriver      = 1 << 1
	statusDriverOK    = 1 << 2
	statusFeaturesOK  = 1 << 3
	statusFailed      = 1 << 7
)

// featureVersion1 is the feature of virtio 1.x (6.1). The device must offer it and the
// driver must accept it.
const featureVersion1 = 1 << 32

// ErrDevice is wrapped by errors about a device that is unsuitable or violates the
// protocol. The device cannot be used afterwards.
var ErrDevice = errors.New("the virtio device cannot be used")

func broken(format string, arguments ...any) error {
	return fmt.Errorf("%w: %s", ErrDevice, fmt.Sprintf(format, arguments...))
}

// negotiate resets the device and negotiates the features (3.1.1, steps 1 to 6). It
// fails if the device does not have all of them.
func negotiate(t Transport, features uint64) error {
	t.SetStatus(0)
	const maxPolls = 1 << 16
	for polls := 0; t.Status() != 0; polls++ {
		if polls == maxPolls {
			return broken("it does not reset")
		}
	}
	t.SetStatus(statusAcknowledge | statusDriver)
	if missing := features &^ t.Features(); missing != 0 {
		t.SetStatus(statusFailed)
		return broken("it lacks the features %#x", missing)
	}
	t.Accept(features)
	t.SetStatus(statusAcknowledge | statusDriver | statusFeaturesOK)
	if t.Status()&statusFeaturesOK == 0 {
		t.SetStatus(statusFailed)
		return broken("it refuses the features that it offers")
	}
	return nil
}
