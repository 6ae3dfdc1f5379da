package hostkernel

import (
	"sync"
	"unsafe"

	"slowpath/mm/frame"
	"slowpath/mm/mmtest"
)

// machine is the model of the hardware. It makes the faults of Injection happen.
type machine struct {
	*mmtest.Machine
	injection *Injection // nil for none
}

// AllocFrames implements mm.Machine.
func (m *machine) AllocFrames(dst []frame.Number) int {
	if m.injection != nil {
		if m.injection.refuses() {
			return 0
		}
		m.injection.pass(InAllocation)
	}
	return m.Machine.AllocFrames(dst)
}

// CopyUser implements mm.Machine.
func (m *machine) CopyUser(root uint64, kernel unsafe.Pointer, user uint64, n int, toUser bool) int {
	if m.injection != nil {
		m.injection.pass(InCopy)
	}
	return m.Machine.CopyUser(root, kernel, user, n, toUser)
}

// LoadUser implements mm.Machine.
func (m *machine) LoadUser(root, user uint64) (value uint32, ok bool) {
	if m.injection != nil {
		m.injection.pass(InCopy)
	}
	return m.Machine.LoadUser(root, user)
}

// Shootdown implements mm.Machine.
func (m *machine) Shootdown(root, start, end uint64) {
	if m.injection != nil {
		m.injection.pass(InShootdown)
	}
	m.Machine.Shootdown(root, start, end)
}

// store is a store of the program: it writes the byte to the address, or reports
// that the access faults.
func (m *machine) store(root, address uint64, value byte) bool {
	return address < userLimit && m.Machine.CopyUser(root, unsafe.Pointer(&value), address, 1, true) == 1
}

// load is a load of the program.
func (m *machine) load(root, address uint64) bool {
	var value byte
	return address < userLimit && m.Machine.CopyUser(root, unsafe.Pointer(&value), address, 1, false) == 1
}

// machines are unused machines, by their number of frames. A machine keeps its
// memory, because mapping it for each kernel would take longer than most programs.
var machines = struct {
	sync.Mutex
	free map[int][]*mmtest.Machine
}{free: map[int][]*mmtest.Machine{}}

// takeMachine returns a machine with all frames free.
func takeMachine(frames int) (*mmtest.Machine, error) {
	machines.Lock()
	defer machines.Unlock()
	list := machines.free[frames]
	if len(list) == 0 {
		return mmtest.NewMachine(frames)
	}
	m := list[len(list)-1]
	machines.free[frames] = list[:len(list)-1]
	m.Reset()
	return m, nil
}

// giveMachine makes the machine available for another kernel.
func giveMachine(frames int, m *mmtest.Machine) {
	machines.Lock()
	defer machines.Unlock()
	machines.free[frames] = append(machines.free[frames], m)
}
