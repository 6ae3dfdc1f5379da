package program

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/signal"
)

// The areas of user memory that a program uses. The harness maps the data area
// with read and write permission, fills it with Image, and leaves the area of
// mappings to the program.
const (
	DataBase = 0x10000000
	DataSize = 0x20000
	MapBase  = 0x20000000
	MapSize  = 0x100000
)

// area is a kind of structure in the data area.
type area uint8

const (
	anyBytes area = iota
	pathName
	moment     // struct timespec
	period     // struct itimerspec, struct itimerval
	timex      // struct timex
	set        // sigset_t
	action     // struct sigaction
	epollEvent // struct epoll_event
	pollList   // struct pollfd[]
	fdSet
	vectors  // struct iovec[]
	message  // struct msghdr
	messages // struct mmsghdr[]
	address  // struct sockaddr_un
	length   // socklen_t
	cloneArguments
	openHow
	sigEvent
	stack // stack_t
	limit // struct rlimit
	sigInfo
	argumentList // argv
	word         // a futex
	words        // struct futex_waitv[]
	robustList
	rseqArea
	capabilityHeader
	capabilityData
	lock     // struct flock
	terminal // struct termios, struct winsize
	integer  // int
	offset   // loff_t
	cpuMask
	schedAttr // struct sched_attr
	stackTop  // the end of a stack for a thread
	maskAndSize
	identities    // gid_t[]
	filterProgram // struct sock_fprog
	perfEvent     // struct perf_event_attr
	notification  // struct seccomp_notif and its relatives
	sendData      // anyBytes, and messages to NETLINK_AUDIT

	areas
)

// layout is the contents of the data area, and the addresses of its structures.
type layout struct {
	bytes     []byte
	addresses [areas][]uint64
	handlers  []int // offsets of the words that hold the address of the handler
	restorers []int // offsets of the words that hold the address of the restorer
}

// image is the layout of every program.
var image = newLayout()

// imageSize is the number of bytes of the data area that have structures.
const imageSize = 0x10000

// Image returns the contents of the data area. handler is the address of a signal
// handler that returns, and restorer that of code that calls rt_sigreturn(2).
func Image(handler, restorer uint64) []byte {
	b := append([]byte(nil), image.bytes...)
	for _, at := range image.handlers {
		binary.LittleEndian.PutUint64(b[at:], handler)
	}
	for _, at := range image.restorers {
		binary.LittleEndian.PutUint64(b[at:], restorer)
	}
	return b
}

// add appends an example of a structure and returns its address.
func (l *layout) add(kind area, contents []byte) uint64 {
	for len(l.bytes)%16 != 0 {
		l.bytes = append(l.bytes, 0)
	}
	at := uint64(DataBase + len(l.bytes))
	l.bytes = append(l.bytes, contents...)
	l.addresses[kind] = append(l.addresses[kind], at)
	return at
}

