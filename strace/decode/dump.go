package decode

import (
	"fmt"

	"slowpath/tracespec"
)

// dumper says which data of a call -e read= and -e write= dump.
type dumper struct {
	read bool
	kind dumpKind
}

type dumpKind uint8

const (
	dumpBuffer  dumpKind = iota // argument 1; its length is argument 2, or the result
	dumpVectors                 // the iovecs of argument 1, argument 2 of them
	dumpMessage                 // the iovecs of the struct msghdr at argument 1
)

// dumpers are the calls whose data is dumped. The descriptor is argument 0.
var dumpers = map[string]*dumper{
	"write": {false, dumpBuffer}, "pwrite64": {false, dumpBuffer}, "sendto": {false, dumpBuffer}, "mq_timedsend": {false, dumpBuffer},
	"writev": {false, dumpVectors}, "pwritev": {false, dumpVectors}, "pwritev2": {false, dumpVectors}, "vmsplice": {false, dumpVectors},
	"sendmsg": {false, dumpMessage},
	"read":    {true, dumpBuffer}, "pread64": {true, dumpBuffer}, "recvfrom": {true, dumpBuffer}, "mq_timedreceive": {true, dumpBuffer},
	"readv": {true, dumpVectors}, "preadv": {true, dumpVectors}, "preadv2": {true, dumpVectors},
	"recvmsg": {true, dumpMessage},
}

// unlimited is a total of bytes that limits nothing.
const unlimited = 1 << 62

// ops returns what is captured in addition.
func (d *dumper) ops() []tracespec.Op {
	total := constant(unlimited)
	if d.read {
		total = result()
	}
	vectors := func(at, count tracespec.Value, op int) []tracespec.Op {
		return []tracespec.Op{
			{Kind: tracespec.Prefix, Address: at, Count: count, Unit: 16, Max: tracespec.MaxBytes},
			{Kind: tracespec.Vector, Address: captured(op, 0, 8), Count: total, Unit: 16, Max: tracespec.MaxBytes},
		}
	}
	switch d.kind {
	case dumpVectors:
		return vectors(argument(1), argument(2), 0)
	case dumpMessage:
		return append([]tracespec.Op{fixed(argument(1), msghdrSize)}, vectors(captured(0, 16, 8), captured(0, 24, 8), 1)...)
	}
	if !d.read {
		total = argument(2)
	}
	return []tracespec.Op{{Kind: tracespec.Prefix, Address: argument(1), Count: total, Unit: 1, Max: tracespec.MaxBytes}}
}

// addDump adds what Dump prints to the plan of a call.
func (s *Syscall) addDump() {
	d := dumpers[s.Name]
	if d == nil {
		return
	}
	set, ops := &s.options.Writes, &s.Plan.Entry
	if d.read {
		set, ops = &s.options.Reads, &s.Plan.Exit
	}
	if set.Empty() {
		return
	}
	all := d.ops()
	for i := range all {
		all[i].When = tracespec.Guard{Success: d.read, Argument: 0, Mask: 1<<32 - 1, Values: set.List, Except: set.Except}
	}
	s.dump, s.dumps = d, addOps(ops, all, Options{})
}

// Dump returns the lines that show the data of a call that has ended (-e read=, -e write=).
// Of a buffer only the first tracespec.MaxBytes bytes are shown.
func (s *Syscall) Dump(c *Call) (lines []string) {
	if s.dump == nil || s.dump.read && c.Failed() {
		return nil
	}
	list := c.entry
	if s.dump.read {
		list = c.exit
	}
	captures := pick(list, s.dumps)
	if s.dump.kind == dumpBuffer {
		length := c.Arguments[2]
		if s.dump.read {
			length = uint64(c.Result)
		}
		return dumpLines(captures[0], length)
	}
	left := uint64(unlimited)
	if s.dump.read {
		left = uint64(c.Result)
	}
	vectors := captures[len(captures)-2]
	for i, data := range tracespec.SplitVector(captures[len(captures)-1]) {
		length := min(word(vectors, 16*i+8, 8), left)
		left -= length
		if length == 0 {
			break
		}
		lines = append(lines, fmt.Sprintf(" * %d bytes in buffer %d", length, i))
		lines = append(lines, dumpLines(data, length)...)
	}
	return lines
}

// dumpLines shows bytes in hexadecimal and as characters. length is how many the program
// has given.
func dumpLines(b []byte, length uint64) (lines []string) {
	const perLine = 16
	for at := 0; at < len(b); at += perLine {
		line := fmt.Sprintf(" | %05x  ", at)
		part := b[at:min(at+perLine, len(b))]
		for i := range perLine {
			if i < len(part) {
				line += fmt.Sprintf("%02x ", part[i])
			} else {
				line += "   "
			}
			if i%8 == 7 {
				line += " "
			}
		}
		for i := range perLine {
			switch {
			case i >= len(part):
				line += " "
			case part[i] < ' ' || part[i] > '~':
				line += "."
			default:
				line += string(rune(part[i]))
			}
		}
		lines = append(lines, line+" |")
	}
	if rest := length - min(length, uint64(len(b))); rest > 0 && len(b) > 0 {
		lines = append(lines, fmt.Sprintf(" | <%d more bytes were not captured>", rest))
	}
	return lines
}
