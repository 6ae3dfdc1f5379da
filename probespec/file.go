// Package probespec is what the host command and the kernel say to each other about probes.
//
// The host command puts the probe file into the initramfs, beside the run file of package
// runspec. It has one line for each object file, each list of fetch arguments and each
// probe:
//
//	slowpath-probes 1
//	file "/usr/bin/program"
//	arguments [{"Name":"x", ...}]
//	probe 7 0 4096 entry required 0 0
//	end
//
// A probe has its number, the number of its file, the file offset, what it is at, whether
// the program may run without it, the number of its list of arguments, and the number of bytes of the stack to send. Lists and files
// are numbered from 0. Many probes share a list.
//
// The kernel adds the probes before the program's first instruction, and sends records: see
// Encoder.
package probespec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"slowpath/uprobe/fetch"
)

// Path is the path of the probe file in the initramfs. The kernel removes it before the
// program starts.
const Path = "/.slowpath/probes"

// Limits of the file.
const (
	MaxFile   = 64 << 20
	MaxProbes = 1 << 20
)

// MaxStack is the maximum number of bytes of the stack that a record has.
const MaxStack = 16 << 10

// MaxValues is the maximum size of the fetched values of a hit in bytes.
const MaxValues = 16 << 10

// Probe is one probe.
type Probe struct {
	// ID is the number that the records have.
	ID uint32
	// File is the index of the object file in Spec.Files.
	File int
	// Offset is the file offset of the instruction, or of the function for a return.
	Offset uint64
	// Return is true for a probe on the return of a function.
	Return bool
	// Optional is true if the program runs even if the probe cannot be set.
	Optional bool
	// Arguments is the index in Spec.Lists.
	Arguments int
	// Stack is the number of bytes of the stack to send, 0 for none.
	Stack int
}

// Spec is the content of the probe file.
type Spec struct {
	Files  []string // paths in the guest
	Lists  [][]fetch.Argument
	Probes []Probe
}

// The first and the last line of the file.
const (
	firstLine = "slowpath-probes 1"
	lastLine  = "end"
)

// points are the names of what a probe is at.
var points = map[bool]string{false: "entry", true: "return"}

// needs are the names of whether a probe is optional.
var needs = map[bool]string{false: "required", true: "optional"}

// Marshal returns the text of the probe file.
func (s *Spec) Marshal() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	text := []byte(firstLine + "\n")
	for _, name := range s.Files {
		text = append(strconv.AppendQuote(append(text, "file "...), name), '\n')
	}
	for _, list := range s.Lists {
		encoded, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		text = append(append(append(text, "arguments "...), encoded...), '\n')
	}
	for i := range s.Probes {
		p := &s.Probes[i]
		text = fmt.Appendf(text, "probe %d %d %d %s %s %d %d\n", p.ID, p.File, p.Offset, points[p.Return], needs[p.Optional], p.Arguments, p.Stack)
	}
	text = append(text, lastLine+"\n"...)
	if len(text) > MaxFile {
		return nil, fmt.Errorf("the probes take %d bytes, more than %d; use fewer probes", len(text), MaxFile)
	}
	return text, nil
}

// Parse parses a probe file. Its errors have the line number.
func Parse(text []byte) (*Spec, error) {
	if len(text) > MaxFile {
		return nil, fmt.Errorf("the probe file has %d bytes, more than %d", len(text), MaxFile)
	}
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	if string(first) != firstLine {
		return nil, fmt.Errorf("the probe file starts with %.40q instead of %q; build kernel and host command from the same source", first, firstLine)
	}
	s := new(Spec)
	for number := 2; ; number++ {
		line, after, found := bytes.Cut(rest, []byte("\n"))
		if !found {
			return nil, fmt.Errorf("the probe file is cut short in line %d", number)
		}
		if string(line) == lastLine {
			return s, s.check()
		}
		if err := s.setLine(string(line)); err != nil {
			return nil, fmt.Errorf("line %d of the probe file: %w", number, err)
		}
		rest = after
	}
}

