package abi

// MarkerAddress is the address in records of trace_marker. On Linux it is an address in
// the function tracing_mark_write, whose name tools find in /proc/kallsyms; so it has that
// name there.
const (
	MarkerAddress = 0xffffffff80200000
	MarkerSymbol  = "tracing_mark_write"
)
