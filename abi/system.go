package abi

import "golang.org/x/sys/unix"

// Sysinfo is struct sysinfo (sysinfo(2), linux/sysinfo.h).
type Sysinfo struct {
	Uptime              int64
	Loads               [3]uint64
	TotalRAM, FreeRAM   uint64
	SharedRAM           uint64
	BufferRAM           uint64
	TotalSwap, FreeSwap uint64
	Procs               uint16
	Pad                 uint16
	Pad1                uint32
	TotalHigh, FreeHigh uint64
	MemUnit             uint32
	Pad2                uint32
}

// Timex is struct __kernel_timex (adjtimex(2), linux/timex.h), of 64-bit programs and of
// clock_adjtime64.
type Timex struct {
	Modes                                  int32
	Pad0                                   int32
	Offset, Freq, Maxerror, Esterror       int64
	Status                                 int32
	Pad1                                   int32
	Constant, Precision, Tolerance         int64
	Sec, Usec                              int64
	Tick, Ppsfreq, Jitter                  int64
	Shift                                  int32
	Pad2                                   int32
	Stabil, Jitcnt, Calcnt, Errcnt, Stbcnt int64
	Tai                                    int32
	Pad3                                   [11]int32
}

// Values returns the values as package unix has them.
func (v *Timex) Values() unix.Timex {
	return unix.Timex{
		Modes: uint32(v.Modes), Offset: v.Offset, Freq: v.Freq, Maxerror: v.Maxerror, Esterror: v.Esterror, Status: v.Status,
		Constant: v.Constant, Precision: v.Precision, Tolerance: v.Tolerance, Time: unix.Timeval{Sec: v.Sec, Usec: v.Usec},
		Tick: v.Tick, Ppsfreq: v.Ppsfreq, Jitter: v.Jitter, Shift: v.Shift, Stabil: v.Stabil, Jitcnt: v.Jitcnt,
		Calcnt: v.Calcnt, Errcnt: v.Errcnt, Stbcnt: v.Stbcnt, Tai: v.Tai,
	}
}

// Set sets the values, and leaves the padding.
func (v *Timex) Set(x *unix.Timex) {
	*v = Timex{
		Modes: int32(x.Modes), Offset: x.Offset, Freq: x.Freq, Maxerror: x.Maxerror, Esterror: x.Esterror, Status: x.Status,
		Constant: x.Constant, Precision: x.Precision, Tolerance: x.Tolerance, Sec: x.Time.Sec, Usec: x.Time.Usec,
		Tick: x.Tick, Ppsfreq: x.Ppsfreq, Jitter: x.Jitter, Shift: x.Shift, Stabil: x.Stabil, Jitcnt: x.Jitcnt,
		Calcnt: x.Calcnt, Errcnt: x.Errcnt, Stbcnt: x.Stbcnt, Tai: x.Tai,
		Pad0: v.Pad0, Pad1: v.Pad1, Pad2: v.Pad2, Pad3: v.Pad3,
	}
}

// Timezone is struct timezone (gettimeofday(2), linux/time.h).
type Timezone struct {
	MinutesWest, DSTTime int32
}
