package hostkernel

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/fuzz/program"
)

// traceCall makes a ptrace(2) request of the process in a slot.
func traceCall(request int, slot, addr, data uint64) program.Instruction {
	i := makeCall(unix.SYS_PTRACE, uint64(request), slot, addr, data)
	i.Slots = 1 << 1
	return i
}

// slotCall makes a call whose first argument is the process in a slot.
func slotCall(number int, slot uint64, arguments ...uint64) program.Instruction {
	i := makeCall(number, append([]uint64{slot}, arguments...)...)
	i.Slots = 1
	return i
}

// poll looks for changes of tracees without waiting.
var poll = makeCall(unix.SYS_WAIT4, ^uint64(0), buffer, unix.WNOHANG|unix.WALL|unix.WUNTRACED)

// store writes text at an address.
func store(address uint64, text string) (all []program.Instruction) {
	for i := range len(text) {
		all = append(all, program.Instruction{Op: program.OpStore, Args: [6]uint64{address + uint64(i), uint64(text[i])}})
	}
	return all
}

// traceBoth attaches to the processes in two slots again and again, and resumes them in
// all ways.
func traceBoth(options uint64) []program.Instruction {
	var round []program.Instruction
	for slot := uint64(program.FirstFree); slot < program.FirstFree+2; slot++ {
		round = append(round,
			traceCall(unix.PTRACE_SEIZE, slot, 0, options), traceCall(unix.PTRACE_INTERRUPT, slot, 0, 0), poll,
			traceCall(unix.PTRACE_SYSCALL, slot, 0, 0), poll, traceCall(unix.PTRACE_LISTEN, slot, 0, 0), poll,
			traceCall(unix.PTRACE_SYSEMU, slot, 0, uint64(unix.SIGUSR1)), poll, slotCall(unix.SYS_KILL, slot, uint64(unix.SIGCONT)),
			traceCall(unix.PTRACE_CONT, slot, 0, uint64(unix.SIGSTOP)), poll, traceCall(unix.PTRACE_GETSIGINFO, slot, 0, buffer),
			traceCall(unix.PTRACE_SETOPTIONS, slot, 0, options), traceCall(unix.PTRACE_DETACH, slot, 0, 0),
			traceCall(unix.PTRACE_ATTACH, slot, 0, 0), poll, traceCall(unix.PTRACE_CONT, slot, 0, 0))
	}
	return repeat(20, round...)
}

// TestTracersOfEachOther runs processes that trace each other and their parent, make
// children and threads, execute programs and kill each other. Every task must exit when
// it is killed.
func TestTracersOfEachOther(t *testing.T) {
	const events, exits = 0x3f, 0x40
	family := repeat(20, makeCall(unix.SYS_FORK), makeCall(unix.SYS_GETPID), poll, makeCall(unix.SYS_VFORK), poll,
		makeCall(unix.SYS_CLONE, unix.CLONE_VM|unix.CLONE_FS|unix.CLONE_FILES|unix.CLONE_SIGHAND|unix.CLONE_THREAD), makeCall(unix.SYS_GETPPID))
	forks := []program.Instruction{makeCall(unix.SYS_FORK), makeCall(unix.SYS_FORK)}
	end := []program.Instruction{makeCall(unix.SYS_EXIT)}
	execute := append(store(buffer, program.Executable+"\x00"), makeCall(unix.SYS_EXECVE, buffer, 0, 0))
	for name, routines := range map[string][][]program.Instruction{
		"in a circle":    {append(forks, traceBoth(events)...), traceBoth(events), traceBoth(events)},
		"at their exits": {append(forks, traceBoth(exits)...), append(traceBoth(exits), end...), append(traceBoth(exits), end...)},
		"with families":  {append(forks, traceBoth(events|exits)...), family, family, family, end, end, family},
		"with threads":   {append(startThreads(2), forks...), traceBoth(events | exits), traceBoth(0), append(family, execute...), append(family, end...)},
		"dying":          {append(forks, makeCall(unix.SYS_EXIT_GROUP)), traceBoth(events | 0x100000), append(traceBoth(exits|0x100000), end...)},
	} {
		t.Run(name, func(t *testing.T) {
			for range *repetitions {
				k, err := New(Config{Frames: 2048, Idle: time.Millisecond, Limit: time.Second, Locks: true})
				if err != nil {
					t.Fatal(err)
				}
				if err := k.Run(&program.Program{Routines: routines}); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
