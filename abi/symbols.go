package abi

// KernelSymbols are the lines of /proc/kallsyms: the beginning of the kernel, which perf
// looks for, and the address in records of trace_marker. On Linux that is an address in the
// function tracing_mark_write, whose name tools find there. Other symbols are not shown.
const KernelSymbols = `ffffffff80200000 T _text
ffffffff80200000 T _stext
ffffffff80200010 t ` + MarkerSymbol + "\n"

// MarkerAddress is the address in records of trace_marker, and MarkerSymbol its name.
const (
	MarkerAddress = 0xffffffff80200010
	MarkerSymbol  = "tracing_mark_write"
)
