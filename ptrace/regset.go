package ptrace

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/task"
)

// regsetRequests read and write a set of registers, as a note of a core file has them
// (elf(5), NT_).
var regsetRequests = map[int32]request{
	unix.PTRACE_GETREGSET: {"GETREGSET", needsStopped, only(func(c *call) error { return c.transferSet((*regset).load) })},
	unix.PTRACE_SETREGSET: {"SETREGSET", needsStopped, only(func(c *call) error { return c.transferSet((*regset).store) })},
}

// regset is a set of registers (Linux: struct user_regset).
type regset struct {
	// word is the size of a word in bytes: lengths are multiples of it.
	word uint64
	// size returns the size of the set in bytes.
	size func() int
	// read writes the first bytes of the set to b, which may be shorter than the set.
	read func(t *task.Task, b []byte) error
	// write loads registers from b, which may be shorter than the set. nil if the set is
	// read-only.
	write func(t *task.Task, b []byte) error
}

// fxsaveSize is the size of the set of FXSAVE in bytes.
const fxsaveSize = 512

// The sets of a 64-bit task.
var (
	generalSet = regset{
		word: wordSize,
		size: func() int { return registerCount * wordSize },
		read: func(t *task.Task, b []byte) error {
			var r abi.UserRegs
			readRegisters(t, &r)
			copy(b, abi.Bytes(&r))
			return nil
		},
		write: func(t *task.Task, b []byte) error {
			var values [registerCount]uint64
			n := len(b) / wordSize
			for i := range n {
				values[i] = binary.LittleEndian.Uint64(b[i*wordSize:])
			}
			return writeRegisters(t, 0, values[:n]...)
		},
	}
	fxsaveSet = regset{word: wordSize, size: func() int { return fxsaveSize }, read: readFXSave, write: writeFXSave}
	xsaveSet  = regset{word: wordSize, size: amd64.ExtendedSize, read: readXSave, write: writeXSave}
	portSet   = regset{word: wordSize, size: func() int { return portBitmap }, read: func(*task.Task, []byte) error { return unix.ENXIO }}
)

// portBitmap is the size of an I/O permission bitmap in bytes. No task has one, because
// ioperm(2) does not exist.
const portBitmap = 8192

// Types of notes (include/uapi/linux/elf.h).
const (
	ntPrstatus  = 1
	ntPrfpreg   = 2
	ntPrxfpreg  = 0x46e62b7f
	nt386TLS    = 0x200
	ntIOPerm    = 0x201
	ntX86XState = 0x202
)

// regsets has the set of each type of note, of a task that executes 64-bit code (Linux:
// user_x86_64_view).
var regsets = map[uint64]*regset{
	ntPrstatus: &generalSet, ntPrfpreg: &fxsaveSet, ntX86XState: &xsaveSet, ntIOPerm: &portSet,
}

// regsetsOf returns the sets of a stopped task, which depend on the code that it executes, and
// not on that of the tracer (Linux: task_user_regset_view).
func regsetsOf(t *task.Task) map[uint64]*regset {
	if t.Frame.Code32() {
		return regsets32
	}
	return regsets
}

// transferSet is PTRACE_GETREGSET and SETREGSET: addr is the type of the note, data the
// address of a struct iovec. It transfers as much of the set as fits, and stores its
// length in the iovec (Linux: ptrace_regset). Errors: EFAULT, EINVAL for an unknown set or
// a length that is not a multiple of the words of the set, and those of move.
func (c *call) transferSet(move func(s *regset, c *call, address uint64, length int) error) error {
	vector, err := c.copyInVector()
	if err != nil {
		return err
	}
	s := regsetsOf(c.tracee)[uint64(uint32(c.addr))]
	if s == nil || vector.Len%s.word != 0 {
		return unix.EINVAL
	}
	vector.Len = min(vector.Len, uint64(s.size()))
	if err := move(s, c, vector.Base, int(vector.Len)); err != nil {
		return err
	}
	if c.tracer.Layout.Narrow() {
		return abi.CopyOut(c.tracer, c.data+wordSize32, uint32(vector.Len))
	}
	return abi.CopyOut(c.tracer, c.data+wordSize, vector.Len)
}

