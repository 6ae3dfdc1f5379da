package abi

import (
	"runtime"
	"unsafe"
)

// UserMemory is the memory of a program. Both methods move all of p or fail
// with EFAULT, may sleep in a page fault, and must not keep p: CopyIn and
// CopyOut of this package pass memory of the caller's stack.
type UserMemory interface {
	CopyIn(address uint64, p []byte) error
	CopyOut(address uint64, p []byte) error
}

// CopyIn reads a structure or a number at a user address. It fails with EFAULT,
// may sleep, and allocates nothing. See the package comment for what T may be.
func CopyIn[T any](m UserMemory, address uint64) (T, error) {
	var v T
	err := m.CopyIn(address, bytesOf(&v))
	runtime.KeepAlive(&v)
	return v, err
}

// CopyOut writes a structure or a number to a user address. It fails with
// EFAULT, may sleep, and allocates nothing. See the package comment for what T
// may be.
func CopyOut[T any](m UserMemory, address uint64, v T) error {
	err := m.CopyOut(address, bytesOf(&v))
	runtime.KeepAlive(&v)
	return err
}

// CopyInSlice fills dst with an array at a user address. It fails with EFAULT
// and may sleep.
func CopyInSlice[T any](m UserMemory, address uint64, dst []T) error {
	err := m.CopyIn(address, bytesOfSlice(dst))
	runtime.KeepAlive(dst)
	return err
}

// CopyOutSlice writes an array to a user address. It fails with EFAULT and may
// sleep.
func CopyOutSlice[T any](m UserMemory, address uint64, src []T) error {
	err := m.CopyOut(address, bytesOfSlice(src))
	runtime.KeepAlive(src)
	return err
}

// Bytes returns the memory of *v, as the program sees it. A change of one is a
// change of the other.
func Bytes[T any](v *T) []byte {
	checkSize[T]()
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

// SliceBytes returns the memory of the elements of s.
func SliceBytes[T any](s []T) []byte {
	checkSize[T]()
	var element T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(element)))
}

// View returns the structure that the first bytes of p are. It panics if p is
// shorter than the structure or not aligned for it.
func View[T any](p []byte) *T {
	var v T
	_ = p[:unsafe.Sizeof(v)]
	at := unsafe.Pointer(unsafe.SliceData(p))
	if uintptr(at)%unsafe.Alignof(v) != 0 {
		panic("abi: the bytes are not aligned for the structure")
	}
	return (*T)(at)
}

// bytesOf is Bytes with a pointer that escape analysis does not follow. The
// bytes go to a method of an interface, which would otherwise move v to the
// heap.
func bytesOf[T any](v *T) []byte {
	checkSize[T]()
	return unsafe.Slice((*byte)(hide(unsafe.Pointer(v))), unsafe.Sizeof(*v))
}

// bytesOfSlice is bytesOf for the elements of a slice.
func bytesOfSlice[T any](s []T) []byte {
	checkSize[T]()
	var element T
	return unsafe.Slice((*byte)(hide(unsafe.Pointer(unsafe.SliceData(s)))), len(s)*int(unsafe.Sizeof(element)))
}

// checkSize panics for a number without a fixed size. CopyOut(m, address, 1)
// would write eight bytes where the program expects four.
func checkSize[T any]() {
	switch any((*T)(nil)).(type) {
	case *int, *uint, *uintptr:
		panic("abi: copy a number of a fixed size, such as int32, and not an int, uint or uintptr")
	}
}

// hide returns p in a way that escape analysis does not follow. The result is
// an unsafe.Pointer, so it follows the stack if that moves. nosplit, because
// the stack must not move while the address is a uintptr.
//
//go:nosplit
func hide(p unsafe.Pointer) unsafe.Pointer {
	address := uintptr(p)
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}