// quads returns words of 64 bits as bytes.
func quads(values ...uint64) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// longs returns words of 32 bits as bytes.
func longs(values ...uint32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

// paths are the path names of a program. The harness creates none of them: a
// program makes the files itself, in a directory that it may write to.
var paths = []string{
	"a", "b", "c", "d", "e", "d/a", "d/b", "d/c", "e/a", "l", "d/l", "f", "s", ".", "..", "/", "a/", "d/..", "",
	"/tmp", "/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/ptmx", "/dev/tty", "/dev/pts/0", "/dev/pts/1",
	"/proc/self/stat", "/proc/self/maps", "/proc/self/fd", "/proc/self/fd/3", "/proc/self/fd/5", "/proc/self/environ",
	"/proc/self/exe", "/proc/self/cwd", "/proc/self/status", "/proc/self/task", "/proc/self/oom_score_adj", "/proc/self/comm",
	"/proc/self/mem", "/proc/2/mem", "/proc/3/mem", "/proc/2/syscall", "/proc/3/syscall", "/proc/4/wchan", "/proc/self/limits", "/proc/self/cmdline", "/proc/self/root", "/proc/self/fdinfo/3", "/proc/self/mountinfo",
	"/proc/self/statm", "/proc/1/stat", "/proc/2/maps", "/proc/3/fd", "/proc/4/status", "/proc/2/environ", "/proc/3/cwd",
	"/proc/stat", "/proc/meminfo", "/proc/uptime", "/proc/mounts", "/proc/sys/kernel/hostname", "/proc/sys/kernel/pid_max",
	"/proc/sys/vm/overcommit_memory", "/proc/sys/fs/pipe-max-size", "/proc/loadavg", "/proc", "/sys", "tmpfs", "proc", "size=64k",
	"user.x", "memfd", "/dev/shm/x", Executable, Executable, "/dev/fd/4", "/proc/self/task/2/comm",
}

// Executable is the path of a program that the harness provides.
const Executable = "/program"

func newLayout() *layout {
	l := new(layout)
	for _, name := range paths {
		l.add(pathName, append([]byte(name), 0))
	}
	const longest = 255 // NAME_MAX
	l.add(pathName, append(bytes.Repeat([]byte{'n'}, longest), 0))
	l.add(pathName, append(bytes.Repeat([]byte{'m'}, longest+1), 0))
	l.addTimes()
	l.addFilters()
	l.addPerfEvents()
	l.addSignals()
	l.addFiles()
	l.addSockets()
	l.addTasks()
	l.addTracing()
	l.addAudit()
	l.addClock()
	l.bytes = l.bytes[:len(l.bytes):len(l.bytes)]
	if len(l.bytes) > imageSize/2 {
		panic("program: the structures do not fit into the data area")
	}
	l.bytes = append(l.bytes, make([]byte, imageSize-len(l.bytes))...)
	for at := imageSize / 2; at < imageSize-8192; at += 1040 {
		l.addresses[anyBytes] = append(l.addresses[anyBytes], DataBase+uint64(at))
	}
	l.addresses[anyBytes] = append(l.addresses[anyBytes], DataBase+imageSize-8192, DataBase+DataSize-100)
	l.addresses[sendData] = append(l.addresses[sendData], l.addresses[anyBytes]...)
	for _, top := range []uint64{0x18000, 0x1a000, 0x1c000, 0x1e000} {
		l.addresses[stackTop] = append(l.addresses[stackTop], DataBase+top)
	}
	l.addresses[stackTop] = append(l.addresses[stackTop], 0)
	return l
}

func (l *layout) addTimes() {
	for _, t := range [][2]uint64{{0, 0}, {0, 1}, {0, 100e3}, {0, 1e6}, {0, 3e6}, {1, 0}, {0, 1e9}, {^uint64(0), 0}, {1 << 40, 5}, {0, 0x3fffffff}} {
		l.add(moment, quads(t[0], t[1], 0, 0))
	}
	for _, p := range [][4]uint64{
		{0, 0, 0, 1}, {0, 0, 0, 100e3}, {0, 1, 0, 1}, {0, 1000, 0, 1000}, {0, 1e6, 0, 1e6}, {0, 0, 0, 0}, {0, 999, 0, 5}, {1, 0, 1, 0},
		{0, 1e9, 0, 1}, {1 << 40, 0, 1 << 40, 0},
	} {
		l.add(period, quads(p[:]...))
	}
}

// addClock adds the arguments of adjtimex(2): each mode, with values that it takes and refuses.
func (l *layout) addClock() {
	for _, x := range []abi.Timex{
		{}, {Modes: unix.ADJ_STATUS | unix.ADJ_NANO, Status: unix.STA_PLL}, {Modes: unix.ADJ_OFFSET, Offset: 400e6},
		{Modes: unix.ADJ_FREQUENCY | unix.ADJ_TAI, Freq: 100 << 16, Constant: 37}, {Modes: unix.ADJ_TICK, Tick: 10100},
		{Modes: unix.ADJ_TICK | unix.ADJ_FREQUENCY, Tick: 10000}, {Modes: unix.ADJ_OFFSET_SINGLESHOT, Offset: 700},
		{Modes: unix.ADJ_OFFSET_SS_READ}, {Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO, Sec: 1, Usec: 999999999},
		{Modes: unix.ADJ_SETOFFSET, Sec: -1 << 62}, {Modes: unix.ADJ_STATUS, Status: unix.STA_INS},
		{Modes: unix.ADJ_TICK, Tick: 20000}, {Modes: -1, Offset: -1 << 63, Freq: 1 << 50, Constant: -1},
	} {
		l.add(timex, abi.Bytes(&x))
	}
}

func (l *layout) addSignals() {
	for _, s := range []uint64{0, 1 << 9, 1<<9 | 1<<11, ^uint64(0), 1 << 16, 1<<33 | 1<<34, 1 << 13, 1 << 8} {
		l.add(set, quads(s))
	}
	const restorer = signal.SA_RESTORER
	for _, f := range []uint64{restorer, restorer | signal.SA_RESTART, restorer | signal.SA_SIGINFO, restorer | signal.SA_NODEFER, restorer | signal.SA_ONSTACK,
		restorer | signal.SA_RESETHAND, restorer | signal.SA_RESTART | signal.SA_SIGINFO, 0} {
		at := int(l.add(action, quads(0, f, 0, 0)) - DataBase)
		l.handlers, l.restorers = append(l.handlers, at), append(l.restorers, at+16)
	}
	l.add(action, quads(0, restorer, 0, 0)) // SIG_DFL
	l.add(action, quads(1, restorer, 0, 0)) // SIG_IGN
	l.add(action, quads(0, signal.SA_NOCLDWAIT, 0, 0))
	bad := int(l.add(action, quads(0xffff800000000000, restorer, 0, ^uint64(0))) - DataBase)
	l.restorers = append(l.restorers, bad+16)
	for _, e := range [][3]uint32{{10, 0, 0}, {34, 0, 0}, {0, 1, 0}, {35, 4, 2}, {12, 2, 0}, {99, 0, 0}} { // signo, notify, tid
		l.add(sigEvent, append(quads(7), append(longs(e[0], e[1], e[2]), make([]byte, 44)...)...))
	}
	for _, s := range [][3]uint64{{DataBase + 0x12000, 0, 0x4000}, {0, 2, 0}, {DataBase + 0x12000, 0, 100}, {DataBase + 0x12000, 1 << 31, 0x3000}} {
		l.add(stack, quads(s[0], s[1], s[2]))
	}
	for _, code := range []int32{-1, -6, 0, 1, -2} {
		l.add(sigInfo, append(longs(10, 0, uint32(code), 0, 2, 0, 77), make([]byte, 100)...))
	}
}

func (l *layout) addFiles() {
	for _, e := range []uint32{unix.EPOLLIN, unix.EPOLLIN | unix.EPOLLOUT, unix.EPOLLIN | unix.EPOLLET, unix.EPOLLIN | unix.EPOLLONESHOT,
		unix.EPOLLIN | unix.EPOLLEXCLUSIVE, 0, unix.EPOLLOUT | unix.EPOLLET, unix.EPOLLRDHUP} {
		l.add(epollEvent, longs(e, 5, 6))
	}
	for first := uint32(3); first < 12; first += 3 {
		var list []byte
		for fd := first; fd < first+4; fd++ {
			list = append(list, longs(fd, unix.POLLIN|unix.POLLOUT)...)
		}
		l.add(pollList, list)
	}
	l.add(pollList, longs(0xffffffff, unix.POLLIN, 3, unix.POLLIN, 1000, unix.POLLIN, 4, 0))
	for _, bits := range []uint64{0, 0xf8, 0xfff0, 1 << 3, 1 << 7} {
		l.add(fdSet, append(quads(bits), make([]byte, 120)...))
	}
	buffer := uint64(DataBase + imageSize/2)
	l.add(vectors, quads(buffer, 16, buffer+4090, 100, buffer+64, 1))
	l.add(vectors, quads(buffer, 0, 0, 0, buffer, 4096))
	l.add(vectors, quads(buffer, 8, 4096, 10, buffer, 8)) // the second faults
	l.add(vectors, quads(MapBase, 8192, MapBase+4096, 1, buffer, 5))
	for _, h := range [][3]uint64{{unix.O_RDWR | unix.O_CREAT, 0o644, 0}, {unix.O_RDONLY, 0, 8}, {unix.O_PATH, 0, 2}, {unix.O_RDWR, 0, 0x10}} {
		l.add(openHow, quads(h[0], h[1], h[2]))
	}
	for _, f := range []uint32{0, 1, 2} {
		l.add(lock, append(longs(f, 0), append(quads(0, 10), longs(1, 0)...)...))
		l.add(lock, append(longs(f, 0), append(quads(5, 0), longs(0, 0)...)...))
	}
	l.add(terminal, append(longs(0x500, 5, 0xbf, 0x8a3b), append([]byte{0, 3, 28, 127, 21, 4, 0, 1}, make([]byte, 60)...)...))
	l.add(terminal, append(longs(0, 0, 0xbf, 0), make([]byte, 68)...))
	for _, v := range []uint32{0, 1, 4, 65536, 0xffffffff, 3} {
		l.add(integer, longs(v, 0))
	}
	for _, v := range []uint64{0, 1, 4096, 5000, 1<<63 - 1, ^uint64(0)} {
		l.add(offset, quads(v))
	}
	l.add(identities, longs(0, 1, 1000, 1000))
}

func (l *layout) addSockets() {
	name := func(text string) []byte {
		return append([]byte{unix.AF_UNIX, 0}, append([]byte(text), make([]byte, 108-len(text))...)...)
	}
	addresses := []uint64{
		l.add(address, name("s")), l.add(address, name("\x00x")), l.add(address, name("d/s")), l.add(address, name("\x00y")), l.add(address, name("")),
	}
	l.add(address, []byte{2, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	for _, v := range []uint32{110, 2, 4, 0, 1, 0xffffffff, 8} {
		l.add(length, longs(v))
	}
	buffer := uint64(DataBase + imageSize/2)
	iov := l.add(vectors, quads(buffer+8, 32, buffer+200, 4))
	rights := l.add(anyBytes, append(quads(24), longs(unix.SOL_SOCKET, unix.SCM_RIGHTS, 4, 3)...))
	several := l.add(anyBytes, append(quads(32), longs(unix.SOL_SOCKET, unix.SCM_RIGHTS, 5, 6, 7, 8)...))
	credentials := l.add(anyBytes, append(quads(28), longs(unix.SOL_SOCKET, unix.SCM_CREDENTIALS, 2, 0, 0, 0)...))
	var headers [][]byte
	for _, m := range [][4]uint64{{0, 0, 0, 0}, {0, 0, rights, 24}, {0, 0, several, 32}, {addresses[0], 110, 0, 0}, {addresses[1], 4, rights, 24}, {0, 0, credentials, 32}, {0, 0, several, 20}} {
		headers = append(headers, quads(m[0], m[1], iov, 2, m[2], m[3], 0))
		l.add(message, headers[len(headers)-1])
	}
	l.add(messages, append(append(append([]byte(nil), headers[0]...), quads(0)...), append(headers[1], quads(0)...)...))
}

// addAudit adds messages to NETLINK_AUDIT: the status, rules, and a text for the log.
func (l *layout) addAudit() {
	message := func(kind uint32, payload ...uint32) {
		const acknowledge = 5 << 16 // NLM_F_REQUEST | NLM_F_ACK
		l.add(sendData, append(longs(uint32(16+4*len(payload)), kind|acknowledge, 1, 0), longs(payload...)...))
	}
	rule := func(kind, list, action, mask uint32, field [3]uint32) {
		words := make([]uint32, 260) // struct audit_rule_data
		words[0], words[1], words[2] = list, action, 1
		for i := range 16 {
			words[3+i] = mask
		}
		words[67], words[131], words[195] = field[0], field[2], field[1]
		message(kind, words...)
	}
	message(unix.AUDIT_GET)
	message(unix.AUDIT_LIST_RULES)
	message(unix.AUDIT_SET, unix.AUDIT_STATUS_ENABLED, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	message(unix.AUDIT_SET, unix.AUDIT_STATUS_ENABLED, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	message(unix.AUDIT_SET, unix.AUDIT_STATUS_PID, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0)
	message(unix.AUDIT_SET, unix.AUDIT_STATUS_BACKLOG_LIMIT|unix.AUDIT_STATUS_BACKLOG_WAIT_TIME, 0, 0, 0, 0, 3, 0, 0, 0, 1, 0)
	message(unix.AUDIT_FIRST_USER_MSG, 0x6c6c6568, 0x6f)
	message(unix.AUDIT_USER_TTY, 0x6c6c6568, 0x6f)
	message(unix.AUDIT_TTY_SET, 1, 1)
	message(unix.AUDIT_TRIM)
	message(unix.AUDIT_MAKE_EQUIV, 1, 1, 0x2f2f) // from / to /
	always := [3]uint32{unix.AUDIT_UID, unix.AUDIT_NOT_EQUAL, 99}
	never := [3]uint32{unix.AUDIT_EXIT, unix.AUDIT_EQUAL, 99}
	rule(unix.AUDIT_ADD_RULE, unix.AUDIT_FILTER_EXIT, unix.AUDIT_ALWAYS, ^uint32(0), always)
	rule(unix.AUDIT_DEL_RULE, unix.AUDIT_FILTER_EXIT, unix.AUDIT_ALWAYS, ^uint32(0), always)
	rule(unix.AUDIT_ADD_RULE, unix.AUDIT_FILTER_EXIT, unix.AUDIT_ALWAYS, 0x55555555, never)
	rule(unix.AUDIT_ADD_RULE, unix.AUDIT_FILTER_TASK, unix.AUDIT_ALWAYS, 0, always)
	rule(unix.AUDIT_ADD_RULE, unix.AUDIT_FILTER_EXCLUDE, unix.AUDIT_ALWAYS, 0, [3]uint32{unix.AUDIT_MSGTYPE, unix.AUDIT_EQUAL, unix.AUDIT_PROCTITLE})
	l.add(pathName, []byte("/proc/self/loginuid\x00"))
}

// addFilters adds programs of seccomp(2), and structures of its listeners. The first
// notification of a listener has the id that the kernel on the host begins with.
func (l *layout) addFilters() {
	const allow, number = 0x7fff0000, unix.SYS_GETPGID
	for _, verdict := range []uint32{allow, 0x7fc00000, 0x00050001, 0x00030002, 0x7ff00000, 0x7ffc0000, 0} {
		code := quads(0x20, 0x15|1<<24|number<<32, 0x06|uint64(verdict)<<32, 0x06|allow<<32)
		l.add(filterProgram, quads(4, l.add(anyBytes, code)))
	}
	argument := quads(0x20|16<<32, 0x25|1<<24|8<<32, 0x06|0x00050001<<32, 0x06|allow<<32)
	l.add(filterProgram, quads(4, l.add(anyBytes, argument)))
	l.add(filterProgram, quads(4097, 0))
	const first = 0x0ee9c49f7a55300b
	l.add(notification, make([]byte, 80))
	for id := range uint64(4) {
		l.add(notification, make([]byte, 80))
		l.add(notification, quads(first+id, 1<<32, 0))   // ADDFD with a free number, or an error
		l.add(notification, quads(first+id, 5, 0))       // a value
		l.add(notification, quads(first+id, 1|1<<32, 9)) // ADDFD, SETFD
		l.add(notification, quads(first+id, 2|1<<32, 0)) // ADDFD, SEND
		l.add(notification, quads(first+id, 0, 1<<32))   // CONTINUE
	}
}

// addPerfEvents adds the attributes of perf events: the dummy event and the clocks, with
// all records of tasks and all fields that samples can have, and probes on a program.
func (l *layout) addPerfEvents() {
	const (
		size      = 128 << 32
		dummy     = 9
		uprobe    = 7
		tasks     = unix.PerfBitMmap | unix.PerfBitMmap2 | unix.PerfBitMmapData | unix.PerfBitComm | unix.PerfBitTask | unix.PerfBitSampleIDAll
		noKernel  = unix.PerfBitExcludeKernel
		tidAndID  = unix.PERF_SAMPLE_TID | unix.PERF_SAMPLE_TIME | unix.PERF_SAMPLE_CPU | unix.PERF_SAMPLE_IDENTIFIER
		allFields = 0xffffff &^ (unix.PERF_SAMPLE_BRANCH_STACK | unix.PERF_SAMPLE_AUX | unix.PERF_SAMPLE_CGROUP)
		everyRead = unix.PERF_FORMAT_GROUP | unix.PERF_FORMAT_ID | unix.PERF_FORMAT_LOST | unix.PERF_FORMAT_TOTAL_TIME_ENABLED | unix.PERF_FORMAT_TOTAL_TIME_RUNNING
	)
	executable := l.add(anyBytes, append([]byte(Executable), 0))
	for _, a := range [][]uint64{
		{unix.PERF_TYPE_SOFTWARE | size, dummy, 0, tidAndID, 0, tasks | noKernel},
		{unix.PERF_TYPE_SOFTWARE | size, dummy, 0, tidAndID, 0, tasks | noKernel | unix.PerfBitInherit},
		{unix.PERF_TYPE_SOFTWARE | size, 1, 0, 0, everyRead, noKernel | unix.PerfBitEnableOnExec | unix.PerfBitDisabled},
		{unix.PERF_TYPE_SOFTWARE | size, 0, 0, 0, 0, noKernel | unix.PerfBitInherit},
		{uprobe | size, 0, 1, allFields, 0, noKernel, 1, executable, 0x100, 0, 0xff, 64},
		{uprobe | size, 1, 0, 0, 0, noKernel | unix.PerfBitInherit, 1, executable, 0x78},
		{unix.PERF_TYPE_SOFTWARE | size, unix.PERF_COUNT_SW_PAGE_FAULTS, 1, allFields, 0, noKernel | unix.PerfBitInherit},
		{unix.PERF_TYPE_SOFTWARE | size, unix.PERF_COUNT_SW_CONTEXT_SWITCHES, 1, tidAndID, everyRead, unix.PerfBitInherit | unix.PerfBitContextSwitch},
		{unix.PERF_TYPE_SOFTWARE | size, unix.PERF_COUNT_SW_CPU_MIGRATIONS, 2, tidAndID, 0, 0},
		{unix.PERF_TYPE_SOFTWARE | size, unix.PERF_COUNT_SW_CPU_CLOCK, 10000, allFields, 0, unix.PerfBitFreq},
		{unix.PERF_TYPE_SOFTWARE | size, unix.PERF_COUNT_SW_TASK_CLOCK, 1000000, tidAndID, 0, unix.PerfBitInherit},
		{99 | size}, {unix.PERF_TYPE_TRACEPOINT | size, 300, 1, 0x40f}, {8 << 32},
	} {
		l.add(perfEvent, append(quads(a...), make([]byte, 128-8*len(a))...))
	}
}

// addTracing adds files of tracefs, and lines for uprobe_events and other files. A write of
// a random length takes some of them.
func (l *layout) addTracing() {
	const tracing = "/sys/kernel/tracing/"
	for _, name := range []string{"uprobe_events", "uprobe_events", "events/uprobes/enable", "events/uprobes/a/enable", "events/uprobes/a/trigger", "events/uprobes/a/filter",
		"events/uprobes/a/format", "trace", "trace_pipe", "per_cpu/cpu0/trace_pipe_raw", "trace_marker", "instances/x", "instances/x/set_event", "instances/x/events/uprobes/a/enable",
		"set_event", "set_event_pid", "tracing_on", "buffer_size_kb", "trace_clock", "uprobe_profile", "events/uprobes",
		"events/enable", "events/sched/enable", "events/signal/enable", "events/sched/sched_switch/filter", "events/exceptions/page_fault_user/trigger",
		"events/raw_syscalls/enable", "events/syscalls/enable", "events/syscalls/sys_enter_read/filter", "events/raw_syscalls/sys_exit/trigger"} {
		l.add(pathName, append([]byte(tracing+name), 0))
	}
	for _, text := range []string{
		"p:a /program:0x0\np:b /program:0x0 %di +0(%si):string\nr:c /program:0x0 $retval\np:a /program:0x4\n-:b\n", "-:a\n-:c\n", "p:a /program:0\n",
		"1\n", "0\n", "*:*\n", "traceoff\n", "!traceoff\n", "enable_event:uprobes:b\n", "__probe_ip == 1 || comm == \"x\"\n", "2 3\n", "boot\n", "100\n",
	} {
		l.add(anyBytes, []byte(text))
	}
}

func (l *layout) addTasks() {
	threadFlags := uint64(unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD)
	for _, c := range [][2]uint64{{threadFlags, 0}, {threadFlags | unix.CLONE_SYSVSEM, 0}, {0, 17}, {unix.CLONE_VM, 17}, {unix.CLONE_FILES, 17}, {unix.CLONE_PIDFD, 17}, {unix.CLONE_VM | unix.CLONE_SIGHAND, 17}} {
		l.add(cloneArguments, quads(c[0], DataBase+imageSize-64, 0, 0, c[1], 0, 0, 0, 0, 0, 0))
	}
	for _, r := range [][2]uint64{{0, 0}, {8, 64}, {1024, 4096}, {^uint64(0), ^uint64(0)}, {4096, 1 << 20}, {1 << 20, 1 << 30}, {3, 3}, {10, 5}} {
		l.add(limit, quads(r[0], r[1]))
	}
	program := l.add(pathName, append([]byte(Executable), 0))
	arguments := l.add(anyBytes, []byte("argument\x00"))
	l.add(argumentList, quads(program, 0))
	l.add(argumentList, quads(program, arguments, arguments, 0))
	l.add(argumentList, quads(0))
	for i := range 4 {
		l.add(word, longs(uint32(i), 0, 1))
	}
	first := l.addresses[word][0]
	l.add(words, append(append(quads(0, first), longs(2, 0)...), append(quads(1, first+16), longs(2, 0)...)...))
	l.add(words, append(append(quads(5, first), longs(2, 0)...), append(quads(1, first+16), longs(0x82, 0)...)...))
	head := uint64(DataBase + len(l.bytes) + 15&^15)
	l.add(robustList, quads(head, 0, 0))
	l.add(robustList, quads(first, 0, first))
	for len(l.bytes)%32 != 0 {
		l.bytes = append(l.bytes, 0)
	}
	l.add(rseqArea, make([]byte, 32))
	l.add(rseqArea, make([]byte, 32))
	l.add(capabilityHeader, longs(0x20080522, 0))
	l.add(capabilityHeader, longs(0x19980330, 1))
	l.add(capabilityHeader, longs(0x20080522, 2))
	l.add(capabilityData, longs(0xffffffff, 0xffffffff, 0, 0xff, 0xff, 0))
	l.add(capabilityData, longs(0, 0, 0, 0, 0, 0))
	for _, policy := range []uint32{0, 1, 2, 3, 5, 6, 6} {
		priority := uint32(0)
		if policy == 1 || policy == 2 {
			priority = policy
		}
		// flags, nice value, runtime, deadline and period of SCHED_DEADLINE
		l.add(schedAttr, longs(48, policy, policy&5, 0, 3, priority, 200_000, 0, 1_000_000, 0, 2_000_000, 0, 0, 0))
		l.add(schedAttr, longs(56, policy, 0, 0, 0, priority, 100_000, 0, 1_000_000, 0, 0, 0, 0, 0))
	}
	l.add(cpuMask, quads(1, 0))
	l.add(cpuMask, quads(3, 0))
	l.add(cpuMask, quads(2, 0))
	l.add(cpuMask, quads(0, 0))
	l.add(maskAndSize, quads(l.addresses[set][1], 8))
	l.add(maskAndSize, quads(0, 8))
}
