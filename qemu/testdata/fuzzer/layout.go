package main

import (
	"math/rand/v2"
	"unsafe"

	"golang.org/x/sys/unix"

	"slowpath/fuzz/program"
)

// codeBase is the address of the header and the instructions. No call of a program
// changes the mappings there.
const (
	codeBase = 0x30000000
	codeSize = 0x100000
)

// header is the beginning of a program in memory. run_amd64.s knows its layout.
type header struct {
	next     uint64 // routines that are taken
	routines uint64
	calls    uint64 // system calls made
	created  uint64 // tasks made
	_        [4]uint64
	slots    [program.Slots]uint64
	_        [16]uint64
	code     [program.MaxRoutines]uint64 // the address of each routine
	_        [96 - program.MaxRoutines]uint64
	clone    [11]uint64 // struct clone_args of the first task
	_        [117]uint64
}

// instruction is an instruction in memory.
type instruction struct {
	op, slots uint32
	number    uint64
	args      [6]uint64
}

// endOfRoutine is the op behind the last instruction of a routine.
const endOfRoutine = 99

// forkRun starts a process that executes the program at header, and returns its id
// or a negative errno.
func forkRun(header uintptr) (pid int)

func handlerAddress() uint64
func restorerAddress() uint64

// area maps memory at a fixed address and returns it.
func area(address, size uintptr, flags int) ([]byte, error) {
	at, _, errno := unix.Syscall6(unix.SYS_MMAP, address, size, unix.PROT_READ|unix.PROT_WRITE,
		uintptr(flags|unix.MAP_ANON|unix.MAP_FIXED), ^uintptr(0), 0)
	if errno != 0 {
		return nil, errno
	}
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&at))), size), nil
}

// memory is the memory of a worker's programs.
type memory struct{ data, code []byte }

// newMemory maps the data area, which each program gets a copy of, and the code,
// which all of its tasks share.
func newMemory() (*memory, error) {
	data, err := area(program.DataBase, program.DataSize, unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	code, err := area(codeBase, codeSize, unix.MAP_SHARED)
	return &memory{data, code}, err
}

// load writes a program and its data into the memory.
func (m *memory) load(p *program.Program, r *rand.Rand) *header {
	clear(m.data)
	copy(m.data, program.Image(handlerAddress(), restorerAddress()))
	h := (*header)(unsafe.Pointer(&m.code[0]))
	*h = header{routines: uint64(len(p.Routines))}
	h.clone[0], h.clone[4] = unix.CLONE_CLEAR_SIGHAND, uint64(unix.SIGCHLD)
	at := unsafe.Sizeof(*h)
	emit := func(i instruction) {
		*(*instruction)(unsafe.Pointer(&m.code[at])) = i
		at += unsafe.Sizeof(i)
	}
	for n, routine := range p.Routines {
		h.code[n] = codeBase + uint64(at)
		for _, i := range routine {
			if spare(&i, r) {
				continue
			}
			emit(instruction{op: uint32(i.Op), slots: uint32(i.Slots), number: uint64(i.Number), args: i.Args})
		}
		emit(instruction{op: endOfRoutine})
	}
	return h
}

// spare reports whether an instruction must be left out: most signals to every
// process, which would end all workers.
func spare(i *program.Instruction, r *rand.Rand) bool {
	const kill32 = 37
	kills := i.Op == program.OpCall && i.Number == unix.SYS_KILL || i.Op == program.OpCall32 && i.Number == kill32
	return kills && int32(i.Args[0]) == -1 && i.Slots&1 == 0 && r.IntN(100) != 0
}
