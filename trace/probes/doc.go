// Package probes has the trace events of uprobes: the definitions in the file
// uprobe_events of tracefs (Documentation/trace/uprobetracer.rst of Linux), and the
// records that hits of their probes become.
//
// parse.go and argument.go read a definition, with Linux's errors for error_log. set.go has
// the definitions. event.go makes a trace event out of the definitions with the same name.
package probes
