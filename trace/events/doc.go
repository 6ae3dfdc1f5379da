// Package events has the trace events of Linux's fixed tracepoints: what happens to signals,
// tasks, the scheduler, page faults and interrupts (include/trace/events of Linux 6.1), and
// slowpath:exit, which shows the visits of tasks to the kernel.
//
// Each event is a row: the fields of its record, the text that prints it, and a function that
// connects it to a tracepoint. It is connected while it has users, so it costs nothing without
// them. rows.go has the rows, schema.go turns a row into a trace.Definition.
package events
