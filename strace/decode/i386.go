package decode

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/tracespec"
)

// The calls of the ABI I386. Most are rows of x86-64: the same, or with structures whose
// captures are converted to the layout of x86-64 (narrow).

// calls386 has the number and the name of each call, one in a line.
//
//go:embed calls-i386
var calls386 string

// rows386 returns the rows of the calls of the ABI I386. Their numbers begin at
// tracespec.FirstI386.
func rows386() (rows []Row) {
	wide := map[string]Row{}
	for _, family := range families() {
		for _, r := range family {
			wide[r.Name] = r
		}
	}
	own := map[string]Row{}
	for _, r := range ownRows386 {
		own[r.Name] = r
	}
	for line := range strings.Lines(calls386) {
		number, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(number)
		if err != nil {
			panic("calls-i386 has the line " + line)
		}
		r, isOwn := own[name]
		if !isOwn {
			r = derived386(name, wide)
		}
		r.Number, r.Name = tracespec.FirstI386+n, name
		rows = append(rows, r)
	}
	return rows
}

// derived386 returns the row of a call that a row of x86-64 serves.
func derived386(name string, wide map[string]Row) Row {
	base := name
	if other, ok := bases386[name]; ok {
		base = other
	}
	r, ok := wide[base]
	if count, raw := raw386[name]; raw || !ok {
		if !raw {
			count = 6
		}
		return Row{Classes: r.Classes, args: numericArgs(0, count)}
	}
	r.args = slices.Clone(r.args)
	for i, layout := range narrow386[name] {
		r.args[i] = narrow(layout, r.args[i])
	}
	if i, ok := siginfos386[name]; ok {
		r.args[i] = converted(siginfoSize, siginfo386, r.args[i])
	}
	if name == "fcntl64" {
		r.args = append(r.args[:len(r.args)-3], locks386...) // in place of the last three
		r.args[1] = at(1, oneOf(fcntl386Calls))
	}
	return r
}

// The commands of fcntl64 that fcntl(2) of x86-64 does not have, or whose structures have
// members of 64 bits.
var (
	fcntl386Calls = names("F_???", fcntlNames+" F_GETLK64 12 F_SETLK64 13 F_SETLKW64 14")
	locks386      = []Arg{
		fcntlOn(narrow("ssqq", structIn(2, 32, structure(flockFields...))), 13, 14, 37, 38),
		fcntlOn(narrow("ssqqi", structOut(2, 32, structure(flockWithPID...))), 12, 36),
	}
	socketCalls386 = sequence("SYS_???", 1, `SYS_SOCKET SYS_BIND SYS_CONNECT SYS_LISTEN SYS_ACCEPT SYS_GETSOCKNAME SYS_GETPEERNAME SYS_SOCKETPAIR SYS_SEND
		SYS_RECV SYS_SENDTO SYS_RECVFROM SYS_SHUTDOWN SYS_SETSOCKOPT SYS_GETSOCKOPT SYS_SENDMSG SYS_RECVMSG SYS_ACCEPT4 SYS_RECVMMSG SYS_SENDMMSG`)
)

// numericArgs prints the arguments from one to another as numbers.
func numericArgs(from, to int) (args []Arg) {
	for i := from; i < to; i++ {
		args = append(args, at(i, hex))
	}
	return args
}

// bases386 are the rows of x86-64 of calls with other names.
var bases386 = func() map[string]string {
	m := map[string]string{"umount": "umount2", "sendfile64": "sendfile", "old_mmap": "mmap", "ugetrlimit": "getrlimit", "_newselect": "select", "fcntl64": "fcntl"}
	for _, name := range strings.Fields("chown fchown lchown getegid geteuid getgid getgroups getresgid getresuid getuid setfsgid setfsuid setgid setgroups setregid setresgid setresuid setreuid setuid") {
		m[name+"32"] = name
	}
	for _, name := range strings.Fields("clock_gettime clock_settime timer_gettime timer_settime timerfd_gettime timerfd_settime") {
		m[name+"64"] = name
	}
	for _, name := range strings.Fields("clock_adjtime clock_getres clock_nanosleep futex ppoll pselect6 recvmmsg rt_sigtimedwait sched_rr_get_interval utimensat mq_timedsend mq_timedreceive semtimedop") {
		m[name+"_time64"] = name
		m[name+"64"] = name
	}
	return m
}()

