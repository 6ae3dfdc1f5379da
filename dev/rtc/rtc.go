// Package rtc reads the date and time from the MC146818 real-time clock that
// every PC has (Motorola MC146818A data sheet; the century register is the
// one that ACPI's FADT names on QEMU's machines).
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

// The clock is behind an index and a data port.
const (
	portIndex = 0x70
	portData  = 0x71
	// disableNMI is in the index port's top bit; the kernel leaves NMI on.
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
	updateInProgress = 1 << 7 // of status A
	format24Hours    = 1 << 1 // of status B
	formatBinary     = 1 << 2 // of status B
	afternoon        = 1 << 7 // of the hours, in the format of 12 hours
)

// ErrNoClock is returned when nothing that behaves like a clock answers; the
// microvm machine, for one, can be started without one.
var ErrNoClock = errors.New("no real-time clock answers at port 0x70; start QEMU with its RTC, or expect the date to be 1970")

// reading holds the registers of one look at the clock.
type reading struct {
	seconds, minutes, hours, day, month, year, century uint8
}

// attempts bounds the tries to get a consistent reading. An update takes at
// most 2 ms, and one port read at least a microsecond.
const attempts = 10000

// Read returns the clock's time, which QEMU keeps in UTC. It polls for up to
// some milliseconds and does not sleep.
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

// register reads one register.
func register(ports Ports, number uint8) uint8 {
	ports.Out8(portIndex, number&^disableNMI)
	return ports.In8(portData)
}

// read takes one look; it is not ok while the clock is being updated.
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

// time decodes a reading in the format that status B gives.
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

// fromBCD turns two decimal digits a byte into numbers.
func (r reading) fromBCD() reading {
	for _, field := range []*uint8{&r.seconds, &r.minutes, &r.hours, &r.day, &r.month, &r.year, &r.century} {
		*field = *field>>4*10 + *field&15
	}
	return r
}

// valid reports whether the fields are in range. A leap second is not shown.
func (r reading) valid() bool {
	return r.seconds < 60 && r.minutes < 60 && r.day >= 1 && r.day <= 31 && r.month >= 1 && r.month <= 12 && r.year < 100
}

// fullYear adds the century. A clock without that register shows 0 or 0xff
// there, and is taken to live between 1970 and 2069.
func (r reading) fullYear() int {
	if r.century >= 19 && r.century <= 22 {
		return int(r.century)*100 + int(r.year)
	}
	if r.year < 70 {
		return 2000 + int(r.year)
	}
	return 1900 + int(r.year)
}
