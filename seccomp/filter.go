package seccomp

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/seccomp/bpf"
)

// maxPath is the maximum length of a chain in instructions of eBPF (bpf.Length), where
// each older filter counts filterPenalty more (Linux: MAX_INSNS_PER_PATH).
const (
	maxPath       = 32768
	filterPenalty = 4
)

// filter is a filter of a chain. Only users and listener change after its
// installation.
type filter struct {
	older        *filter
	program      *bpf.Program
	instructions []bpf.Instruction // as installed, for PTRACE_SECCOMP_GET_FILTER
	logged       bool              // SECCOMP_FILTER_FLAG_LOG
	length       int               // filters of the chain
	path         int               // instructions of the chain, with penalties
	bytes        int64             // memory of the chain
	admission    entry.Admission   // of the chain

	// users are the tasks that have this filter as their newest, and the younger
	// filters that have users.
	users    atomic.Int64
	listener atomic.Pointer[listener]
}

// newFilter returns a filter for a checked program, without a chain.
func newFilter(program []bpf.Instruction) *filter {
	f := &filter{program: bpf.Compile(program, unix.AUDIT_ARCH_X86_64), instructions: program}
	f.admission = entry.Admission{Flag: entry.Seccomp, Ask: f.allows, Ask32: f.allows32}
	for nr := range uint32(entry.Calls) {
		if allowsAlways(program, nr, entry.X86_64) {
			f.admission.Admit(nr)
		}
		if allowsAlways(program, nr, entry.I386) {
			f.admission.Admit32(nr)
		}
	}
	return f
}

// allowsAlways reports whether a program allows a call whatever its arguments are.
func allowsAlways(program []bpf.Instruction, nr uint32, abi entry.ABI) bool {
	verdict, ok := bpf.Constant(program, int32(nr), abi.AuditArch())
	return ok && actionOf(verdict) == retAllow
}

// extend puts f on a chain, which may be nil.
func (f *filter) extend(older *filter) {
	f.older = older
	f.length = older.depth() + 1
	f.path = older.pathLength() + bpf.Length(f.instructions) + filterPenalty
	const instructionBytes = 8
	f.bytes = older.totalBytes() + f.program.Bytes() + int64(len(f.instructions))*instructionBytes
	if older == nil {
		return
	}
	for i := range f.admission.Calls {
		f.admission.Calls[i] &= older.admission.Calls[i]
		f.admission.Calls32[i] &= older.admission.Calls32[i]
	}
}

// depth returns the number of filters in a chain, which may be nil.
func (f *filter) depth() int {
	if f == nil {
		return 0
	}
	return f.length
}

func (f *filter) pathLength() int {
	if f == nil {
		return 0
	}
	return f.path
}

func (f *filter) totalBytes() int64 {
	if f == nil {
		return 0
	}
	return f.bytes
}

// heldBytes returns the share of one user of the chain's memory.
func (f *filter) heldBytes() int64 {
	if f == nil {
		return 0
	}
	return f.bytes / max(1, f.users.Load())
}

// hold adds a user. A filter that gets its first user is a user of the older one.
func (f *filter) hold() {
	for ; f != nil && f.users.Add(1) == 1; f = f.older {
	}
}

// drop removes a user. The listener of a filter without users sees POLLHUP.
func (f *filter) drop() {
	for ; f != nil && f.users.Add(-1) == 0; f = f.older {
		if l := f.listener.Load(); l != nil {
			l.hangUp()
		}
	}
}

// descendsFrom reports whether ancestor, which may be nil, is in the chain of f
// (Linux: is_ancestor).
func (f *filter) descendsFrom(ancestor *filter) bool {
	for ; f != ancestor; f = f.older {
		if f == nil {
			return false
		}
	}
	return true
}

// hasListener reports whether a filter of the chain has a listener.
func (f *filter) hasListener() bool {
	for ; f != nil; f = f.older {
		if f.listener.Load() != nil {
			return true
		}
	}
	return false
}

// admits returns the admission of the chain, nil for none.
func (f *filter) admits() *entry.Admission {
	if f == nil {
		return nil
	}
	return &f.admission
}

// run returns the verdict with the highest precedence, which is the lowest action as a
// signed number, and the filter that returned it. Of filters with the same action it is
// the newest one. The filter is nil for SECCOMP_RET_ALLOW (Linux:
// seccomp_run_filters).
func (f *filter) run(d *bpf.Data) (verdict uint32, match *filter) {
	verdict = uint32(retAllow)
	for ; f != nil; f = f.older {
		if v := f.program.Run(d); int32(actionOf(v)) < int32(actionOf(verdict)) {
			verdict, match = v, f
		}
	}
	return verdict, match
}

// allows reports whether every filter of the chain allows the call. It is the method
// Ask of the admission.
func (f *filter) allows(frame *amd64.Frame, nr uint32) bool {
	d := bpf.Data{NR: int32(nr), Arch: unix.AUDIT_ARCH_X86_64, IP: frame.RIP, Args: (*[6]uint64)(frame.Args())}
	for ; f != nil; f = f.older {
		if actionOf(f.program.Run(&d)) != retAllow {
			return false
		}
	}
	return true
}

// allows32 is allows for the ABI I386.
func (f *filter) allows32(frame *amd64.Frame, nr uint32) bool {
	var args entry.Args
	frame.Args32(&args)
	verdict, _ := f.run(&bpf.Data{NR: int32(nr), Arch: unix.AUDIT_ARCH_I386, IP: frame.RIP, Args: (*[6]uint64)(&args)})
	return actionOf(verdict) == retAllow
}