// raw386 are the calls whose structures are not decoded, with the number of their arguments.
var raw386 = map[string]int{
	"oldstat": 2, "oldlstat": 2, "oldfstat": 2, "stime": 1, "signal": 2, "sigaction": 3, "sgetmask": 0, "ssetmask": 1, "sigsuspend": 3,
	"sigpending": 1, "readdir": 3, "olduname": 1, "oldolduname": 1, "ipc": 6, "sigprocmask": 3,
	"bdflush": 2, "nice": 1, "ulimit": 2, "uselib": 1, "vm86": 2, "vm86old": 1, "getdents": 3, "getgroups": 2, "setgroups": 2,
	"stat": 2, "lstat": 2, "fstat": 2, "getrlimit": 2, "sendfile": 4,
	"timer_create": 3, "mq_open": 4, "mq_notify": 2, "mq_getsetattr": 3,
	"kexec_load": 4, "keyctl": 5, "vmsplice": 4, "preadv": 5, "pwritev": 5, "preadv2": 6, "pwritev2": 6, "process_vm_readv": 6,
	"process_vm_writev": 6, "sendmmsg": 4, "recvmmsg": 5, "recvmmsg_time64": 5, "adjtimex": 1,
	"clock_adjtime": 2, "io_setup": 2, "io_submit": 3, "io_getevents": 5, "io_cancel": 3, "quotactl": 4, "lookup_dcookie": 4,
	"move_pages": 6, "migrate_pages": 4, "mbind": 6, "get_mempolicy": 5, "set_mempolicy": 3, "ppoll": 5, "msgctl": 3, "shmctl": 3, "semctl": 4,
	"io_pgetevents": 6, "io_pgetevents_time64": 6, "process_madvise": 5, "modify_ldt": 3,
}

// narrow386 are the structures of the arguments of a row that have another layout: see
// widen. The key is the index of the Arg in the row of x86-64.
var narrow386 = map[string]map[int]string{
	"nanosleep": {0: "ll", 1: "ll"}, "clock_nanosleep": {2: "ll", 3: "ll"}, "clock_gettime": {1: "ll"}, "clock_getres": {1: "ll"},
	"clock_settime": {1: "ll"}, "gettimeofday": {0: "ll"}, "settimeofday": {0: "ll"}, "time": {0: "l"}, "times": {0: "llll"},
	"getitimer": {1: "llll"}, "setitimer": {1: "llll", 2: "llll"}, "utime": {1: "ll"}, "utimes": {1: "llll"}, "futimesat": {2: "llll"},
	"utimensat": {2: "llll"}, "timer_settime": {2: "llll", 3: "llll"}, "timer_gettime": {1: "llll"}, "timerfd_settime": {2: "llll", 3: "llll"},
	"timerfd_gettime": {1: "llll"}, "sched_rr_get_interval": {1: "ll"}, "futex": {3: "ll"},
	"rt_sigaction": {1: "uuuq", 2: "uuuq"}, "sigaltstack": {0: "uiu", 1: "uiu"},
	"rt_sigtimedwait": {2: "ll"}, "wait4": {3: rusage386}, "getrusage": {1: rusage386},
	"statfs": {1: statfs386}, "fstatfs": {1: statfs386}, "waitid": {4: rusage386}, "seccomp": {3: "su"},
	"sysinfo": {0: "luuuuuuuuussuui"}, "get_robust_list": {1: "u", 2: "u"},
	"_newselect": {4: "ll"}, "fcntl": {5: "ssll", 6: "sslli"}, "fcntl64": {5: "ssll", 6: "sslli"},
}

