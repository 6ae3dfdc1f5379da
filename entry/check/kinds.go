package check

import "slowpath/arch/amd64"

// Kind is a kind of kernel entry, and the action of the kernel after it.
type Kind uint8

// The kinds.
const (
	Syscall         Kind = iota // an ordinary call
	SteppedSyscall              // a call over which the program single-steps: TF is set
	Exec                        // execve, which replaces every register
	Sigreturn                   // rt_sigreturn, which loads registers from user memory
	Exit                        // exit, which does not return
	ForkedChild                 // no kernel entry: a new task enters user mode for the first time
	Exception                   // a fault, which may raise a signal
	Interrupt                   // the timer, or an IPI
	MachineCheck                // #MC, on an IST stack
	NMI                         // NMI, on an IST stack
	Moved                       // an exception, after which the task moves to another CPU
	SyscallMoved                // a call, after which the task moves to another CPU
	Breakpoint                  // #BP of a probe: see serveUprobe
	OwnBreakpoint               // #BP of the program itself
	StepEnd                     // #BP that ends an instruction in a slot; duties were put off meanwhile
	Int80                       // a call by INT 0x80
	Call32                      // a call by SYSCALL in 32-bit code, which the vDSO makes
	SteppedCall32               // the same, over which the program single-steps
	RefusedCall32               // the same without a readable stack: no call
	ListedCall32                // the same, with a number that the duties admit
	SixthArgument32             // the same, with six arguments, one of which is on the stack
	kinds
)

// Kinds returns all kinds.
func Kinds() []Kind {
	var all []Kind
	for k := range kinds {
		all = append(all, k)
	}
	return all
}

// probeKinds are the kinds that concern probes.
var probeKinds = []Kind{Breakpoint, OwnBreakpoint, StepEnd}

// String returns the name of the kind.
func (k Kind) String() string {
	return [...]string{
		"system call", "stepped system call", "execve", "sigreturn", "exit", "new child", "exception", "interrupt",
		"machine check", "NMI", "exception and new CPU", "system call and new CPU",
		"breakpoint of a probe", "breakpoint of the program", "end of a slot",
		"INT 0x80", "32-bit SYSCALL", "stepped 32-bit SYSCALL", "32-bit SYSCALL without a stack",
		"listed 32-bit SYSCALL", "32-bit SYSCALL with six arguments",
	}[k]
}

// kindTable has the properties of each kind.
var kindTable = [kinds]struct {
	event  int  // the result of EnterUser: a system call number or an event
	call   bool // the kernel was entered by a system call
	fast32 bool // it was entered by SYSCALL in 32-bit code
	moved  bool // the task then moves to another CPU
}{
	Syscall:        {call: true},
	SteppedSyscall: {call: true},
	Exec:           {call: true},
	Sigreturn:      {call: true},
	Exit:           {call: true},
	Exception:      {event: ^amd64.PageFault},
	Interrupt:      {event: ^amd64.FirstInterrupt},
	MachineCheck:   {event: ^amd64.MachineCheck},
	NMI:            {event: ^amd64.NMI},
	Moved:          {event: ^amd64.PageFault, moved: true},
	SyscallMoved:   {call: true, moved: true},
	Breakpoint:     {event: ^amd64.Breakpoint},
	OwnBreakpoint:  {event: ^amd64.Breakpoint},
	StepEnd:        {event: ^amd64.Breakpoint},
	Int80:          {event: ^amd64.Int80, call: true},
	Call32:         {event: amd64.Event32, call: true, fast32: true},
	SteppedCall32:  {event: amd64.Event32, call: true, fast32: true},
	RefusedCall32:  {event: amd64.Event32, fast32: true},

	ListedCall32:    {event: amd64.Event32 | listedNumber, call: true, fast32: true},
	SixthArgument32: {event: amd64.Event32 | sixArgumentsNumber, call: true, fast32: true},
}

// The numbers of the model's calls of the ABI I386. All others have the number 0.
const (
	listedNumber       = 1 // is in Calls32 of every admission
	sixArgumentsNumber = 2
)

// number returns the number of the call.
func (k Kind) number() uint64 {
	if !kindTable[k].fast32 {
		return 0
	}
	return uint64(kindTable[k].event &^ amd64.Event32)
}

// stepped reports whether the program single-steps over the call.
func (k Kind) stepped() bool { return k == SteppedSyscall || k == SteppedCall32 }

// abi32 reports whether the call is of the ABI I386.
func (k Kind) abi32() bool { return k == Int80 || kindTable[k].fast32 }

// Registers of the model's program. SYSCALL does not save RCX and R11, so the
// frame then has the stale values of an earlier kernel entry.
const (
	atCall, flagsAtCall   = 0x401000, amd64.FlagIF | amd64.FlagFixed | amd64.FlagCF
	userRCX, userR11      = 0x1111, 0x2222
	staleRCX, staleR11    = 0x3333, 0x4444
	elsewhere, otherFlags = 0x402000, amd64.FlagIF | amd64.FlagFixed | amd64.FlagZF
	slot, afterProbed     = 0x403000, atCall + 2
	landingPad            = atCall + 2 // of the 32-bit vDSO, whose SYSCALL ends at atCall
)
