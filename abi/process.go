package abi

// Rseq is struct rseq (rseq(2), linux/rseq.h) in its first version.
type Rseq struct {
	CPUIDStart uint32
	CPUID      uint32
	RseqCS     uint64
	Flags      uint32
	Pad        [3]uint32
}

// RseqCS is struct rseq_cs (linux/rseq.h), a restartable sequence.
type RseqCS struct {
	Version, Flags   uint32
	StartIP          uint64
	PostCommitOffset uint64
	AbortIP          uint64
}

// RSeqConfiguration is struct ptrace_rseq_configuration (ptrace(2),
// PTRACE_GET_RSEQ_CONFIGURATION, linux/ptrace.h).
type RSeqConfiguration struct {
	Address         uint64
	Size, Signature uint32
	Flags, Pad      uint32
}

// PrctlMMMap is struct prctl_mm_map (prctl(2), PR_SET_MM_MAP, linux/prctl.h).
type PrctlMMMap struct {
	StartCode, EndCode, StartData, EndData uint64
	StartBrk, Brk, StartStack              uint64
	ArgStart, ArgEnd, EnvStart, EnvEnd     uint64
	Auxv                                   uint64
	AuxvSize, ExeFD                        uint32
}

// RobustListHead is struct robust_list_head (set_robust_list(2),
// linux/futex.h).
type RobustListHead struct {
	List          uint64
	FutexOffset   uint64
	ListOpPending uint64
}

// FutexWaitv is struct futex_waitv (futex_waitv(2), linux/futex.h).
type FutexWaitv struct {
	Val, Uaddr uint64
	Flags      uint32
	Reserved   uint32
}

// CloneArgs is struct clone_args (clone3(2), linux/sched.h).
type CloneArgs struct {
	Flags      uint64
	PIDFD      uint64
	ChildTID   uint64
	ParentTID  uint64
	ExitSignal uint64
	Stack      uint64
	StackSize  uint64
	TLS        uint64
	SetTID     uint64
	SetTIDSize uint64
	Cgroup     uint64
}

// AuxEntry is Elf64_auxv_t, an entry of the auxiliary vector (getauxval(3)).
type AuxEntry struct {
	Type, Value uint64
}