const (
	rusage386   = "llllllllllllllllll"
	statfs386   = "uuuuuuuiiuuuuuuu"
	statfs64386 = "uuqqqqqiiuuuuuuu"
)

// narrow returns an argument whose first capture is a structure of the layout of i386.
func narrow(layout string, a Arg) Arg {
	a = converted(size386(layout), func(b []byte) []byte { return widen(layout, b) }, a)
	for i := range a.ops[1:] {
		op := &a.ops[1+i]
		op.Address, op.Count = narrowMember(layout, op.Address), narrowMember(layout, op.Count)
	}
	return a
}

// narrowMember returns the place in a structure of i386 of a member of that of x86-64.
func narrowMember(layout string, v tracespec.Value) tracespec.Value {
	if v.Source != tracespec.Captured || v.Index != 0 {
		return v
	}
	from, to := 0, 0
	for _, c := range layout {
		w := widths386[c]
		from, to = align386(from, min(w.narrow, 4)), align386(to, w.wide)
		if to == int(v.Offset) {
			v.Offset, v.Size = uint32(from), uint8(w.narrow)
			return v
		}
		from, to = from+w.narrow, to+w.wide
	}
	return v
}

// converted returns an argument whose first capture has a size of its own, and is converted to
// the structure of x86-64.
func converted(size int, convert func(b []byte) []byte, a Arg) Arg {
	a.ops, a.before = slices.Clone(a.ops), slices.Clone(a.before)
	full := int(a.ops[0].Max) // the size of the structure of x86-64
	wide := func(captures [][]byte) [][]byte {
		captures = slices.Clone(captures)
		if len(captures) > 0 && len(captures[0]) >= size {
			b := convert(captures[0])
			captures[0] = append(b, make([]byte, max(0, full-len(b)))...)
		}
		return captures
	}
	for _, ops := range [][]tracespec.Op{a.ops, a.before} {
		if len(ops) > 0 {
			ops[0].Count, ops[0].Unit, ops[0].Max = constant(1), uint32(size), uint32(size)
		}
	}
	print := a.print
	a.print = func(p *Printer, in *Input) {
		other := *in
		other.captures, other.earlier = wide(in.captures), wide(in.earlier)
		print(p, &other)
	}
	return a
}

// width386 is the size of a member in the layouts of i386 and of x86-64.
type width386 struct{ narrow, wide int }

// widths386 are the members of a layout: l is a long, u an unsigned long or a pointer, i an
// int, s a short, and q has 64 bits.
var widths386 = map[rune]width386{'l': {4, 8}, 'u': {4, 8}, 'i': {4, 4}, 's': {2, 2}, 'q': {8, 8}}

// align386 returns the next offset with an alignment of a size.
func align386(offset, size int) int { return (offset + size - 1) / size * size }

// size386 returns the size of a layout in bytes.
func size386(layout string) (size int) {
	for _, c := range layout {
		w := widths386[c]
		size = align386(size, min(w.narrow, 4)) + w.narrow
	}
	return size
}

// widen converts a structure from the layout of i386 to that of x86-64, whose members are
// aligned to their sizes. b has the structure.
func widen(layout string, b []byte) []byte {
	var wide []byte
	from := 0
	for _, c := range layout {
		w := widths386[c]
		from = align386(from, min(w.narrow, 4))
		v := word(b, from, w.narrow)
		if c == 'l' {
			v = uint64(int64(int32(v)))
		}
		from += w.narrow
		at := align386(len(wide), w.wide)
		wide = append(wide, make([]byte, at+w.wide-len(wide))...)
		var text [8]byte
		binary.LittleEndian.PutUint64(text[:], v)
		copy(wide[at:], text[:w.wide])
	}
	return append(wide, make([]byte, align386(len(wide), 8)-len(wide))...)
}

