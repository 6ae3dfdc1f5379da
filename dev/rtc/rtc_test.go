package rtc

import (
	"errors"
	"testing"
	"time"
)

// chip simulates the clock.
type chip struct {
	index     uint8
	registers map[uint8]uint8
	updating  int           // the number of further reads of status A that show an update
	onUpdate  func(c *chip) // called at the end of the update
}

func (c *chip) Out8(port uint16, v uint8) {
	if port == portIndex {
		c.index = v
	}
}

func (c *chip) In8(port uint16) uint8 {
	if c.index == regStatusA && c.updating > 0 {
		if c.updating--; c.updating == 0 && c.onUpdate != nil {
			c.onUpdate(c)
		}
		return updateInProgress
	}
	return c.registers[c.index]
}

// at returns registers with the given values.
func at(seconds, minutes, hours, day, month, year, century, status uint8) map[uint8]uint8 {
	return map[uint8]uint8{
		regSeconds: seconds, regMinutes: minutes, regHours: hours, regDay: day, regMonth: month, regYear: year,
		regCentury: century, regStatusB: status,
	}
}

func TestAllFormatsAreDecoded(t *testing.T) {
	afternoonTime := time.Date(2026, 11, 22, 18, 5, 59, 0, time.UTC)
	for name, c := range map[string]struct {
		registers map[uint8]uint8
		want      time.Time
	}{
		"BCD, 24 hours":    {at(0x59, 0x05, 0x18, 0x22, 0x11, 0x26, 0x20, format24Hours), afternoonTime},
		"binary, 24 hours": {at(59, 5, 18, 22, 11, 26, 20, format24Hours|formatBinary), afternoonTime},
		"BCD, 12 hours":    {at(0x59, 0x05, 0x06|afternoon, 0x22, 0x11, 0x26, 0x20, 0), afternoonTime},
		"binary, 12 hours": {at(59, 5, 6|afternoon, 22, 11, 26, 20, formatBinary), afternoonTime},
		"midnight":         {at(0, 0, 0x12, 1, 1, 0x26, 0x20, 0), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
		"noon":             {at(0, 0, 0x12|afternoon, 1, 1, 0x26, 0x20, 0), time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)},
		"no century, new":  {at(0, 0, 0, 1, 1, 0x26, 0, format24Hours), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
		"no century, old":  {at(0, 0, 0, 1, 1, 0x70, 0xff, format24Hours), time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)},
		"another century":  {at(0, 0, 0, 1, 1, 0x99, 0x19, format24Hours), time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read(&chip{registers: c.registers})
			if err != nil || !got.Equal(c.want) {
				t.Errorf("got %v, %v; want %v", got, err, c.want)
			}
		})
	}
}

func TestReadWaitsForEndOfUpdate(t *testing.T) {
	c := &chip{registers: at(59, 59, 23, 31, 12, 25, 20, format24Hours|formatBinary), updating: 7}
	c.onUpdate = func(c *chip) { c.registers = at(0, 0, 0, 1, 1, 26, 20, format24Hours|formatBinary) }
	got, err := Read(c)
	if want := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); err != nil || !got.Equal(want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

func TestInvalidRegistersAreRefused(t *testing.T) {
	for name, c := range map[string]*chip{
		"none":             {registers: map[uint8]uint8{regStatusB: 0xff}},
		"always updating":  {registers: at(0, 0, 0, 1, 1, 26, 20, formatBinary), updating: 1 << 40},
		"month 13":         {registers: at(0, 0, 0, 1, 13, 26, 20, format24Hours|formatBinary)},
		"hour 25":          {registers: at(0, 0, 25, 1, 1, 26, 20, format24Hours|formatBinary)},
		"never set":        {registers: at(0, 0, 0, 0, 0, 0, 0, format24Hours|formatBinary)},
		"BCD digits wrong": {registers: at(0x7f, 0, 0, 1, 1, 26, 20, format24Hours)},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Read(c); !errors.Is(err, ErrNoClock) {
				t.Errorf("got %v, %v; want ErrNoClock", got, err)
			}
		})
	}
}
