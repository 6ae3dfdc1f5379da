// Package compat has the structures that the kernel and 32-bit programs exchange, where
// they differ from those of 64-bit programs: the i386 ABI of Linux. Package abi copies
// them.
//
// On i386 a 64-bit member has an alignment of 4 bytes, and in Go of 8. Such members are
// of the type Uint64.
package compat

// Uint64 is a 64-bit member of a structure, low half first.
type Uint64 [2]uint32

// Value returns the member's value.
func (u Uint64) Value() uint64 { return uint64(u[0]) | uint64(u[1])<<32 }

// NewUint64 returns a member with a value.
func NewUint64(value uint64) Uint64 { return Uint64{uint32(value), uint32(value >> 32)} }