// stat386 converts struct stat64 to struct stat of x86-64.
func stat386(b []byte) []byte {
	wide := make([]byte, statSize)
	for _, m := range [...]struct{ from, to, size int }{
		{0, 0, 8}, {88, 8, 8}, {20, 16, 4}, {16, 24, 4}, {24, 28, 4}, {28, 32, 4}, {32, 40, 8}, {44, 48, 8}, {52, 56, 4}, {56, 64, 8},
		{64, 72, 4}, {68, 80, 4}, {72, 88, 4}, {76, 96, 4}, {80, 104, 4}, {84, 112, 4},
	} {
		copy(wide[m.to:], b[m.from:][:m.size])
	}
	return wide
}

const stat386Size = 96

// stat64Out prints struct stat64 of i386.
func stat64Out(i int) Arg {
	return structOut(i, stat386Size, func(p *Printer, in *Input, b []byte) { stat(p, in, stat386(b)) })
}

// split prints a number of 64 bits in two arguments, the low half first.
func split(low int) Arg {
	return Arg{print: func(p *Printer, in *Input) { p.format("%d", int64(joined(in.Call, low, low+1))) }}
}

// joined returns the number in two arguments.
func joined(c *Call, low, high int) uint64 {
	return uint64(uint32(c.Arguments[low])) | c.Arguments[high]<<32
}

// vectors386 prints iovecs of 32-bit programs with their data, total bytes altogether.
func vectors386(a Arg, i, count int, total func(in *Input) uint64) Arg {
	a.ops = slices.Clone(a.ops)
	a.ops[0].Unit, a.ops[1].Unit = tracespec.NarrowVector, tracespec.NarrowVector
	a.print = func(p *Printer, in *Input) {
		wide := wideVectors(in.capture(0))
		converted := *in
		converted.captures = slices.Clone(in.captures)
		if len(converted.captures) > 0 && wide != nil {
			converted.captures[0] = wide
		}
		p.vectors(&converted, in.Arguments[i], in.Arguments[count], 0, total(in))
	}
	return a
}

// narrowStrings makes an argument that is an array of strings one of pointers of 32 bits.
func narrowStrings(a Arg) Arg {
	a.ops = slices.Clone(a.ops)
	a.ops[0].Count = constant(tracespec.NarrowPointer)
	return a
}

// limit386 prints a resource limit of 32 bits.
func limit386(p *Printer, in *Input, v uint64) {
	if v == 0xffffffff {
		p.text(p.styled(decimal(v), "RLIM_INFINITY"))
		return
	}
	limit(p, in, v)
}

var rlimit386 = structure(field{name: "rlim_cur", size: 4, print: limit386}, field{name: "rlim_max", offset: 4, size: 4, print: limit386})

// userDesc prints struct user_desc.
func userDesc(p *Printer, _ *Input, b []byte) {
	entry, flags := "-1", word(b, 12, 4)
	if e := word(b, 0, 4); e != 0xffffffff {
		entry = decimal(e)
	}
	p.format("{entry_number=%s, base_addr=%s, limit=0x%06x", entry, p.addressText(word(b, 4, 4)), word(b, 8, 4))
	for _, f := range [...]struct {
		name        string
		shift, mask uint64
	}{{"seg_32bit", 0, 1}, {"contents", 1, 3}, {"read_exec_only", 3, 1}, {"limit_in_pages", 4, 1}, {"seg_not_present", 5, 1}, {"useable", 6, 1}} {
		p.format(", %s=%d", f.name, flags>>f.shift&f.mask)
	}
	p.text("}")
}

// addressText returns an address.
func (p *Printer) addressText(v uint64) string {
	one := p.child()
	one.address(v)
	return one.Take()
}

// entryNumber is the note of set_thread_area(2): the entry that the kernel has chosen.
func entryNumber(i int) Arg {
	a := onExit(Arg{ops: []tracespec.Op{fixed(argument(i), 4)}})
	a.before = []tracespec.Op{fixed(argument(i), 4)}
	a.note = func(_ *Printer, in *Input) (string, bool) {
		before, after := in.before(0), in.capture(0)
		return fmt.Sprintf("entry_number=%d", word(after, 0, 4)), !in.Failed() && after != nil && word(before, 0, 4) == 0xffffffff
	}
	return a
}

