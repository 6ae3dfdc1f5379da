package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs"
	"slowpath/mm"
	"slowpath/signal"
	"slowpath/task/elf"
	"slowpath/vdso"
)

// Tags of the auxiliary vector (getauxval(3), include/uapi/linux/auxvec.h).
const (
	atNull         = 0
	atPHDR         = 3
	atPHENT        = 4
	atPHNUM        = 5
	atPAGESZ       = 6
	atBASE         = 7
	atFLAGS        = 8
	atENTRY        = 9
	atUID          = 11
	atEUID         = 12
	atGID          = 13
	atEGID         = 14
	atPLATFORM     = 15
	atHWCAP        = 16
	atCLKTCK       = 17
	atSECURE       = 23
	atRANDOM       = 25
	atHWCAP2       = 26
	atEXECFN       = 31
	atSYSINFO      = 32
	atSYSINFOEHDR  = 33
	atMINSIGSTKSZ  = 51
	randomBytes    = 16
	stackAlign     = 16
	wordSize       = 8
	stackSlack     = 128 << 10 // bytes that execve maps below the stack pointer
	stackTopMargin = 8         // bytes of zeros at the end of the stack
)

// VDSO has the user addresses of the vDSO of a program (vdso(7)).
type VDSO struct {
	object vdso.Object
	// Header is the address of its ELF header (AT_SYSINFO_EHDR), or 0 if there is no vDSO.
	Header uint64
	// Entry is __kernel_vsyscall of a 32-bit vDSO (AT_SYSINFO). SigReturn and RTSigReturn
	// are the functions to which signal handlers without a restorer return, and LandingPad
	// is where SYSCALL and SYSENTER of 32-bit code return. All are 0 in a 64-bit program.
	Entry, SigReturn, RTSigReturn, LandingPad uint64
}

// Program describes the running program for /proc/pid. It is constant: PR_SET_MM
// replaces it.
type Program struct {
	// Class is the ELF class of the program.
	Class elf.Class
	// VDSO has the addresses of the vDSO as execve(2) has mapped it.
	VDSO VDSO
	// Name is the path in the call of execve(2) (AT_EXECFN).
	Name string
	// Path is the path of the executable from the root of the mounts.
	Path string
	// File is the location of the executable in the mounts, for /proc/pid/exe.
	File fs.Path
	// Layout has the user addresses of the program's parts.
	Layout
	// Auxv is the auxiliary vector, as on the program's stack.
	Auxv []byte
}

// buildStack maps and fills the program's stack. It sets the stack pointer in l.
func (t *Task) buildStack(l *loaded, p *program) error {
	end := p.rules().end
	l.stackTo = end - t.randomOffset(p, mm.StackRandom(end))
	size := p.stackBytes()
	if err := t.kernel.Memory().Reserve(size); err != nil {
		return err
	}
	defer t.kernel.Memory().Unreserve(size)
	block, err := t.stackBlock(l, p)
	if err != nil {
		return err
	}
	low := (l.stack - stackSlack) &^ (mm.PageSize - 1)
	prot := impliedProtection(p.personality, mm.ProtRead|mm.ProtWrite)
	if p.image.ExecutableStack {
		prot |= mm.ProtExec
	}
	_, err = l.memory.Mmap(mm.MapRequest{
		Addr: low, Length: l.stackTo - low, Prot: prot, Name: "[stack]",
		Flags: fixedPrivate | unix.MAP_ANONYMOUS | unix.MAP_GROWSDOWN,
	})
	if err != nil {
		return err
	}
	_, err = l.memory.WriteRemote(l.stack, block, mm.ByProtection)
	return err
}

// stackBytes returns about how many bytes of the kernel's heap buildStack needs: the
// strings twice, because their buffer grows, and the stack.
func (p *program) stackBytes() int64 {
	const fixed, copies = 2 * mm.PageSize, 3
	size := fixed
	for _, list := range [...][]string{p.argv, p.envp} {
		for _, s := range list {
			size += len(s) + 1 + wordSize
		}
	}
	return int64(copies * size)
}

