package signal

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
)

// infoLayout is the member of siginfo_t's union that is valid (Linux: enum siginfo_layout).
type infoLayout uint8

const (
	layoutKill infoLayout = iota
	layoutTimer
	layoutPoll
	layoutFault
	layoutChild
	layoutRT
	layoutSys
)

// faultLayouts are the layouts of signals whose positive codes have a meaning of their own,
// and the greatest such code.
var faultLayouts = map[Signal]struct {
	limit  int32
	layout infoLayout
}{
	unix.SIGILL:  {11, layoutFault},
	unix.SIGFPE:  {15, layoutFault},
	unix.SIGSEGV: {10, layoutFault},
	unix.SIGBUS:  {5, layoutFault},
	unix.SIGTRAP: {6, layoutFault},
	unix.SIGCHLD: {6, layoutChild},
	unix.SIGIO:   {6, layoutPoll},
	unix.SIGSYS:  {2, layoutSys},
}

// layoutOf returns the layout of the information of a signal (Linux: siginfo_layout).
func layoutOf(s Signal, code int32) infoLayout {
	const pollCodes = 6
	if code > SI_USER && code < SI_KERNEL {
		if own, ok := faultLayouts[s]; ok && code <= own.limit {
			return own.layout
		}
		if code <= pollCodes {
			return layoutPoll
		}
		return layoutKill
	}
	switch {
	case code == SI_TIMER:
		return layoutTimer
	case code == SI_SIGIO:
		return layoutPoll
	case code < 0:
		return layoutRT
	}
	return layoutKill
}

// Siginfo32 returns the information in the layout of 32-bit programs (Linux:
// copy_siginfo_to_external32).
func (i *Info) Siginfo32() compat.Siginfo {
	s := compat.Siginfo{Signo: int32(i.Signo), Errno: i.Errno, Code: i.Code}
	put := func(words ...uint32) { copy(s.Fields[:], words) }
	f := &i.Fields
	switch layoutOf(i.Signo, i.Code) {
	case layoutKill:
		put(uint32(f.Kill().PID), f.Kill().UID)
	case layoutTimer:
		put(uint32(f.Timer().TID), uint32(f.Timer().Overrun), uint32(f.Timer().Value))
	case layoutPoll:
		put(uint32(f[0]), uint32(f[1]))
	case layoutFault:
		put(uint32(f.Fault().Addr), uint32(uint16(f.Fault().AddrLSB)))
	case layoutChild:
		c := f.Child()
		put(uint32(c.PID), c.UID, uint32(c.Status), uint32(c.Utime), uint32(c.Stime))
	case layoutRT:
		put(uint32(f.RT().PID), f.RT().UID, uint32(f.RT().Value))
	case layoutSys:
		put(uint32(f.Sys().CallAddr), uint32(f.Sys().Syscall), f.Sys().Arch)
	}
	return s
}

// InfoOf32 returns the Info that the siginfo_t of a 32-bit program describes (Linux:
// post_copy_siginfo_from_user32).
func InfoOf32(s *compat.Siginfo) Info {
	i := Info{Signo: Signal(s.Signo), Errno: s.Errno, Code: s.Code}
	f, w := &i.Fields, &s.Fields
	switch layoutOf(i.Signo, i.Code) {
	case layoutKill:
		*f.Kill() = abi.SiginfoKill{PID: int32(w[0]), UID: w[1]}
	case layoutTimer:
		*f.Timer() = abi.SiginfoTimer{TID: int32(w[0]), Overrun: int32(w[1]), Value: uint64(w[2])}
	case layoutPoll:
		f[0], f[1] = uint64(int64(int32(w[0]))), uint64(w[1])
	case layoutFault:
		*f.Fault() = abi.SiginfoFault{Addr: uint64(w[0]), AddrLSB: int16(w[1])}
	case layoutChild:
		*f.Child() = abi.SiginfoChild{PID: int32(w[0]), UID: w[1], Status: int32(w[2]), Utime: int64(int32(w[3])), Stime: int64(int32(w[4]))}
	case layoutRT:
		*f.RT() = abi.SiginfoRT{PID: int32(w[0]), UID: w[1], Value: uint64(w[2])}
	case layoutSys:
		*f.Sys() = abi.SiginfoSys{CallAddr: uint64(w[0]), Syscall: int32(w[1]), Arch: w[2]}
	}
	return i
}
