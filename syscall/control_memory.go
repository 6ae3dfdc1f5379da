package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/mm"
	"slowpath/task"
)

// layoutField is the address that an operation of PR_SET_MM sets.
type layoutField struct {
	address func(p *task.Program, heap *mm.Heap) *uint64
	// mapped says that the address must be below the end of an area: it has strings or
	// the stack.
	mapped bool
}

// layoutFields has the address of each operation of PR_SET_MM (prctl(2)).
var layoutFields = map[uint64]layoutField{
	unix.PR_SET_MM_START_CODE:  {func(p *task.Program, _ *mm.Heap) *uint64 { return &p.StartCode }, false},
	unix.PR_SET_MM_END_CODE:    {func(p *task.Program, _ *mm.Heap) *uint64 { return &p.EndCode }, false},
	unix.PR_SET_MM_START_DATA:  {func(p *task.Program, _ *mm.Heap) *uint64 { return &p.StartData }, false},
	unix.PR_SET_MM_END_DATA:    {func(p *task.Program, _ *mm.Heap) *uint64 { return &p.EndData }, false},
	unix.PR_SET_MM_START_STACK: {func(p *task.Program, _ *mm.Heap) *uint64 { return &p.StartStack }, true},
	unix.PR_SET_MM_START_BRK:   {func(_ *task.Program, heap *mm.Heap) *uint64 { return &heap.Start }, false},
	unix.PR_SET_MM_BRK:         {func(_ *task.Program, heap *mm.Heap) *uint64 { return &heap.End }, false},
	unix.PR_SET_MM_ARG_START:   {func(p *task.Program, _ *mm.Heap) *uint64 { return &p.ArgStart }, true},
	unix.PR_SET_MM_ARG_END:     {func(p *task.Program, _ *mm.Heap) *uint64 { return &p.ArgEnd }, true},
	unix.PR_SET_MM_ENV_START:   {func(p *task.Program, _ *mm.Heap) *uint64 { return &p.EnvStart }, true},
	unix.PR_SET_MM_ENV_END:     {func(p *task.Program, _ *mm.Heap) *uint64 { return &p.EnvEnd }, true},
}

// auxvSize is the size of the auxiliary vector that the kernel keeps, in bytes
// (AT_VECTOR_SIZE words).
const auxvSize = 48 * 8

// prSetMM is PR_SET_MM (prctl(2)). Errors: those of prctl(2). EINVAL for
// PR_SET_MM_EXE_FILE.
func prSetMM(t *task.Task, a *amd64.Args) (uint64, error) {
	operation, address, length := a[1], a[2], a[3]
	takesLength := operation == unix.PR_SET_MM_AUXV || operation == unix.PR_SET_MM_MAP || operation == unix.PR_SET_MM_MAP_SIZE
	switch {
	case a[4] != 0 || length != 0 && !takesLength:
		return 0, unix.EINVAL
	case operation == unix.PR_SET_MM_MAP_SIZE:
		return 0, abi.CopyOut(t, address, uint32(len(abi.Bytes(&abi.PrctlMMMap{}))))
	case operation == unix.PR_SET_MM_MAP:
		return 0, setMemoryMap(t, address, length)
	case !t.Credentials().Has(cred.SysResource):
		return 0, unix.EPERM
	case operation == unix.PR_SET_MM_AUXV:
		return 0, setAuxiliaryVector(t, address, length)
	case address >= userEnd || address < uint64(t.Kernel().Settings().MmapMinAddr.Get()):
		return 0, unix.EINVAL
	}
	field, known := layoutFields[operation]
	if !known {
		return 0, unix.EINVAL
	}
	return 0, t.ChangeLayout(func(p *task.Program, heap *mm.Heap) error {
		*field.address(p, heap) = address
		if field.mapped && !t.MM.AreaEndsAbove(address) {
			return unix.EFAULT
		}
		return nil
	})
}

// setMemoryMap is PR_SET_MM_MAP. Errors: EINVAL, EFAULT; EPERM for another executable,
// which cannot be set.
func setMemoryMap(t *task.Task, address, length uint64) error {
	var m abi.PrctlMMMap
	if length != uint64(len(abi.Bytes(&m))) {
		return unix.EINVAL
	}
	m, err := abi.CopyIn[abi.PrctlMMMap](t, address)
	if err != nil {
		return err
	}
	var auxv []byte
	if m.AuxvSize != 0 {
		if m.Auxv == 0 || m.AuxvSize > auxvSize {
			return unix.EINVAL
		}
		if auxv, err = readAuxiliaryVector(t, m.Auxv, uint64(m.AuxvSize)); err != nil {
			return err
		}
	}
	if m.ExeFD != ^uint32(0) {
		return unix.EPERM
	}
	return t.ChangeLayout(func(p *task.Program, heap *mm.Heap) error {
		p.Layout = task.Layout{
			StartCode: m.StartCode, EndCode: m.EndCode, StartData: m.StartData, EndData: m.EndData,
			StartStack: m.StartStack, ArgStart: m.ArgStart, ArgEnd: m.ArgEnd, EnvStart: m.EnvStart, EnvEnd: m.EnvEnd,
		}
		*heap = mm.Heap{Start: m.StartBrk, End: m.Brk}
		if auxv != nil {
			p.Auxv = auxv
		}
		return nil
	})
}

// setAuxiliaryVector is PR_SET_MM_AUXV: EINVAL for a length that is too great, EFAULT.
func setAuxiliaryVector(t *task.Task, address, length uint64) error {
	if length > auxvSize {
		return unix.EINVAL
	}
	auxv, err := readAuxiliaryVector(t, address, length)
	if err != nil {
		return err
	}
	return t.ChangeLayout(func(p *task.Program, _ *mm.Heap) error {
		p.Auxv = auxv
		return nil
	})
}

// readAuxiliaryVector reads an auxiliary vector of at most auxvSize bytes. Its last
// entry becomes AT_NULL.
func readAuxiliaryVector(t *task.Task, address, length uint64) ([]byte, error) {
	auxv := make([]byte, auxvSize)
	if err := t.CopyIn(address, auxv[:length]); err != nil {
		return nil, err
	}
	clear(auxv[auxvSize-16:])
	return auxv, nil
}