// stackBlock returns the contents of the stack above the stack pointer: the
// vectors, then the strings (System V ABI, x86-64 supplement, 3.4.1). It sets the
// stack pointer and the program's description in l.
func (t *Task) stackBlock(l *loaded, p *program) ([]byte, error) {
	room := make([]byte, 0, stringBytes(p.argv)+stringBytes(p.envp)+len(p.name)+1+stackTopMargin)
	strings, argv := appendStrings(room, p.argv)
	strings, envp := appendStrings(strings, p.envp)
	envEnd := len(strings)
	strings = append(append(strings, p.name...), 0)
	strings = append(strings, make([]byte, stackTopMargin)...)
	base := l.stackTo - uint64(len(strings))

	// Below the strings are the random bytes, and below them the platform string.
	random := (base - randomBytes) &^ (stackAlign - 1)
	platformAt := random - stackAlign
	rules := p.rules()
	info := &Program{Class: p.image.Class, VDSO: l.vdso, Name: p.name, Path: p.file.MapName(), File: p.file.Path(), Layout: layoutOf(p.image, l.bias)}
	info.ArgStart, info.EnvEnd = base, base+uint64(envEnd)
	info.ArgEnd = info.EnvEnd
	if len(envp) > 0 {
		info.ArgEnd = base + envp[0]
	}
	info.EnvStart = info.ArgEnd
	info.Auxv = rules.storeVector(t.auxiliaryVector(l, p, random, platformAt, info.EnvEnd))
	words := 1 + len(argv) + 1 + len(envp) + 1
	l.stack = (platformAt - uint64(words*rules.wordSize+len(info.Auxv))) &^ (stackAlign - 1)
	info.StartStack = l.stack
	l.program = info

	block := make([]byte, l.stackTo-l.stack)
	vectors := append(make([]uint64, 0, words), uint64(len(argv)))
	vectors = appendPointers(vectors, argv, base)
	vectors = appendPointers(vectors, envp, base)
	copy(block[copy(block, rules.words(vectors)):], info.Auxv)
	copy(block[platformAt-l.stack:], rules.platform)
	t.kernel.Random(block[random-l.stack:][:randomBytes])
	copy(block[base-l.stack:], strings)
	return block, nil
}

// stringBytes returns the length of the strings with a NUL for each.
func stringBytes(list []string) (n int) {
	for _, s := range list {
		n += len(s) + 1
	}
	return n
}

// appendStrings appends the strings to block, each with a NUL. It returns the
// block and the offset of each string in it.
func appendStrings(block []byte, list []string) ([]byte, []uint64) {
	offsets := make([]uint64, len(list))
	for i, s := range list {
		offsets[i] = uint64(len(block))
		block = append(append(block, s...), 0)
	}
	return block, offsets
}

// appendPointers appends base plus each offset, and a null pointer.
func appendPointers(vectors, offsets []uint64, base uint64) []uint64 {
	for _, offset := range offsets {
		vectors = append(vectors, base+offset)
	}
	return append(vectors, 0)
}

// auxiliaryVector returns the auxiliary vector, in the order that Linux uses. The
// last three arguments are the user addresses of AT_RANDOM, AT_PLATFORM and
// AT_EXECFN.
func (t *Task) auxiliaryVector(l *loaded, p *program, random, platformAt, execName uint64) []abi.AuxEntry {
	c := p.credentials
	secure := uint64(0)
	if p.secure {
		secure = 1
	}
	var entries []abi.AuxEntry
	if l.vdso.Entry != 0 {
		entries = append(entries, aux(atSYSINFO, l.vdso.Entry))
	}
	if l.vdso.Header != 0 {
		entries = append(entries, aux(atSYSINFOEHDR, l.vdso.Header))
	}
	return append(entries,
		aux(atMINSIGSTKSZ, uint64(signal.MinFrame())),
		aux(atHWCAP, t.kernel.config.HWCap),
		aux(atPAGESZ, mm.PageSize),
		aux(atCLKTCK, TicksPerSecond),
		aux(atPHDR, p.image.Headers+l.bias),
		aux(atPHENT, uint64(p.image.Class.HeaderSize())),
		aux(atPHNUM, uint64(p.image.HeaderCount)),
		aux(atBASE, l.base),
		aux(atFLAGS, 0),
		aux(atENTRY, p.image.Entry+l.bias),
		aux(atUID, uint64(c.UID)),
		aux(atEUID, uint64(c.EUID)),
		aux(atGID, uint64(c.GID)),
		aux(atEGID, uint64(c.EGID)),
		aux(atSECURE, secure),
		aux(atRANDOM, random),
		aux(atHWCAP2, t.kernel.config.HWCap2),
		aux(atEXECFN, execName),
		aux(atPLATFORM, platformAt),
		aux(atNull, 0),
	)
}

func aux(tag, value uint64) abi.AuxEntry { return abi.AuxEntry{Type: tag, Value: value} }