func (s *Spec) setLine(line string) error {
	key, value, _ := strings.Cut(line, " ")
	switch key {
	case "file":
		name, err := strconv.Unquote(value)
		if err != nil {
			return errors.New("the path is not quoted")
		}
		s.Files = append(s.Files, name)
	case "arguments":
		var list []fetch.Argument
		if err := json.Unmarshal([]byte(value), &list); err != nil {
			return err
		}
		s.Lists = append(s.Lists, list)
	case "probe":
		return s.setProbe(value)
	default:
		return fmt.Errorf("the keyword %q is unknown", key)
	}
	return nil
}

func (s *Spec) setProbe(value string) error {
	words := strings.Split(value, " ")
	const count = 7
	if len(words) != count || !named(points, words[3]) || !named(needs, words[4]) {
		return fmt.Errorf("%q is no probe", value)
	}
	var numbers [count]uint64
	for i, bits := range [count]int{32, 31, 63, 0, 0, 31, 31} {
		if bits == 0 {
			continue
		}
		n, err := strconv.ParseUint(words[i], 10, bits)
		if err != nil {
			return err
		}
		numbers[i] = n
	}
	s.Probes = append(s.Probes, Probe{
		ID: uint32(numbers[0]), File: int(numbers[1]), Offset: numbers[2], Return: words[3] == points[true],
		Optional: words[4] == needs[true], Arguments: int(numbers[5]), Stack: int(numbers[6]),
	})
	return nil
}

// named reports whether a word is one of the two names.
func named(names map[bool]string, word string) bool {
	return word == names[false] || word == names[true]
}

// check checks that the numbers are those of files and lists, and what the kernel
// allocates for a hit.
func (s *Spec) check() error {
	if len(s.Probes) > MaxProbes {
		return fmt.Errorf("there are %d probes, more than %d; use a narrower pattern", len(s.Probes), MaxProbes)
	}
	for i := range s.Probes {
		p := &s.Probes[i]
		if p.File < 0 || p.File >= len(s.Files) || p.Arguments < 0 || p.Arguments >= len(s.Lists) || p.Stack < 0 || p.Stack > MaxStack {
			return fmt.Errorf("probe %d names a file, a list of arguments or a stack that does not exist", p.ID)
		}
	}
	for i, list := range s.Lists {
		size := 0
		for j := range list {
			if err := checkArgument(&list[j]); err != nil {
				return fmt.Errorf("list %d: %w", i, err)
			}
			size += list[j].FixedSize()
		}
		if size > MaxValues {
			return fmt.Errorf("list %d takes %d bytes, more than %d", i, size, MaxValues)
		}
	}
	return nil
}

// checkArgument checks the sizes of an argument.
func checkArgument(a *fetch.Argument) error {
	sizeWrong := a.Kind == fetch.Integer && a.Size != 1 && a.Size != 2 && a.Size != 4 && a.Size != 8
	if sizeWrong || a.Kind > fetch.Bytes || a.Count < 0 || a.Count > 64 || a.Max < 0 || a.Max > MaxValues || a.Unit < 0 || a.Unit > MaxValues ||
		a.BitSize < 0 || a.BitOffset < 0 || a.BitSize+a.BitOffset > 64 {
		return fmt.Errorf("the argument %q has a size that is not possible", a.Name)
	}
	return nil
}

// FixedSize returns the number of bytes of the fixed part of a list's values.
func FixedSize(list []fetch.Argument) (size int) {
	for i := range list {
		size += list[i].FixedSize()
	}
	return size
}

// Fetch evaluates a list at a hit and appends the values to dst[:0]: fixed parts, then the
// data of strings and ranges. A string has at most Max bytes. It may sleep.
func Fetch(list []fetch.Argument, h *fetch.Hit, dst []byte) []byte {
	size := FixedSize(list)
	if cap(dst) < size {
		dst = make([]byte, size, MaxValues)
	}
	dst = dst[:size]
	clear(dst)
	at := 0
	for i := range list {
		a := &list[i]
		limit := MaxValues
		if a.Max > 0 {
			limit = min(limit, len(dst)+a.Max)
		}
		dst = a.Fetch(h, dst, at, limit)
		at += a.FixedSize()
	}
	return dst
}
