package main

import (
	"unsafe"

	"slowpath/arch/amd64"
	"slowpath/dev/virtio"
	"slowpath/mm/frame"
)

// registers are the registers of a device at an address in the direct map. The
// methods are not inlined, so that the compiler cannot drop or merge accesses.
type registers uintptr

// The part of the physical address space that has devices. The direct map always
// covers it.
const (
	devicesStart = 0xc0000000
	devicesEnd   = 1 << 32
)

// deviceRegisters returns the registers at a physical address, or nil if the address
// is not in the part for devices.
func deviceRegisters(address uint64, length uint32) virtio.Registers {
	if address < devicesStart || address >= devicesEnd || uint64(length) > devicesEnd-address {
		return nil
	}
	return registers(amd64.DirectMap + address)
}

// directMapped returns the memory of consecutive frames.
func directMapped(first frame.Number, pages int) virtio.Segment {
	at := (*byte)(registers(amd64.DirectMap + first.Address()).at(0))
	return virtio.Segment{Bytes: unsafe.Slice(at, pages*frame.Size), Address: first.Address()}
}

// at converts an address in the direct map to a pointer. The address is never in Go's
// heap.
func (r registers) at(offset uint32) unsafe.Pointer {
	a := uintptr(r) + uintptr(offset)
	return *(*unsafe.Pointer)(unsafe.Pointer(&a))
}

//go:noinline
func (r registers) Read8(offset uint32) uint8 { return *(*uint8)(r.at(offset)) }

//go:noinline
func (r registers) Read16(offset uint32) uint16 { return *(*uint16)(r.at(offset)) }

//go:noinline
func (r registers) Read32(offset uint32) uint32 { return *(*uint32)(r.at(offset)) }

//go:noinline
func (r registers) Write8(offset uint32, v uint8) { *(*uint8)(r.at(offset)) = v }

//go:noinline
func (r registers) Write16(offset uint32, v uint16) { *(*uint16)(r.at(offset)) = v }

//go:noinline
func (r registers) Write32(offset uint32, v uint32) { *(*uint32)(r.at(offset)) = v }