// frameMask386 prints the mask that sigreturn restores, whose halves are at two distances
// from the stack pointer.
func frameMask386(low, high uint64) Arg {
	at := func(distance uint64) tracespec.Op {
		return fixed(tracespec.Value{Source: tracespec.Stack, Number: distance}, 4)
	}
	return Arg{ops: []tracespec.Op{at(low), at(high)}, print: func(p *Printer, in *Input) {
		p.text("{mask=")
		if a, b := in.capture(0), in.capture(1); a != nil && b != nil {
			p.signalSet(slices.Concat(a[:4], b[:4]))
		} else {
			p.text("NULL")
		}
		p.text("}")
	}}
}

// maskPair386 prints the last argument of pselect6.
func maskPair386(i int) Arg {
	ops := []tracespec.Op{fixed(argument(i), 8),
		{Kind: tracespec.Bytes, Address: captured(0, 0, 4), Count: captured(0, 4, 4), Unit: 1, Max: 8}}
	return Arg{ops: ops, print: orAddress(i, func(p *Printer, in *Input, b []byte) {
		p.text("{sigmask=")
		if set := in.capture(1); set != nil && word(b, 4, 4) == 8 {
			p.signalSet(set)
		} else {
			p.address(word(b, 0, 4))
		}
		p.format(", sigsetsize=%d}", word(b, 4, 4))
	})}
}

// pages prints an offset in pages as one in bytes.
func pages(p *Printer, _ *Input, v uint64) { p.text(hexText(v << 12)) }

// timespec386 prints struct timespec of 32 bits, of which b may have more.
func timespec386(p *Printer, in *Input, b []byte) { timespec(p, in, widen("ll", b)) }

// timeval386 is timespec386 for struct timeval.
func timeval386(p *Printer, in *Input, b []byte) { timeval(p, in, widen("ll", b)) }

// select386 are the arguments of select(2).
var select386 = []Arg{at(0, dec), fdSet(1), fdSet(2), fdSet(3), structIn(4, 8, timeval386), selected386(timeval386)}

// selected386 is selected for a time of 8 bytes.
func selected386(o object) Arg {
	const time = 3
	a := selected(o)
	a.ops[time].Unit, a.ops[time].Max = 8, 8
	return a
}

