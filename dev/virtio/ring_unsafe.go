package virtio

import (
	"sync/atomic"
	"unsafe"
)

// loadWord and storeWord access the first four bytes of a ring, flags and
// index together: Go has atomic operations of no less than four bytes. The
// store is a full barrier, which the queue relies on: the index must be
// visible before the driver looks whether the device wants to be told.
func loadWord(page []byte, offset int) uint32 { return atomic.LoadUint32(word(page, offset)) }

func storeWord(page []byte, offset int, v uint32) { atomic.StoreUint32(word(page, offset), v) }

func word(page []byte, offset int) *uint32 {
	return (*uint32)(unsafe.Pointer(unsafe.SliceData(page[offset : offset+4])))
}
