package ptrace

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/signal"
	"slowpath/task"
)

// The sizes of the sets of a 32-bit task in bytes.
const (
	registers32Size = registerCount32 * wordSize32
	x87Size         = 108 // struct user_i387_ia32_struct
	segmentSize     = 16  // struct user_desc
)

// regsets32 has the sets of a task that executes 32-bit code, by type of note (Linux:
// user_x86_32_view).
var regsets32 = map[uint64]*regset{
	ntPrstatus: &generalSet32, ntPrfpreg: &x87Set32, ntPrxfpreg: &fxsaveSet32,
	ntX86XState: &xsaveSet, nt386TLS: &segmentSet32, ntIOPerm: &portSet32,
}

var (
	generalSet32 = regset{word: wordSize32, size: func() int { return registers32Size }, read: readGeneral32, write: writeGeneral32}
	x87Set32     = regset{word: wordSize32, size: func() int { return x87Size }, read: readX87, write: writeX87}
	fxsaveSet32  = regset{word: wordSize32, size: fxsaveSet.size, read: readFXSave, write: writeFXSave}
	segmentSet32 = regset{word: segmentSize, size: func() int { return amd64.TLSEntries * segmentSize }, read: readSegments, write: writeSegments}
	portSet32    = regset{word: wordSize32, size: portSet.size, read: portSet.read}
)

// readGeneral32 implements read of generalSet32.
func readGeneral32(t *task.Task, b []byte) error {
	r := t.Registers32()
	copy(b, abi.Bytes(&r))
	return nil
}

// writeGeneral32 implements write of generalSet32.
func writeGeneral32(t *task.Task, b []byte) error {
	var values [registerCount32]uint32
	n := len(b) / wordSize32
	for i := range n {
		values[i] = binary.LittleEndian.Uint32(b[i*wordSize32:])
	}
	return writeRegisters32(t, 0, values[:n]...)
}

// readX87 implements read of x87Set32.
func readX87(t *task.Task, b []byte) error {
	ds, _, _, _ := t.Frame.Selectors()
	x87 := signal.ToFSave(readState(t), uint16(t.Frame.CS), uint16(ds))
	copy(b, abi.Bytes(&x87)[:x87Size])
	return nil
}

// writeX87 implements write of x87Set32. The other components stay. EINVAL for a part of the
// set (Linux: fpregs_set).
func writeX87(t *task.Task, b []byte) error {
	if len(b) != x87Size {
		return unix.EINVAL
	}
	var x87 compat.FSave
	copy(abi.Bytes(&x87), b)
	state := readState(t)
	signal.FromFSave(state, &x87)
	if len(state) > xsaveHeader {
		addStates(state, amd64.StateX87)
	}
	if !t.Frame.WriteExtended(state, amd64.ExtendedMask() == 0) {
		return unix.EINVAL
	}
	return nil
}

// readSegments implements read of segmentSet32.
func readSegments(t *task.Task, b []byte) error {
	segments, _ := t.ThreadAreas()
	copy(b, abi.SliceBytes(segments[:]))
	return nil
}

// writeSegments implements write of segmentSet32: EINVAL for a segment that
// set_thread_area(2) refuses.
func writeSegments(t *task.Task, b []byte) error {
	var segments [amd64.TLSEntries]compat.UserDesc
	copy(abi.SliceBytes(segments[:]), b)
	return t.SetThreadAreas(segments[:len(b)/segmentSize])
}