// ownRows386 are the calls whose arguments differ from those of x86-64. Their numbers are in
// calls-i386.
var ownRows386 = []Row{
	call(0, "execve", "file process", path(0), narrowStrings(stringsOf(1)), narrowStrings(environment(2))),
	call(0, "execveat", "desc file process", dirfd(0), path(1), narrowStrings(stringsOf(2)), narrowStrings(environment(3)), at(4, flagsOf(atFlags))),
	call(0, "waitpid", "process", at(0, pid), ifWaited(1, structOut(1, 4, waitStatus)), at(2, flagsOf(waitOptions))),
	call(0, "nice", "", at(0, dec)),
	call(0, "socketcall", "network", at(0, oneOf(socketCalls386)), at(1, pointer)),
	call(0, "umount", "file", path(0)),
	call(0, "lseek", "desc", fd(0), at(1, dec), at(2, oneOf(whence))),
	call(0, "_llseek", "desc", fd(0),
		Arg{print: func(p *Printer, in *Input) { p.format("%d", int64(joined(in.Call, 2, 1))) }}, structOut(3, 8, indirect(8, long)), at(4, oneOf(whence))),
	call(0, "stat64", "file %stat %%stat", path(0), stat64Out(1)),
	call(0, "lstat64", "file %lstat %%stat", path(0), stat64Out(1)),
	call(0, "fstat64", "desc %fstat %%stat", fd(0), stat64Out(1)),
	call(0, "fstatat64", "desc file %fstat %%stat", dirfd(0), path(1), stat64Out(2), at(3, flagsOf(atFlags))),
	call(0, "statfs64", "file %statfs %%statfs", path(0), at(1, ulong), narrow(statfs64386, structOut(2, statfsSize, statfs))),
	call(0, "fstatfs64", "desc %fstatfs %%statfs", fd(0), at(1, ulong), narrow(statfs64386, structOut(2, statfsSize, statfs))),
	call(0, "mmap", "desc memory", inMemory(6, at(0, pointer), at(1, ulong), at(2, longFlagsOf(protFlags)), at(3, mapFlagsOf), at(4, dec), at(5, hex))...).gives(resultHex),
	call(0, "select", "desc", inMemory(5, select386...)...),
	call(0, "sendmsg", "network", fd(0), message386(message(1, constant(1<<62))), at(2, flagsOf(messageFlags))),
	call(0, "recvmsg", "network", fd(0), message386(received(1)), at(2, flagsOf(messageFlags))),
	call(0, "mmap2", "desc memory", at(0, pointer), at(1, ulong), at(2, longFlagsOf(protFlags)), at(3, mapFlagsOf), fd(4), at(5, pages)).gives(resultHex),
	call(0, "pread64", "desc", fd(0), outBuffer(1), at(2, ulong), split(3)),
	call(0, "pwrite64", "desc", fd(0), inBuffer(1, 2), at(2, ulong), split(3)),
	call(0, "truncate", "file", path(0), at(1, dec)),
	call(0, "ftruncate", "desc", fd(0), at(1, dec)),
	call(0, "truncate64", "file", path(0), split(1)),
	call(0, "ftruncate64", "desc", fd(0), split(1)),
	call(0, "fallocate", "desc", fd(0), at(1, flagsOf(fallocModes)), split(2), split(4)),
	call(0, "fadvise64", "desc", fd(0), split(1), at(3, ulong), at(4, oneOf(adviceNames))),
	call(0, "fadvise64_64", "desc", fd(0), split(1), split(3), at(5, oneOf(adviceNames))),
	call(0, "readahead", "desc", fd(0), split(1), at(3, ulong)),
	call(0, "sync_file_range", "desc", fd(0), split(1), split(3), at(5, flagsOf(syncFlags))),
	call(0, "readv", "desc", fd(0), vectors386(vectorsOut(1, 2), 1, 2, func(in *Input) uint64 { return uint64(max(in.Result, 0)) }), at(2, ulong)),
	call(0, "writev", "desc", fd(0), vectors386(vectorsIn(1, 2), 1, 2, func(*Input) uint64 { return 1 << 62 }), at(2, ulong)),
	call(0, "ugetrlimit", "", at(0, oneOf(resources)), structOut(1, 8, rlimit386)),
	call(0, "setrlimit", "", at(0, oneOf(resources)), structIn(1, 8, rlimit386)),
	call(0, "set_thread_area", "", structIn(0, 16, userDesc), entryNumber(0)),
	call(0, "get_thread_area", "", structOut(0, 16, userDesc)),
	call(0, "sigreturn", "signal", frameMask386(80, 712)),
	call(0, "rt_sigreturn", "signal", frameMask386(248, 252)),
	call(0, "pselect6_time64", "desc", at(0, dec), fdSet(1), fdSet(2), fdSet(3), structIn(4, timespecSize, timespec), maskPair386(5), selected(timespec)),
	call(0, "pselect6", "desc", at(0, dec), fdSet(1), fdSet(2), fdSet(3), structIn(4, 8, timespec386), maskPair386(5), selected386(timespec386)),
	call(0, "_newselect", "desc", select386...),
	call(0, "clone", "process", named("child_stack", at(1, pointer)), named("flags", at(0, cloneFlagsOf)),
		if_(has(0, 0x100000), named("parent_tid", structOut(2, 4, indirect(4, dec)))),
		if_(func(c *Call) bool { return c.Arguments[0]&0x101000 == 0x1000 }, named("parent_tid", structOut(2, 4, indirect(4, dec)))),
		if_(has(0, unix.CLONE_SETTLS), named("tls", onExitAlways(structIn(3, 16, userDesc)))),
		if_(has(0, 0x1200000), named("child_tidptr", onExitAlways(at(4, pointer))))).late(),
}
