// Package virtio drives virtio devices (OASIS, Virtual I/O Device version
// 1.2): the split virtqueue, the transports MMIO and PCI in their modern form,
// and one port of a console device, which carries bytes both ways as fast as
// memory does.
//
// Device registers are reached through [Registers] and memory through an
// [Allocate] function, so the drivers are ordinary Go and are tested on the
// host against a simulated device. What a device says is not believed: every
// index, length and offset is checked, and a device that breaks the rules is
// given up.
package virtio

import (
	"errors"
	"fmt"
)

// Registers are the registers of a device in memory; offsets are in bytes, and
// each access has the width that it names, as devices insist.
type Registers interface {
	Read8(offset uint32) uint8
	Read16(offset uint32) uint16
	Read32(offset uint32) uint32
	Write8(offset uint32, v uint8)
	Write16(offset uint32, v uint16)
	Write32(offset uint32, v uint32)
}

// Segment is a stretch of memory that both sides see: Bytes is it here,
// Address is where the device finds it. It begins at a page border.
type Segment struct {
	Bytes   []byte
	Address uint64
}

// pageSize is what memory comes in multiples of.
const pageSize = 4096

// Allocate returns segments that make up that many pages together. They are
// the device's until the machine ends.
type Allocate func(pages int) ([]Segment, error)

// Transport is how a device is found, configured, notified and heard
// (chapter 4). All methods but Notify and Acknowledge are for one goroutine
// that sets the device up; none sleeps.
type Transport interface {
	// Kind returns the device's number (chapter 5).
	Kind() uint32
	// Features returns what the device offers.
	Features() uint64
	// Accept tells the device what the driver will use of that.
	Accept(features uint64)
	// Status and SetStatus access the device status; 0 resets.
	Status() uint8
	SetStatus(s uint8)
	// QueueLimit returns how many entries a queue may have; 0 means that
	// there is no such queue.
	QueueLimit(queue uint16) uint16
	// Enable lets the device use a queue whose parts lie at these addresses.
	Enable(queue, size uint16, descriptors, available, used uint64)
	// Notify tells the device that a queue has new entries.
	Notify(queue uint16)
	// Acknowledge takes the interrupt back.
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

// featureVersion1 is what every modern device offers and every driver of one
// must accept (6.1).
const featureVersion1 = 1 << 32

// ErrDevice is the error, found with [errors.Is], of a device that is not what
// it must be or breaks the rules. It cannot be used after it.
var ErrDevice = errors.New("the virtio device cannot be used")

func broken(format string, arguments ...any) error {
	return fmt.Errorf("%w: %s", ErrDevice, fmt.Sprintf(format, arguments...))
}

// negotiate resets the device and agrees on the features, all of which the
// driver needs (3.1.1, steps 1 to 6).
func negotiate(t Transport, features uint64) error {
	t.SetStatus(0)
	const patience = 1 << 16
	for polls := 0; t.Status() != 0; polls++ {
		if polls == patience {
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
