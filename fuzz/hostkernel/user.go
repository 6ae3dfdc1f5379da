package hostkernel

import (
	"time"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/fuzz/program"
	"slowpath/task"
)

// The addresses of the program's code. The model executes no instructions: only the
// instruction pointer tells where a task is.
const (
	codeAddress     = 0x400000
	handlerAddress  = codeAddress + 0x800 // the signal handler
	restorerAddress = codeAddress + 0x900
)

// pageFault is the vector of a page fault.
const pageFault = 14

// user is the state of a task in user mode.
type user struct {
	task    *task.Task
	routine []program.Instruction // the rest of it
	// deliveries counts the handler's instructions. Every third is an
	// instruction of the routine, the others return from the handler.
	deliveries int
	// faulted is 1 + the address of the last page fault.
	faulted uint64
	// called is the last system call, until checkResult has seen it.
	called *program.Instruction
	// calls counts the system calls. The tasks must not share a counter: every
	// atomic operation on it would order their calls for the race detector, which
	// then finds only what overlaps within one call.
	calls int64
	// cloning is set during a call that creates a task.
	cloning bool
}

// run is the function of a task's goroutine: the user loop.
func (k *Kernel) run(t *task.Task) {
	u := &user{task: t}
	n := int(k.next.Add(1)) - 1
	if n < len(k.program.Routines) {
		u.routine = k.program.Routines[n]
	}
	if n == 0 {
		k.slots[0].Store(uint64(t.PID()))
		k.slots[1].Store(uint64(t.ParentPID()))
		for i := program.FirstFree; i < program.Slots; i++ {
			k.slots[i].Store(uint64(t.PID()))
		}
		if k.config.Injection != nil {
			k.config.Injection.active.Store(true)
		}
	}
	if n > 0 {
		k.meet(t)
	}
	k.users.Store(t.Frame, u)
	defer func() {
		k.users.Delete(t.Frame)
		k.calls.Add(u.calls)
	}()
	k.loop.Run(t)
}

// meet waits until all routines are taken, for a short time: otherwise most tasks end
// before the next one starts, and nothing happens at the same time.
func (k *Kernel) meet(t *task.Task) {
	const most = 500 * time.Microsecond
	for start := time.Now(); int(k.next.Load()) < len(k.program.Routines) && time.Since(start) < most; {
		t.Yield()
	}
}

// enterUser is the model of amd64.EnterUser: it makes the last test and executes
// instructions of the task's routine until the kernel is entered.
func (k *Kernel) enterUser(f *amd64.Frame) int {
	value, _ := k.users.Load(f)
	u := value.(*user)
	if u.cloning {
		u.cloning = false
		if id := int64(f.RAX); id > 0 {
			slot := program.FirstFree + k.nextSlot.Add(1)%(program.Slots-program.FirstFree)
			k.slots[slot].Store(uint64(id))
		}
	}
	k.checkResult(u, f)
	for {
		if !k.leaves(f) {
			return amd64.EventDuty
		}
		if event, entered := k.step(u, f); entered {
			return event
		}
	}
}

// leaves makes the last test. It reports whether the task enters user mode.
func (k *Kernel) leaves(f *amd64.Frame) bool {
	if _, possible := f.QuickExit(); possible {
		return true
	}
	return k.duties.LastTest(f) != amd64.Stay
}

// step executes one instruction of user mode. It reports whether that entered the
// kernel.
func (k *Kernel) step(u *user, f *amd64.Frame) (event int, entered bool) {
	if f.RIP == handlerAddress {
		if u.deliveries++; u.deliveries%3 != 0 || len(u.routine) == 0 {
			return sigreturn(u, f), true
		}
	}
	if len(u.routine) == 0 {
		if f.Code32() {
			const exit = 1
			return systemCall32(f, exit, &amd64.Args{}), true
		}
		*f.Args() = amd64.Args{}
		return systemCall(f, unix.SYS_EXIT), true
	}
	i := &u.routine[0]
	switch i.Op {
	case program.OpCall, program.OpCall32:
		u.routine = u.routine[1:]
		if i.Op == program.OpCall32 || f.Code32() {
			return k.call32(u, f, i), true
		}
		return k.call(u, f, i), true
	case program.OpStore:
		if !k.machine.store(f.Root(), i.Args[0], byte(i.Args[1])) {
			return k.fault(u, f, i.Args[0], amd64.FaultWrite), true
		}
	case program.OpLoad:
		if !k.machine.load(f.Root(), i.Args[0]) {
			return k.fault(u, f, i.Args[0], 0), true
		}
	case program.OpRefill:
		return k.refill(u, f)
	case program.OpYield:
		u.routine = u.routine[1:]
		entry.Raise(&f.ThreadFlags, entry.NeedResched)
		trapped(f)
		return ^amd64.FirstInterrupt, true
	}
	u.routine = u.routine[1:]
	return 0, false
}

