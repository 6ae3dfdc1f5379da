package check

import "slowpath/arch/amd64"

// Kind is a way into the kernel, and what the kernel then does.
type Kind uint8

// The ways.
const (
	Syscall        Kind = iota // an ordinary call
	SteppedSyscall             // the program single-steps over the call: TF is set
	Exec                       // execve: the call replaces every register
	Sigreturn                  // rt_sigreturn: the call loads registers that the user chose
	Exit                       // exit: the call does not return
	ForkedChild                // a new task's first way to user mode
	Exception                  // a fault, which may raise a signal
	Interrupt                  // the timer, or another CPU
	MachineCheck               // #MC on a stack of its own
	NMI                        // NMI on a stack of its own
	Moved                      // an exception, after which another CPU has the task's state
	SyscallMoved               // a call, after which another CPU has the task's state
	kinds
)

// Kinds returns all ways.
func Kinds() []Kind {
	var all []Kind
	for k := range kinds {
		all = append(all, k)
	}
	return all
}

// String names the way.
func (k Kind) String() string {
	return [...]string{
		"system call", "stepped system call", "execve", "sigreturn", "exit", "new child", "exception", "interrupt",
		"machine check", "NMI", "exception and new CPU", "system call and new CPU",
	}[k]
}

// ways says what EnterUser returns for a kind: a system call's number or an
// event, and whether the task then enters user mode on another CPU.
var ways = [kinds]struct {
	event int
	call  bool // the SYSCALL instruction
	moved bool
}{
	Syscall:        {call: true},
	SteppedSyscall: {call: true},
	Exec:           {call: true},
	Sigreturn:      {call: true},
	Exit:           {call: true},
	Exception:      {event: ^vectorPageFault},
	Interrupt:      {event: ^amd64.FirstInterrupt},
	MachineCheck:   {event: ^amd64.MachineCheck},
	NMI:            {event: ^amd64.NMI},
	Moved:          {event: ^vectorPageFault, moved: true},
	SyscallMoved:   {call: true, moved: true},
}

const vectorPageFault = 14

// Registers of the model's program. RCX and R11 in memory are what an earlier
// entry left there: SYSCALL does not save them.
const (
	atCall, flagsAtCall   = 0x401000, amd64.FlagIF | amd64.FlagFixed | amd64.FlagCF
	userRCX, userR11      = 0x1111, 0x2222
	staleRCX, staleR11    = 0x3333, 0x4444
	elsewhere, otherFlags = 0x402000, amd64.FlagIF | amd64.FlagFixed | amd64.FlagZF
)
