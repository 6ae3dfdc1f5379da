// Package filter parses and evaluates the filter expressions of trace events, such as
// "size > 100 && comm == sh" (Documentation/trace/events.rst of Linux, "Event
// filtering").
package filter

import "strings"

// Field describes a field of a record.
type Field struct {
	// Type is the type as the file format shows it, in C.
	Type string
	Name string
	// Offset and Size are in bytes. A field of Size 0 reaches to the end of the record.
	Offset, Size int
	Signed       bool
	// Length is the number of elements of an array that the file format shows. 0 for other
	// types.
	Length int
}

// kind says how a field is compared.
type kind uint8

const (
	number kind = iota
	staticString
	dynamicString // __data_loc char[]
	pointerString // the address of a string, which no record of this kernel has
	threadName    // the thread's name, which is no part of the record
	processor     // the CPU that records
)

// isString reports whether the field is compared with a text.
func (k kind) isString() bool { return k != number && k != processor }

// kindOf returns the kind of a field of a record (Linux: filter_assign_type).
func kindOf(f *Field) kind {
	switch {
	case strings.Contains(f.Type, "__data_loc") && strings.Contains(f.Type, "char"):
		return dynamicString
	case strings.Contains(f.Type, "[") && strings.Contains(f.Type, "char"):
		return staticString
	case f.Type == "char *" || f.Type == "const char *":
		return pointerString
	}
	return number
}

// generic are the fields that each event has without a place in the record (Linux:
// ftrace_generic_fields).
var generic = map[string]kind{"CPU": processor, "cpu": processor, "common_cpu": processor, "COMM": threadName, "comm": threadName}

// lookup finds a field: first the event's own, then the generic ones, then the common
// ones, as Linux does.
func lookup(fields []Field, name string) (*Field, kind, bool) {
	common := -1
	for i := range fields {
		switch {
		case fields[i].Name != name:
		case strings.HasPrefix(name, "common_"):
			common = i
		default:
			return &fields[i], kindOf(&fields[i]), true
		}
	}
	if k, ok := generic[name]; ok {
		return &Field{Name: name}, k, true
	}
	if common >= 0 {
		return &fields[common], kindOf(&fields[common]), true
	}
	return nil, number, false
}
