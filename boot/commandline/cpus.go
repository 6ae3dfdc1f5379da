package commandline

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// CPUs is a set of CPUs, one bit each. It may have CPUs that do not exist.
type CPUs uint64

// maxCPUs is the number of CPUs that a set can have.
const maxCPUs = 64

// parse parses a list of CPUs (Linux, Documentation/admin-guide/kernel-parameters.rst): numbers,
// ranges such as 1-3, and parts of ranges such as 0-31:2/8, the first two of each eight. N stands
// for the greatest number, all for all CPUs.
func (c *CPUs) parse(list string) error {
	var set CPUs
	for part := range strings.SplitSeq(list, ",") {
		one, err := parseRange(part)
		if err != nil {
			return err
		}
		set |= one
	}
	*c |= set
	return nil
}

// errList is the error of a list that is malformed.
var errList = fmt.Errorf("give a list of CPUs from 0 to %d, such as 1-3,5", maxCPUs-1)

func parseRange(text string) (CPUs, error) {
	if text == "all" {
		return ^CPUs(0), nil
	}
	text, groups, grouped := strings.Cut(text, ":")
	from, to, ranged := strings.Cut(text, "-")
	if !ranged {
		to = from
	}
	first, err := parseCPU(from)
	if err != nil {
		return 0, err
	}
	last, err := parseCPU(to)
	if err != nil || last < first {
		return 0, errList
	}
	used, size := 1, 1
	if grouped {
		if used, size, err = parseGroups(groups); err != nil || !ranged {
			return 0, errList
		}
	}
	var set CPUs
	for cpu := first; cpu <= last; cpu++ {
		if (cpu-first)%size < used {
			set |= 1 << cpu
		}
	}
	return set, nil
}

// parseGroups parses used/size.
func parseGroups(text string) (used, size int, err error) {
	left, right, _ := strings.Cut(text, "/")
	if used, err = parseNumber(left); err != nil {
		return 0, 0, err
	}
	if size, err = parseNumber(right); err != nil || used < 1 || used > size {
		return 0, 0, errList
	}
	return used, size, nil
}

// parseCPU parses the number of a CPU.
func parseCPU(text string) (int, error) {
	if text == "N" {
		return maxCPUs - 1, nil
	}
	n, err := parseNumber(text)
	if err != nil || n >= maxCPUs {
		return 0, errList
	}
	return n, nil
}

func parseNumber(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, errList
	}
	return int(n), nil
}

// String returns the set as a list, such as 1-3,5.
func (c CPUs) String() string {
	var parts []string
	for first := 0; first < maxCPUs; first++ {
		if c>>first&1 == 0 {
			continue
		}
		last := first + bits.TrailingZeros64(^(uint64(c) >> first)) - 1
		part := strconv.Itoa(first)
		if last > first {
			part += "-" + strconv.Itoa(last)
		}
		parts = append(parts, part)
		first = last
	}
	return strings.Join(parts, ",")
}

// Of returns the CPUs of the set that a machine with so many CPUs has, without the first one,
// which always serves the kernel's own work.
func (c CPUs) Of(count int) uint64 { return uint64(c) & (1<<count - 1) &^ 1 }

// isolationFlags are the flags of isolcpus=, with the set that each adds CPUs to. Devices
// interrupt the first CPU only, so managed_irq adds nothing.
var isolationFlags = map[string]func(o *Options) *CPUs{
	"domain":      func(o *Options) *CPUs { return &o.Isolated },
	"nohz":        func(o *Options) *CPUs { return &o.NoHZ },
	"managed_irq": nil,
}

// setIsolated parses isolcpus=: flags, and a list of CPUs. The flag domain, which is the default,
// keeps tasks off the CPUs; nohz is nohz_full=.
func setIsolated(o *Options, v string) error {
	var sets []*CPUs
	flagged := false
	for {
		word, rest, _ := strings.Cut(v, ",")
		set, known := isolationFlags[word]
		if !known {
			break
		}
		flagged, v = true, rest
		if set != nil {
			sets = append(sets, set(o))
		}
	}
	if !flagged {
		sets = append(sets, &o.Isolated)
	}
	var list CPUs
	if err := list.parse(v); err != nil {
		return err
	}
	for _, set := range sets {
		*set |= list
	}
	return nil
}
