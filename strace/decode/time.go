package decode

import (
	"time"

	"golang.org/x/sys/unix"
)

var (
	clocks = names("CLOCK_???", `CLOCK_REALTIME 0 CLOCK_MONOTONIC 1 CLOCK_PROCESS_CPUTIME_ID 2 CLOCK_THREAD_CPUTIME_ID 3 CLOCK_MONOTONIC_RAW 4 CLOCK_REALTIME_COARSE 5
		CLOCK_MONOTONIC_COARSE 6 CLOCK_BOOTTIME 7 CLOCK_REALTIME_ALARM 8 CLOCK_BOOTTIME_ALARM 9 CLOCK_SGI_CYCLE 10 CLOCK_TAI 11`)
	cpuClocks    = sequence("CPUCLOCK_???", 0, "CPUCLOCK_PROF CPUCLOCK_VIRT CPUCLOCK_SCHED")
	timerFlags   = names("TIMER_???", "TIMER_ABSTIME 1")
	itimers      = sequence("ITIMER_???", 0, "ITIMER_REAL ITIMER_VIRTUAL ITIMER_PROF")
	timerfdFlags = names("TFD_???", "TFD_CLOEXEC 0x80000 TFD_NONBLOCK 0x800")
	timerfdTimes = names("TFD_???", "TFD_TIMER_ABSTIME 1 TFD_TIMER_CANCEL_ON_SET 2")
	notifyWays   = names("SIGEV_???", "SIGEV_SIGNAL 0 SIGEV_NONE 1 SIGEV_THREAD 2 SIGEV_THREAD_ID 4")
)

const (
	timespecSize  = 16
	itimerSize    = 32
	sigeventSize  = 64
	utimeNow      = 1<<30 - 1
	utimeOmit     = 1<<30 - 2
	timezoneSize  = 8
	clockFDMask   = 7
	clockOfThread = 4
)

func timespec(p *Printer, _ *Input, b []byte) {
	p.format("{tv_sec=%d, tv_nsec=%d}", int64(word(b, 0, 8)), word(b, 8, 8))
}

func timeval(p *Printer, _ *Input, b []byte) {
	p.format("{tv_sec=%d, tv_usec=%d}", int64(word(b, 0, 8)), word(b, 8, 8))
}

var timezone = structure(field{name: "tz_minuteswest", size: 4, print: dec}, field{name: "tz_dsttime", offset: 4, size: 4, print: dec})

// pair prints an interval and a value.
func pair(o object) object {
	return func(p *Printer, in *Input, b []byte) {
		p.text("{it_interval=")
		o(p, in, b[:16])
		p.text(", it_value=")
		o(p, in, b[16:32])
		p.text("}")
	}
}

// clockName prints a clock id.
func clockName(p *Printer, _ *Input, v uint64) {
	clock := int32(v)
	switch {
	case clock >= 0:
		p.text(p.value(clocks, uint64(uint32(v))))
	case clock&clockFDMask == 3:
		p.format("FD_TO_CLOCKID(%d)", ^(clock >> 3))
	case clock&clockOfThread != 0:
		p.format("MAKE_THREAD_CPUCLOCK(%d, %s)", ^(clock >> 3), p.value(cpuClocks, uint64(clock&3)))
	default:
		p.format("MAKE_PROCESS_CPUCLOCK(%d, %s)", ^(clock >> 3), p.value(cpuClocks, uint64(clock&3)))
	}
}

// remaining prints the rest of a sleep, which the kernel stores if it is interrupted.
func remaining(i int) Arg {
	none := func(in *Input) bool {
		return restarts[-in.Result] == "" || i == 3 && in.Arguments[1] != 0 // TIMER_ABSTIME has no rest
	}
	return addressIf(i, none, onExitAlways(structIn(i, timespecSize, timespec)))
}

// utimes prints the two times of utimensat(2).
func utimes(p *Printer, in *Input, b []byte) {
	p.text("[")
	for i := range 2 {
		if i > 0 {
			p.text(", ")
		}
		t := b[16*i:][:16]
		switch n := word(t, 8, 8); {
		case n == utimeNow && p.Style == Abbreviated:
			p.text("UTIME_NOW")
		case n == utimeOmit && p.Style == Abbreviated:
			p.text("UTIME_OMIT")
		case n == utimeNow && p.Style == Both:
			timespec(p, in, t)
			p.text(" /* UTIME_NOW */")
		case n == utimeOmit && p.Style == Both:
			timespec(p, in, t)
			p.text(" /* UTIME_OMIT */")
		default:
			timespec(p, in, t)
			p.timeComment(int64(word(t, 0, 8)), word(t, 8, 8), nanoseconds)
		}
	}
	p.text("]")
}

// timevals prints the two times of utimes(2).
func timevals(p *Printer, in *Input, b []byte) {
	p.text("[")
	for i := range 2 {
		if i > 0 {
			p.text(", ")
		}
		timeval(p, in, b[16*i:])
		p.timeComment(int64(word(b, 16*i, 8)), word(b, 16*i+8, 8), microseconds)
	}
	p.text("]")
}

// utimbuf prints struct utimbuf.
func utimbuf(p *Printer, _ *Input, b []byte) {
	p.format("{actime=%d", int64(word(b, 0, 8)))
	p.timeComment(int64(word(b, 0, 8)), 0, nanoseconds)
	p.format(", modtime=%d", int64(word(b, 8, 8)))
	p.timeComment(int64(word(b, 8, 8)), 0, nanoseconds)
	p.text("}")
}

