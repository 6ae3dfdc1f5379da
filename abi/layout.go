package abi

// Layout says in which layout a system call exchanges structures with the program.
type Layout uint8

// The layouts.
const (
	// Layout64 is that of x86-64. It is the zero value.
	Layout64 Layout = iota
	// Layout32 is that of i386, with times of 64 bits.
	Layout32
	// Layout32Time32 is that of i386, with times of 32 bits: of the calls that i386 had
	// before those with "time64" or "64" in their names.
	Layout32Time32
)

// Narrow reports whether pointers and numbers of the type long have 32 bits. Any context.
func (l Layout) Narrow() bool { return l != Layout64 }