// copyInVector reads the struct iovec at data, in the layout of the tracer's call: EFAULT.
func (c *call) copyInVector() (abi.Iovec, error) {
	if !c.tracer.Layout.Narrow() {
		return abi.CopyIn[abi.Iovec](c.tracer, c.data)
	}
	v, err := abi.CopyIn[compat.Iovec](c.tracer, c.data)
	return abi.Iovec{Base: uint64(v.Base), Len: uint64(v.Len)}, err
}

// load stores the first length bytes of the set at an address of the tracer.
func (s *regset) load(c *call, address uint64, length int) error {
	b := make([]byte, length)
	if err := s.read(c.tracee, b); err != nil {
		return err
	}
	return c.tracer.CopyOut(address, b)
}

// store loads the set from length bytes at an address of the tracer: EOPNOTSUPP for a
// set that is read-only.
func (s *regset) store(c *call, address uint64, length int) error {
	if s.write == nil {
		return unix.EOPNOTSUPP
	}
	b := make([]byte, length)
	if err := c.tracer.CopyIn(address, b); err != nil {
		return err
	}
	return s.write(c.tracee, b)
}

// The layout of an XSAVE area (SDM vol. 1, 13.4). Offsets in bytes.
const (
	xsaveMXCSR    = 24
	xsaveSoftware = 464 // sw_reserved: XCR0, by which debuggers know the layout
	xsaveHeader   = 512
	xsaveEnd      = 576 // of the header

	mxcsrStates = amd64.StateX87 | amd64.StateSSE | amd64.StateAVX // any of them has MXCSR
)

// readState returns the extended state of a stopped task, in a buffer that
// Frame.WriteExtended accepts.
func readState(t *task.Task) []byte {
	state := amd64.AlignedBuffer(amd64.ExtendedSize())
	t.Frame.ReadExtended(state)
	return state
}

// readFXSave implements read of fxsaveSet. The part for software is 0.
func readFXSave(t *task.Task, b []byte) error {
	state := readState(t)
	clear(state[xsaveSoftware:xsaveHeader])
	copy(b, state[:fxsaveSize])
	return nil
}

// writeFXSave implements write of fxsaveSet. The other components stay. Errors: EINVAL
// for a part of the set, and for bits of MXCSR that the CPU does not have (Linux:
// xfpregs_set).
func writeFXSave(t *task.Task, b []byte) error {
	if len(b) != fxsaveSize {
		return unix.EINVAL
	}
	state := readState(t)
	copy(state, b)
	if len(state) > xsaveHeader {
		addStates(state, amd64.StateX87|amd64.StateSSE)
	}
	if !t.Frame.WriteExtended(state, amd64.ExtendedMask() == 0) {
		return unix.EINVAL
	}
	return nil
}

// addStates marks components of an XSAVE area as present.
func addStates(state []byte, components uint64) {
	header := state[xsaveHeader:]
	binary.LittleEndian.PutUint64(header, binary.LittleEndian.Uint64(header)|components)
}

// readXSave implements read of xsaveSet. ENODEV on a CPU without XSAVE.
func readXSave(t *task.Task, b []byte) error {
	if amd64.ExtendedMask() == 0 {
		return unix.ENODEV
	}
	state := readState(t)
	clear(state[xsaveSoftware:xsaveHeader])
	binary.LittleEndian.PutUint64(state[xsaveSoftware:], amd64.ExtendedMask())
	copy(b, state)
	return nil
}

// writeXSave implements write of xsaveSet. Errors: ENODEV on a CPU without XSAVE, EFAULT
// for a part of the set, EINVAL for components that do not exist, another format than
// the standard one, or bits of MXCSR that the CPU does not have (Linux:
// xstateregs_set).
func writeXSave(t *task.Task, b []byte) error {
	switch {
	case amd64.ExtendedMask() == 0:
		return unix.ENODEV
	case len(b) != amd64.ExtendedSize():
		return unix.EFAULT
	}
	state := amd64.AlignedBuffer(len(b))
	copy(state, b)
	if binary.LittleEndian.Uint64(state[xsaveHeader:])&mxcsrStates == 0 {
		binary.LittleEndian.PutUint32(state[xsaveMXCSR:], t.Frame.MXCSR) // none has it: it stays
	}
	if !t.Frame.WriteExtended(state, false) {
		return unix.EINVAL
	}
	return nil
}