// sigevent prints struct sigevent.
func sigevent(p *Printer, _ *Input, b []byte) {
	way := word(b, 12, 4)
	p.text("{")
	if value := word(b, 0, 8); value != 0 {
		p.format("sigev_value={sival_int=%d, sival_ptr=", int32(value))
		p.address(value)
		p.text("}, ")
	}
	p.text("sigev_signo=")
	if way == 0 || way == 2 || way == 4 {
		p.text(p.signal(int(int32(word(b, 8, 4)))))
	} else {
		p.format("%d", word(b, 8, 4))
	}
	p.text(", sigev_notify=" + p.value(notifyWays, way))
	switch way {
	case 4:
		p.format(", sigev_notify_thread_id=%d", int32(word(b, 16, 4)))
	case 2:
		p.text(", sigev_notify_function=")
		p.address(word(b, 16, 8))
		p.text(", sigev_notify_attributes=")
		p.address(word(b, 24, 8))
	}
	p.text("}")
}

// dateResult prints a result that is a time.
func dateResult(p *Printer, c *Call) {
	p.format("%d (%s)", c.Result, time.Unix(c.Result, 0).Format("2006-01-02T15:04:05-0700"))
}

// date prints a time with its comment.
func date(p *Printer, _ *Input, v uint64) {
	p.format("%d", int64(v))
	p.timeComment(int64(v), 0, nanoseconds)
}

// timeRows are the calls on clocks and timers.
var timeRows = []Row{
	call(unix.SYS_NANOSLEEP, "nanosleep", "", structIn(0, timespecSize, timespec), remaining(1)),
	call(unix.SYS_CLOCK_NANOSLEEP, "clock_nanosleep", "", at(0, clockName), at(1, flagsOf(timerFlags)), structIn(2, timespecSize, timespec), remaining(3)),
	call(unix.SYS_CLOCK_GETTIME, "clock_gettime", "%clock", at(0, clockName), structOut(1, timespecSize, timespec)),
	call(unix.SYS_CLOCK_GETRES, "clock_getres", "%clock", at(0, clockName), structOut(1, timespecSize, timespec)),
	call(unix.SYS_CLOCK_SETTIME, "clock_settime", "%clock", at(0, clockName), structIn(1, timespecSize, timespec)),
	call(unix.SYS_GETTIMEOFDAY, "gettimeofday", "%clock", structOut(0, 16, timeval), structOut(1, timezoneSize, timezone)),
	call(unix.SYS_SETTIMEOFDAY, "settimeofday", "%clock", structIn(0, 16, timeval), structIn(1, timezoneSize, timezone)),
	call(unix.SYS_TIME, "time", "%clock", structOut(0, 8, indirect(8, date))).gives(dateResult),
	call(unix.SYS_GETITIMER, "getitimer", "", at(0, oneOf(itimers)), structOut(1, itimerSize, pair(timeval))),
	call(unix.SYS_SETITIMER, "setitimer", "", at(0, oneOf(itimers)), structIn(1, itimerSize, pair(timeval)), structOut(2, itimerSize, pair(timeval))),
	call(unix.SYS_ALARM, "alarm", "", at(0, udec)),
	call(unix.SYS_TIMES, "times", "", structOut(0, 32, tms)),
	call(unix.SYS_UTIME, "utime", "file", path(0), structIn(1, 16, utimbuf)),
	call(unix.SYS_UTIMES, "utimes", "file", path(0), structIn(1, 32, timevals)),
	call(unix.SYS_FUTIMESAT, "futimesat", "desc file", dirfd(0), path(1), structIn(2, 32, timevals)),
	call(unix.SYS_UTIMENSAT, "utimensat", "desc file", dirfd(0), path(1), structIn(2, 32, utimes), at(3, flagsOf(atFlags))),
	call(unix.SYS_TIMER_CREATE, "timer_create", "", at(0, clockName), structIn(1, sigeventSize, sigevent), structOut(2, 4, indirect(4, dec))),
	call(unix.SYS_TIMER_SETTIME, "timer_settime", "", at(0, dec), at(1, flagsOf(timerFlags)), structIn(2, itimerSize, pair(timespec)), structOut(3, itimerSize, pair(timespec))),
	call(unix.SYS_TIMER_GETTIME, "timer_gettime", "", at(0, dec), structOut(1, itimerSize, pair(timespec))),
	call(unix.SYS_TIMER_GETOVERRUN, "timer_getoverrun", "", at(0, dec)),
	call(unix.SYS_TIMER_DELETE, "timer_delete", "", at(0, dec)),
	call(unix.SYS_TIMERFD_CREATE, "timerfd_create", "desc", at(0, clockName), at(1, flagsOf(timerfdFlags))).givesFD(),
	call(unix.SYS_TIMERFD_SETTIME, "timerfd_settime", "desc", fd(0), at(1, flagsOf(timerfdTimes)), structIn(2, itimerSize, pair(timespec)), structOut(3, itimerSize, pair(timespec))),
	call(unix.SYS_TIMERFD_GETTIME, "timerfd_gettime", "desc", fd(0), structOut(1, itimerSize, pair(timespec))),
}

// tms prints struct tms.
func tms(p *Printer, _ *Input, b []byte) {
	p.format("{tms_utime=%s, tms_stime=%s, tms_cutime=%s, tms_cstime=%s}", p.ticks(word(b, 0, 8)), p.ticks(word(b, 8, 8)), p.ticks(word(b, 16, 8)), p.ticks(word(b, 24, 8)))
}
