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
	// Inlined is true for a function that is inlined into that of the next frame. Both
	// frames have the same address.
	Inlined bool
	// Module is the path of the object file, and FileAddress the address in it.
	Module      string
	FileAddress uint64
	// File and Line are the source line, empty if it is unknown.
	File string
	Line int
}

// String returns the frame as text.
func (f Frame) String() string {
	var b strings.Builder
	switch {
	case f.Module == "":
		return fmt.Sprintf("%#x", f.Address)
	case f.Function == "":
		return fmt.Sprintf("%#x (%s+%#x)", f.Address, path.Base(f.Module), f.FileAddress)
	}
	b.WriteString(f.Function)
	if f.Inlined {
		b.WriteString(" inlined")
	} else {
		fmt.Fprintf(&b, "+%#x", f.Offset)
	}
	if f.File != "" {
		fmt.Fprintf(&b, " (%s:%d)", f.File, f.Line)
	} else {
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
	calls    map[place][]symbols.Call
}

// New returns an unwinder that knows no process.
func New(o Opener) *Unwinder {
	return &Unwinder{opener: o, mappings: map[uint32][]mapping{}, modules: map[string]*module{}, calls: map[place][]symbols.Call{}}
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

// maxCalls is the number of addresses whose functions are kept.
const maxCalls = 1 << 16

// callsAt returns the functions that have an address of an object file.
func (u *Unwinder) callsAt(p place, address uint64) []symbols.Call {
	key := place{p.module, p.path, address}
	known, ok := u.calls[key]
	if !ok {
		if len(u.calls) >= maxCalls {
			clear(u.calls)
		}
		known = p.module.object.Calls(address)
		u.calls[key] = known
	}
	return known
}

// describe appends the frames of an instruction. lookup is the address to look up: that of
// the call instruction for a caller, whose return address may belong to the next line or
// the next function.
func (u *Unwinder) describe(all []Frame, p place, address, lookup uint64) []Frame {
	f := Frame{Address: address, Module: p.path, FileAddress: p.address}
	if p.module == nil {
		return append(all, f)
	}
	if function := p.module.object.FunctionAt(lookup); function != nil {
		f.Offset = p.address - function.Address
	}
	for _, c := range u.callsAt(p, lookup) {
		f.Function, f.Inlined, f.File, f.Line = c.Function, c.Inlined, c.File, c.Line
		all = append(all, f)
	}
	return all
}
