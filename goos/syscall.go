package goos

import "slowpath/arch/amd64"

// call is the handler of a system call of the runtime. It returns the value for
// RAX, or switched.
type call func(t *thread, f *amd64.Frame) uint64

// switched is returned by a handler that set RAX itself or switched to another
// thread. It is no result of a system call: errors end at -4095.
const switched = uint64(1) << 63

// calls is the table of the system calls that the runtime makes, by Linux's
// numbers (arch/x86/entry/syscalls/syscall_64.tbl). All others fail with ENOSYS.
var calls = [335]call{
	0: read, 1: write, 3: succeed, 9: mmap, 10: succeed, 11: munmap, 12: brk,
	13: rtSigaction, 14: rtSigprocmask, 15: rtSigreturn, 24: schedYield,
	28: madvise, 35: nanosleep, 39: getpid, 56: clone, 60: exit, 72: fcntl,
	131: sigaltstack, 157: prctl, 158: archPrctl, 186: gettid, 202: futex,
	204: schedGetaffinity, 218: setTIDAddress, 228: clockGettime,
	231: exitGroup, 233: epollCtl, 234: tgkill, 257: notFound, 262: notFound,
	269: notFound, 281: epollPwait, 290: eventfd2, 291: epollCreate1,
	318: getrandom,
}

// syscallEntry handles the SYSCALL of the current thread.
func syscallEntry() {
	acquire()
	t := me()
	f := &t.frame
	f.EndCall()
	result := fail(errNOSYS)
	if nr := f.RAX; nr < uint64(len(calls)) && calls[nr] != nil {
		result = calls[nr](t, f)
	} else if own := nr - firstCall; own < uint64(len(ownCalls)) {
		result = ownCalls[own](t, f)
	}
	if result != switched {
		f.RAX = result
	}
	deliver()
	release()
}

// Arguments of a system call, in the order of the Linux convention.
func arg0(f *amd64.Frame) uint64 { return f.RDI }
func arg1(f *amd64.Frame) uint64 { return f.RSI }
func arg2(f *amd64.Frame) uint64 { return f.RDX }
func arg3(f *amd64.Frame) uint64 { return f.R10 }
func arg4(f *amd64.Frame) uint64 { return f.R8 }

// succeed serves calls that have nothing to do: close, of one of our two
// descriptors at exit, and mprotect, which for the runtime must only not fail.
func succeed(*thread, *amd64.Frame) uint64 { return 0 }

// notFound serves openat, newfstatat and faccessat. The runtime looks for the
// size of huge pages and for time zones.
func notFound(*thread, *amd64.Frame) uint64 { return fail(errNOENT) }

func prctl(*thread, *amd64.Frame) uint64 { return fail(errINVAL) }

func getpid(*thread, *amd64.Frame) uint64 { return 1 }

func gettid(t *thread, _ *amd64.Frame) uint64 { return t.tid }

func setTIDAddress(t *thread, _ *amd64.Frame) uint64 { return t.tid }

// fcntl reports the standard descriptors as open (F_GETFD) for reading and
// writing (F_GETFL).
func fcntl(_ *thread, f *amd64.Frame) uint64 {
	const getDescriptorFlags, getFlags, readWrite = 1, 3, 2
	if arg0(f) > standardError {
		return fail(errBADF)
	}
	switch arg1(f) {
	case getDescriptorFlags:
		return 0
	case getFlags:
		return readWrite
	}
	return fail(errINVAL)
}

func archPrctl(t *thread, f *amd64.Frame) uint64 {
	const setFS = 0x1002
	if arg0(f) != setFS {
		return fail(errINVAL)
	}
	t.frame.FSBase = arg1(f)
	return 0
}

func schedGetaffinity(_ *thread, f *amd64.Frame) uint64 {
	const size = 8
	if arg1(f) < size {
		return fail(errINVAL)
	}
	*at[uint64](arg2(f)) = 1<<uint(cpus) - 1
	return size
}

func schedYield(t *thread, f *amd64.Frame) uint64 {
	if queueHead == none {
		return 0 // the timer stays as it is
	}
	f.RAX = 0
	yield()
	return switched
}

func clone(t *thread, f *amd64.Frame) uint64 {
	const setTLS = 0x80000
	tls := uint64(0)
	if arg0(f)&setTLS != 0 {
		tls = arg4(f)
	}
	child := spawn(t, arg1(f), tls)
	if child == nil {
		return fail(errAGAIN)
	}
	enqueue(child)
	kick(child)
	return child.tid
}

func exit(t *thread, _ *amd64.Frame) uint64 {
	t.state = dead
	schedule()
	return switched
}

// exitGroup ends the machine. The runtime calls it only after a fatal error and
// its traceback. The kernel ends in order by PowerOff.
func exitGroup(_ *thread, f *amd64.Frame) uint64 {
	failWith(uint8(arg0(f)))
	return switched
}

func getrandom(_ *thread, f *amd64.Frame) uint64 {
	for i := range arg1(f) {
		*at[byte](arg0(f) + i) = byte(nextRandom() >> 24)
	}
	return arg1(f)
}

// timespec is struct timespec of Linux.
type timespec struct{ seconds, nanoseconds uint64 }

func (ts *timespec) total() uint64 { return ts.seconds*1_000_000_000 + ts.nanoseconds }

// clockGettime serves reads that do not go through the vDSO.
func clockGettime(_ *thread, f *amd64.Frame) uint64 {
	now := Nanotime()
	if arg0(f) == 0 {
		_, _, wall := amd64.ClockParameters()
		now += wall
	}
	*at[timespec](arg1(f)) = timespec{now / 1_000_000_000, now % 1_000_000_000}
	return 0
}

func nanosleep(t *thread, f *amd64.Frame) uint64 {
	f.RAX = 0
	block(waitSleep, 0, Nanotime()+monitorSleep(t, at[timespec](arg0(f)).total()))
	return switched
}

// futex serves FUTEX_WAIT with a relative timeout, and FUTEX_WAKE (futex(2)).
// Private or not makes no difference, as there is one address space.
func futex(_ *thread, f *amd64.Frame) uint64 {
	const operation, wait, wakeUp = 0x7f, 0, 1
	switch arg1(f) & operation {
	case wait:
		return futexWait(f)
	case wakeUp:
		return futexWake(arg0(f), arg2(f))
	}
	return fail(errNOSYS)
}

func futexWait(f *amd64.Frame) uint64 {
	if *at[uint32](arg0(f)) != uint32(arg2(f)) {
		return fail(errAGAIN)
	}
	deadline := never
	if arg3(f) != 0 {
		deadline = Nanotime() + at[timespec](arg3(f)).total()
	}
	f.RAX = 0
	block(waitFutex, arg0(f), deadline)
	return switched
}

func futexWake(word, most uint64) uint64 {
	woken := uint64(0)
	for t := sleeper(waitFutex, word); t != nil && woken < most; t = sleeper(waitFutex, word) {
		woken++
		if index(t) == monitor {
			wakeLater(t)
			continue
		}
		wake(t, 0)
	}
	return woken
}
