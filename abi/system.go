package abi

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

// Timezone is struct timezone (gettimeofday(2), linux/time.h).
type Timezone struct {
	MinutesWest, DSTTime int32
}
