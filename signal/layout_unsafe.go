package signal

import (
	"unsafe"

	"slowpath/abi"
)

// The size of a signal frame, and the offsets of the structures to which the
// handler's arguments point. A frame begins with the handler's return address.
const (
	frameSize     = uint64(unsafe.Sizeof(abi.RTSigframe{}))
	frameUContext = uint64(unsafe.Offsetof(abi.RTSigframe{}.UContext))
	frameInfo     = uint64(unsafe.Offsetof(abi.RTSigframe{}.Info))
)
