package compat

import "golang.org/x/sys/unix"

// Timespec is struct old_timespec32 (linux/time32.h).
type Timespec struct{ Sec, Nsec int32 }

// Wide returns the value as a struct timespec.
func (v Timespec) Wide() unix.Timespec {
	return unix.Timespec{Sec: int64(v.Sec), Nsec: int64(v.Nsec)}
}

// NarrowTimespec is the inverse of Wide; it cuts the seconds off, as Linux does.
func NarrowTimespec(v unix.Timespec) Timespec { return Timespec{int32(v.Sec), int32(v.Nsec)} }

// Timeval is struct old_timeval32 (linux/time32.h).
type Timeval struct{ Sec, Usec int32 }

// Wide returns the value as a struct timeval.
func (v Timeval) Wide() unix.Timeval { return unix.Timeval{Sec: int64(v.Sec), Usec: int64(v.Usec)} }

// NarrowTimeval is the inverse of Wide.
func NarrowTimeval(v unix.Timeval) Timeval { return Timeval{int32(v.Sec), int32(v.Usec)} }

// Utimbuf is struct old_utimbuf32 (linux/time32.h).
type Utimbuf struct{ Actime, Modtime int32 }

// Tms is struct compat_tms (linux/compat.h).
type Tms struct{ Utime, Stime, Cutime, Cstime int32 }

// Rusage is struct compat_rusage (linux/compat.h).
type Rusage struct {
	Utime, Stime                            Timeval
	Maxrss, Ixrss, Idrss, Isrss             int32
	Minflt, Majflt, Nswap, Inblock, Oublock int32
	Msgsnd, Msgrcv, Nsignals, Nvcsw, Nivcsw int32
}

// Rlimit is struct compat_rlimit (linux/compat.h).
type Rlimit struct{ Cur, Max uint32 }

// Sigevent is struct compat_sigevent (linux/compat.h). Of its union it has the thread of
// SIGEV_THREAD_ID.
type Sigevent struct {
	Value         uint32
	Signo, Notify int32
	TID           int32
	Pad           [12]int32
}

// Timex is struct old_timex32 (linux/time32.h).
type Timex struct {
	Modes                                  uint32
	Offset, Freq, Maxerror, Esterror       int32
	Status                                 int32
	Constant, Precision, Tolerance         int32
	Time                                   Timeval
	Tick, Ppsfreq, Jitter                  int32
	Shift                                  int32
	Stabil, Jitcnt, Calcnt, Errcnt, Stbcnt int32
	Tai                                    int32
	Pad                                    [11]int32
}

// Wide returns the values as a struct timex.
func (v Timex) Wide() unix.Timex {
	return unix.Timex{
		Modes: v.Modes, Offset: int64(v.Offset), Freq: int64(v.Freq), Maxerror: int64(v.Maxerror), Esterror: int64(v.Esterror),
		Status: v.Status, Constant: int64(v.Constant), Precision: int64(v.Precision), Tolerance: int64(v.Tolerance),
		Time: v.Time.Wide(), Tick: int64(v.Tick), Ppsfreq: int64(v.Ppsfreq), Jitter: int64(v.Jitter), Shift: v.Shift,
		Stabil: int64(v.Stabil), Jitcnt: int64(v.Jitcnt), Calcnt: int64(v.Calcnt), Errcnt: int64(v.Errcnt),
		Stbcnt: int64(v.Stbcnt), Tai: v.Tai,
	}
}

// NarrowTimex is the inverse of Wide; it cuts values off, as Linux does.
func NarrowTimex(v unix.Timex) Timex {
	return Timex{
		Modes: v.Modes, Offset: int32(v.Offset), Freq: int32(v.Freq), Maxerror: int32(v.Maxerror), Esterror: int32(v.Esterror),
		Status: v.Status, Constant: int32(v.Constant), Precision: int32(v.Precision), Tolerance: int32(v.Tolerance),
		Time: NarrowTimeval(v.Time), Tick: int32(v.Tick), Ppsfreq: int32(v.Ppsfreq), Jitter: int32(v.Jitter), Shift: v.Shift,
		Stabil: int32(v.Stabil), Jitcnt: int32(v.Jitcnt), Calcnt: int32(v.Calcnt), Errcnt: int32(v.Errcnt),
		Stbcnt: int32(v.Stbcnt), Tai: v.Tai,
	}
}
