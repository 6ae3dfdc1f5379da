package virtio

import (
	"sync/atomic"
	"unsafe"
)

// loadWord and storeWord access the first four bytes of a ring, which are flags and
// index, because Go has no atomic operations on two bytes. The store is a full memory
// barrier: the index must be visible before the driver reads whether the device
// wants a notification.
func loadWord(page []byte, offset int) uint32 { return atomic.LoadUint32(word(page, offset)) }

func storeWord(page []byte, offset int, v uint32) { atomic.StoreUint32(word(page, offset), v) }

func word(page []byte, offset int) *uint32 {
	return (*uint32)(unsafe.Pointer(unsafe.SliceData(page[offset : offset+4])))
}
