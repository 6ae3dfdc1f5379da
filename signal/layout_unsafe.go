package signal

import (
	"unsafe"

	"slowpath/abi"
	"slowpath/abi/compat"
)

// The size of a signal frame, and the offsets of the structures to which the
// handler's arguments point. A frame begins with the handler's return address.
const (
	frameSize     = uint64(unsafe.Sizeof(abi.RTSigframe{}))
	frameUContext = uint64(unsafe.Offsetof(abi.RTSigframe{}.UContext))
	frameInfo     = uint64(unsafe.Offsetof(abi.RTSigframe{}.Info))
)

// The sizes of 32-bit signal frames, and offsets in them.
const (
	sigframe32Size       = int(unsafe.Sizeof(compat.Sigframe{}))
	sigframe32Retcode    = uint64(unsafe.Offsetof(compat.Sigframe{}.Retcode))
	rtSigframe32Size     = int(unsafe.Sizeof(compat.RTSigframe{}))
	rtSigframe32Info     = uint32(unsafe.Offsetof(compat.RTSigframe{}.Info))
	rtSigframe32UContext = uint32(unsafe.Offsetof(compat.RTSigframe{}.UContext))
	rtSigframe32Retcode  = uint64(unsafe.Offsetof(compat.RTSigframe{}.Retcode))
)
