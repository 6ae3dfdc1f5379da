// Package unwind finds the callers of a function: from the registers and the bytes of the
// stack that a hit has sent, by the call frame information of the object files, or by frame
// pointers.
package unwind

import (
	"fmt"
	"path"
	"strings"

	"slowpath/probe/frames"
	"slowpath/probe/symbols"
	"slowpath/probe/values"
)

// Opener opens the object files of the guest.
type Opener interface {
	// Open returns the object file at a path of the guest.
	Open(name string) (*symbols.Object, error)
}

// Frame is a frame of the stack.
type Frame struct {
	// Address is the instruction in the process.
	Address uint64
	// Function is the name of the function, empty if it is unknown, and Offset the number
	// of bytes from its beginning.
	Function string
	Offset   uint64
	// Module is the path of the object file.
	Module string
	// File and Line are the source line, empty if it is unknown.
	File string
	Line int
}

// String returns the frame as text.
func (f Frame) String() string {
	var b strings.Builder
	switch {
	case f.Function != "":
		fmt.Fprintf(&b, "%s+%#x", f.Function, f.Offset)
	case f.Module != "":
		fmt.Fprintf(&b, "%#x", f.Address)
	default:
		return fmt.Sprintf("%#x", f.Address)
	}
	if f.File != "" {
		fmt.Fprintf(&b, " (%s:%d)", f.File, f.Line)
	} else if f.Module != "" {
		fmt.Fprintf(&b, " (%s)", path.Base(f.Module))
	}
	return b.String()
}

// mapping is an executable mapping of a file.
type mapping struct {
	start, end, offset uint64
	path               string
}

// module is an object file.
type module struct {
	object *symbols.Object
	frames *frames.Table
}

// Unwinder unwinds the stacks of processes. One goroutine may use it at a time.
type Unwinder struct {
	opener   Opener
	mappings map[uint32][]mapping // by process
	modules  map[string]*module   // by path; nil for a file that cannot be read
}

// New returns an unwinder that knows no process.
func New(o Opener) *Unwinder {
	return &Unwinder{opener: o, mappings: map[uint32][]mapping{}, modules: map[string]*module{}}
}

// maxProcesses is the number of processes whose mappings are kept.
const maxProcesses = 4096

// Map sets the mappings of a process, in the format of probespec.
func (u *Unwinder) Map(process uint32, maps []byte) {
	var list []mapping
	for line := range strings.Lines(string(maps)) {
		var m mapping
		var permissions string
		line = strings.TrimSuffix(line, "\n")
		if n, _ := fmt.Sscanf(line, "%x-%x %s %x", &m.start, &m.end, &permissions, &m.offset); n != 4 {
			continue
		}
		if parts := strings.SplitN(line, " ", 4); len(parts) == 4 {
			m.path = strings.TrimSuffix(parts[3], " (deleted)")
		}
		list = append(list, m)
	}
	if len(u.mappings) >= maxProcesses {
		clear(u.mappings)
	}
	u.mappings[process] = list
}

// module returns the object file at a path, or nil.
func (u *Unwinder) module(name string) *module {
	m, known := u.modules[name]
	if known {
		return m
	}
	if object, err := u.opener.Open(name); err == nil {
		m = &module{object: object, frames: values.Frames(object)}
	}
	u.modules[name] = m
	return m
}

// place is an address in an object file.
type place struct {
	module  *module
	path    string
	address uint64 // in the file
}

// find returns the place of an address of a process.
func (u *Unwinder) find(process uint32, address uint64) (place, bool) {
	for _, m := range u.mappings[process] {
		if address < m.start || address >= m.end {
			continue
		}
		loaded := u.module(m.path)
		if loaded == nil {
			return place{path: m.path}, true
		}
		at, ok := loaded.object.Address(address - m.start + m.offset)
		if !ok {
			return place{path: m.path}, true
		}
		return place{loaded, m.path, at}, true
	}
	return place{}, false
}

// describe returns the frame of an instruction. lookup is the address to look up: that of
// the call instruction for a caller, whose return address may belong to the next line or
// the next function.
func describe(p place, address, lookup uint64) Frame {
	f := Frame{Address: address, Module: p.path}
	if p.module == nil {
		return f
	}
	if function := p.module.object.FunctionAt(lookup); function != nil {
		f.Function, f.Offset = function.Name(), p.address-function.Address
	}
	f.File, f.Line = p.module.object.Line(lookup)
	return f
}
