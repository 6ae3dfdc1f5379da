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
