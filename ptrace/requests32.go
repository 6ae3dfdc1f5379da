package ptrace

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/mm"
	"slowpath/signal"
	"slowpath/task"
)

// requests32 is the table of a tracer that calls by the ABI I386 (Linux: ia32_arch_ptrace,
// compat_ptrace_request). It has the requests of x86-64 but those whose words and structures
// have another width.
var requests32 = table(attachRequests, resumeRequests, optionRequests, signalRequests, syscallRequests,
	memoryRequests, userRequests, registerRequests, regsetRequests, rseqRequests, seccompRequests, segmentRequests,
	map[int32]request{
		unix.PTRACE_PEEKTEXT: {"PEEKTEXT", needsStopped, only(peek32)},
		unix.PTRACE_PEEKDATA: {"PEEKDATA", needsStopped, only(peek32)},
		unix.PTRACE_POKETEXT: {"POKETEXT", needsStopped, only(poke32)},
		unix.PTRACE_POKEDATA: {"POKEDATA", needsStopped, only(poke32)},
		unix.PTRACE_PEEKUSR:  {"PEEKUSER", needsStopped, only(peekUser32)},
		unix.PTRACE_POKEUSR:  {"POKEUSER", needsStopped, only(pokeUser32)},

		unix.PTRACE_GETREGS:    {"GETREGS", needsStopped, loads(&generalSet32)},
		unix.PTRACE_SETREGS:    {"SETREGS", needsStopped, stores(&generalSet32)},
		unix.PTRACE_GETFPREGS:  {"GETFPREGS", needsStopped, loads(&x87Set32)},
		unix.PTRACE_SETFPREGS:  {"SETFPREGS", needsStopped, stores(&x87Set32)},
		unix.PTRACE_GETFPXREGS: {"GETFPXREGS", needsStopped, loads(&fxsaveSet32)},
		unix.PTRACE_SETFPXREGS: {"SETFPXREGS", needsStopped, stores(&fxsaveSet32)},
		unix.PTRACE_ARCH_PRCTL: unknown,

		unix.PTRACE_GETEVENTMSG: {"GETEVENTMSG", needsStopped, only(getEventMessage32)},
		unix.PTRACE_SETSIGINFO:  {"SETSIGINFO", needsStopped, only(setSiginfo32)},
	})

// segmentRequests read and write the segments of set_thread_area(2).
var segmentRequests = map[int32]request{
	unix.PTRACE_GET_THREAD_AREA: {"GET_THREAD_AREA", needsStopped, only(getThreadArea)},
	unix.PTRACE_SET_THREAD_AREA: {"SET_THREAD_AREA", needsStopped, only(setThreadArea)},
}

// loads returns the handler of a request that stores a whole set at data.
func loads(s *regset) func(c *call) (uint64, error) {
	return only(func(c *call) error { return s.load(c, c.data, s.size()) })
}

// stores returns the handler of a request that loads a whole set from data.
func stores(s *regset) func(c *call) (uint64, error) {
	return only(func(c *call) error { return s.store(c, c.data, s.size()) })
}

// peek32 stores the word of 32 bits at addr at the address data of the tracer. Errors: those
// of peek.
func peek32(c *call) error {
	space, err := c.tracer.TraceeMemory(c.tracee)
	if err != nil {
		return err
	}
	var word [wordSize32]byte
	if _, err := c.tracer.ReadOther(space, c.addr, word[:], mm.Forced); err != nil {
		return unix.EIO
	}
	return c.tracer.CopyOut(c.data, word[:])
}

// poke32 writes data to the word of 32 bits at addr. Errors: those of poke.
func poke32(c *call) error {
	space, err := c.tracer.TraceeMemory(c.tracee)
	if err != nil {
		return err
	}
	var word [wordSize32]byte
	binary.LittleEndian.PutUint32(word[:], uint32(c.data))
	if _, err := c.tracer.WriteOther(space, c.addr, word[:], mm.Forced); err != nil {
		return unix.EIO
	}
	return nil
}

func getEventMessage32(c *call) error {
	return abi.CopyOut(c.tracer, c.data, uint32(c.tracee.CurrentStop().Message))
}

// setSiginfo32 is setSiginfo with the siginfo_t of 32-bit programs.
func setSiginfo32(c *call) error {
	info, err := abi.CopyIn[compat.Siginfo](c.tracer, c.data)
	if err != nil {
		return err
	}
	return changeSiginfo(c, signal.InfoOf32(&info))
}

// getThreadArea stores the segment of the entry addr at the address data of the tracer
// (Linux: do_get_thread_area). Errors: EIO for a negative entry, EINVAL, EFAULT.
func getThreadArea(c *call) error {
	if int32(c.addr) < 0 {
		return unix.EIO
	}
	d, err := c.tracee.ThreadArea(uint32(c.addr))
	if err != nil {
		return err
	}
	return abi.CopyOut(c.tracer, c.data, d)
}

// setThreadArea sets the segment of the entry addr (Linux: do_set_thread_area). Errors: EIO
// for a negative entry, EINVAL, EFAULT.
func setThreadArea(c *call) error {
	if int32(c.addr) < 0 {
		return unix.EIO
	}
	d, err := abi.CopyIn[compat.UserDesc](c.tracer, c.data)
	if err != nil {
		return err
	}
	if err := task.CheckThreadArea(&d); err != nil {
		return err
	}
	return c.tracee.SetThreadArea(uint32(c.addr), &d)
}
