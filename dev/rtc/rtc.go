// Package rtc reads the date and time from a PC's MC146818 real-time clock (Motorola
// MC146818A data sheet). The century register is the one in the ACPI FADT of QEMU's
// machines.
package rtc

import (
	"errors"
	"time"
)

// Ports is x86 port I/O.
type Ports interface {
	// In8 reads a byte from a port (INB).
	In8(port uint16) uint8
	// Out8 writes a byte to a port (OUTB).
	Out8(port uint16, value uint8)
}

// The clock has an index port and a data port. The top bit of the index port disables
// NMIs; the driver leaves them enabled.
const (
	portIndex  = 0x70
	portData   = 0x71
	disableNMI = 1 << 7
)

// Registers.
const (
	regSeconds = 0x00
	regMinutes = 0x02
	regHours   = 0x04
	regDay     = 0x07
	regMonth   = 0x08
	regYear    = 0x09
	regStatusA = 0x0a
	regStatusB = 0x0b
	regCentury = 0x32
)

const (
	updateInProgress = 1 << 7 // in status A
	format24Hours    = 1 << 1 // in status B
	formatBinary     = 1 << 2 // in status B
	afternoon        = 1 << 7 // in the hours, in the 12-hour format
)

// ErrNoClock means that there is no clock or that its registers are not valid. QEMU's
// microvm, for example, can be started without a clock.
var ErrNoClock = errors.New("no real-time clock answers at port 0x70; start QEMU with its RTC, or expect the date to be 1970")

// reading has the values of the clock's registers.
type reading struct {
	seconds, minutes, hours, day, month, year, century uint8
}

// attempts is the maximum number of attempts to get a consistent reading. An update
// takes at most 2 ms, and a port read at least 1 µs.
const attempts = 10000

// Read returns the clock's time. QEMU's clock has UTC. Read may poll for several
// milliseconds; it does not sleep. Its only error is ErrNoClock.
func Read(ports Ports) (time.Time, error) {
	status := register(ports, regStatusB)
	if status == 0xff {
		return time.Time{}, ErrNoClock
	}
	for range attempts {
		first, ok := read(ports)
		if !ok {
			continue
		}
		if second, ok := read(ports); ok && first == second {
			return first.time(status)
		}
	}
	return time.Time{}, ErrNoClock
}

// register reads a register.
func register(ports Ports, number uint8) uint8 {
	ports.Out8(portIndex, number&^disableNMI)
	return ports.In8(portData)
}

// read reads the registers. ok is false if an update is in progress.
func read(ports Ports) (r reading, ok bool) {
	if register(ports, regStatusA)&updateInProgress != 0 {
		return reading{}, false
	}
	return reading{
		seconds: register(ports, regSeconds),
		minutes: register(ports, regMinutes),
		hours:   register(ports, regHours),
		day:     register(ports, regDay),
		month:   register(ports, regMonth),
		year:    register(ports, regYear),
		century: register(ports, regCentury),
	}, true
}

// time decodes a reading. Status B has the format.
func (r reading) time(status uint8) (time.Time, error) {
	pm := status&format24Hours == 0 && r.hours&afternoon != 0
	if status&format24Hours == 0 {
		r.hours &^= afternoon
	}
	if status&formatBinary == 0 {
		r = r.fromBCD()
	}
	hours := int(r.hours)
	if status&format24Hours == 0 {
		hours %= 12
		if pm {
			hours += 12
		}
	}
	if !r.valid() || hours > 23 {
		return time.Time{}, ErrNoClock
	}
	return time.Date(r.fullYear(), time.Month(r.month), int(r.day), hours, int(r.minutes), int(r.seconds), 0, time.UTC), nil
}

// fromBCD converts the fields from binary-coded decimal.
func (r reading) fromBCD() reading {
	for _, field := range []*uint8{&r.seconds, &r.minutes, &r.hours, &r.day, &r.month, &r.year, &r.century} {
		*field = *field>>4*10 + *field&15
	}
	return r
}

// valid reports whether the fields except the hours are in range. The clock does not
// show leap seconds.
func (r reading) valid() bool {
	return r.seconds < 60 && r.minutes < 60 && r.day >= 1 && r.day <= 31 && r.month >= 1 && r.month <= 12 && r.year < 100
}

// fullYear returns the year with the century. If the clock has no century register,
// which then reads as 0 or 0xff, the year is between 1970 and 2069.
func (r reading) fullYear() int {
	if r.century >= 19 && r.century <= 22 {
		return int(r.century)*100 + int(r.year)
	}
	if r.year < 70 {
		return 2000 + int(r.year)
	}
	return 1900 + int(r.year)
}
