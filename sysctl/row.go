package sysctl

import (
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Row is one file of /proc/sys.
type Row struct {
	// Name is the path below /proc/sys, such as "kernel/pid_max".
	Name string
	// Mode has the permission bits. The file belongs to root. No capability
	// overrides the mode: a file without write bits cannot be opened for writing.
	Mode uint32
	// Capability is the number of the capability that a write needs in addition,
	// or 0. Without it the write fails with EPERM.
	Capability uint8
	// Value formats and parses the contents.
	Value Value
}

// Value is the contents of a file of /proc/sys. Any goroutine may call the methods.
type Value interface {
	// Format returns the contents without the final newline.
	Format() string
	// Store handles one write(2) of text at a file offset. It returns how many
	// bytes it has used. Errors: EINVAL, and those of the value's owner.
	Store(text string, offset int64) (int, error)
}

// Integer is a Value that is one number (Linux: proc_dointvec_minmax).
type Integer struct {
	Get      func() int64
	Set      func(int64) error // nil for a file that is not writable
	Min, Max int64
	// Unsigned is set for an unsigned long: a negative number is accepted and has
	// no effect (Linux: proc_doulongvec_minmax).
	Unsigned bool
}

// Format implements Value.
func (i Integer) Format() string { return Integers{i}.Format() }

// Store implements Value.
func (i Integer) Store(text string, offset int64) (int, error) {
	return Integers{i}.Store(text, offset)
}

// Integers is a Value that is a list of numbers, separated by tabs.
type Integers []Integer

// Format implements Value.
func (v Integers) Format() string {
	var b strings.Builder
	for n, i := range v {
		if n > 0 {
			b.WriteByte('\t')
		}
		b.WriteString(strconv.FormatInt(i.Get(), 10))
	}
	return b.String()
}

// separators are the characters that may follow a number.
const separators = " \t\n"

// Store implements Value. It stores the numbers one by one, as many as there are in
// the text. An empty write, and one at an offset other than 0, have no effect (proc(5),
// /proc/sys/kernel/sysctl_writes_strict).
func (v Integers) Store(text string, offset int64) (int, error) {
	if offset != 0 || text == "" {
		return len(text), nil
	}
	rest, stored := skipSpaces(text), false
	for _, i := range v {
		if rest == "" {
			break
		}
		end := strings.IndexAny(rest, separators)
		if end < 0 {
			end = len(rest)
		}
		if err := i.store(rest[:end]); err != nil {
			return 0, err
		}
		rest, stored = skipSpaces(rest[end:]), true
	}
	if !stored {
		return 0, unix.EINVAL
	}
	return len(text) - len(rest), nil
}

func skipSpaces(text string) string { return strings.TrimLeft(text, " \t\n\v\f\r") }

// longestNumber is the length of a number in characters that is refused (Linux:
// TMPBUFLEN).
const longestNumber = 21

// store parses a number with the prefixes of C and stores it.
func (i *Integer) store(text string) error {
	digits, negative := strings.CutPrefix(text, "-")
	if digits == "" || len(text) >= longestNumber || digits[0] < '0' || digits[0] > '9' || strings.Contains(digits, "_") ||
		strings.HasPrefix(digits, "0b") || strings.HasPrefix(digits, "0o") {
		return unix.EINVAL
	}
	magnitude, err := strconv.ParseUint(digits, 0, 64)
	if err != nil {
		return unix.EINVAL
	}
	if negative && i.Unsigned {
		return nil
	}
	value := int64(min(magnitude, math.MaxInt64))
	if negative {
		value = -value
	}
	if value < i.Min || value > i.Max || i.Set == nil {
		return unix.EINVAL
	}
	return i.Set(value)
}

// String is a Value that is a line of text (Linux: proc_dostring).
type String struct {
	Get func() string
	Set func(string) error // nil for a file that is not writable
	Max int                // the greatest length in bytes
}

// Format implements Value.
func (s String) Format() string { return s.Get() }

// Store implements Value. The text ends at the first newline or NUL, and is cut at
// the greatest length. A write at an offset replaces the rest of the string from
// there on; an offset beyond the end has no effect.
func (s String) Store(text string, offset int64) (int, error) {
	if s.Set == nil {
		return 0, unix.EINVAL
	}
	kept := s.Get()
	if offset > int64(len(kept)) {
		return len(text), nil
	}
	line := text
	if end := strings.IndexAny(line, "\n\x00"); end >= 0 {
		line = line[:end]
	}
	value := kept[:offset] + line
	return len(text), s.Set(value[:min(len(value), s.Max)])
}

// Constant returns the row of a number that never changes.
func Constant(name string, value int64) Row {
	return Row{Name: name, Mode: 0o444, Value: Integer{Get: func() int64 { return value }}}
}

// ConstantText returns the row of a text that cannot be written. get is called for
// each read.
func ConstantText(name string, get func() string) Row {
	return Row{Name: name, Mode: 0o444, Value: String{Get: get}}
}

// Setting returns the row of an Int between two limits, which root may write.
func Setting(name string, i *Int, least, most int64) Row {
	return Row{Name: name, Mode: 0o644, Value: number(i, least, most)}
}

func number(i *Int, least, most int64) Integer {
	return Integer{Get: i.Get, Set: func(v int64) error { i.Set(v); return nil }, Min: least, Max: most}
}