// refill writes the structures to the data area, a byte of each page first, so that
// a fault is taken where it happens.
func (k *Kernel) refill(u *user, f *amd64.Frame) (event int, entered bool) {
	for at := 0; at < len(refilled); at++ {
		address := program.DataBase + uint64(at)
		if !k.machine.store(f.Root(), address, refilled[at]) {
			return k.fault(u, f, address, amd64.FaultWrite), true
		}
	}
	u.routine = u.routine[1:]
	return 0, false
}

// refilled are the structures that OpRefill writes.
var refilled = program.Image(handlerAddress, restorerAddress)[:0x4000]

// call makes a system call.
func (k *Kernel) call(u *user, f *amd64.Frame, i *program.Instruction) int {
	*f.Args() = k.arguments(i)
	switch i.Number {
	case unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_CLONE, unix.SYS_CLONE3:
		u.cloning = true
	}
	u.called = i
	u.calls++
	k.config.Injection.pass(InCall)
	return systemCall(f, i.Number)
}

// arguments returns the arguments of a call, with the contents of the slots.
func (k *Kernel) arguments(i *program.Instruction) amd64.Args {
	a := amd64.Args(i.Args)
	for n := range a {
		if i.Slots&(1<<n) != 0 {
			a[n] = k.slots[i.Args[n]%program.Slots].Load()
		}
	}
	return a
}

// call32 makes a system call of the i386 ABI. 32-bit code makes all its calls so.
func (k *Kernel) call32(u *user, f *amd64.Frame, i *program.Instruction) int {
	a := k.arguments(i)
	u.cloning = program.Clones32(i.Number)
	u.calls++
	k.config.Injection.pass(InCall)
	return systemCall32(f, i.Number, &a)
}

// systemCall32 enters the kernel by INT 0x80.
func systemCall32(f *amd64.Frame, number int, a *amd64.Args) int {
	trapped(f)
	f.RAX = uint64(number)
	f.RBX, f.RCX, f.RDX, f.RSI, f.RDI, f.RBP = a[0], a[1], a[2], a[3], a[4], a[5]
	return ^amd64.Int80
}

// sigreturn returns from a signal handler, from one of 32-bit code by both calls of the
// i386 ABI.
func sigreturn(u *user, f *amd64.Frame) int {
	if !f.Code32() {
		f.RSP += 8 // RET to the restorer
		return systemCall(f, unix.SYS_RT_SIGRETURN)
	}
	const plain, withInfo = 119, 173
	if u.deliveries%2 == 0 {
		f.RSP += 8 // the return address and the signal number
		return systemCall32(f, plain, &amd64.Args{})
	}
	f.RSP += 4
	return systemCall32(f, withInfo, &amd64.Args{})
}

// systemCall enters the kernel like the landing of SYSCALL: RCX and R11 are stale,
// and no flag is set.
func systemCall(f *amd64.Frame, number int) int {
	const stale = 0xbad
	f.RAX, f.OrigRAX = uint64(number), uint64(number)
	f.RCX, f.R11, f.Flags = stale, stale, 0
	return number
}

// trapped completes a frame as an exception or an interrupt does.
func trapped(f *amd64.Frame) {
	f.Flags = amd64.LeaveByIRET | amd64.CallOver
	f.OrigRAX = amd64.NotInSyscall
}

// fault enters the kernel with a page fault. The instruction is repeated
// afterwards, unless a handler has taken it: a program gets no second SIGSEGV for
// one instruction.
func (k *Kernel) fault(u *user, f *amd64.Frame, address, code uint64) int {
	trapped(f)
	f.Vector, f.Error, f.CR2 = pageFault, code|amd64.FaultUser, address
	if u.faulted == address+1 {
		u.routine, u.faulted = u.routine[1:], 0 // it faulted again: skip it
	} else {
		u.faulted = address + 1
	}
	return ^pageFault
}
