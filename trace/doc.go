// Package trace has trace events: their registry, the per-CPU ring buffers into which
// they are recorded, filters, triggers and trace clocks (Linux: kernel/trace).
//
// An Event is a kind of record with a format. Its owner calls Event.Record when it
// happens. The record goes to the ring buffer of each Instance in which the event is
// enabled, and to each Sink that has subscribed to it: package perf is one. An event
// that nobody wants costs its owner nothing, because the owner is told when the first
// user comes and when the last one goes.
//
// The package knows no files. Package trace/tracefs shows the events and buffers as
// files, trace/probes makes events out of uprobes.
package trace
