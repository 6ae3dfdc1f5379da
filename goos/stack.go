package goos

import (
	"unsafe"

	"slowpath/arch/amd64"
)

// firstStack is the stack of the first thread. The runtime uses 64 KiB of it for
// g0.
var firstStack [96 << 10]byte

// The strings that execve(2) would put on the stack.
const (
	argv0 = "kernel\x00"
	env0  = "GOTRACEBACK=system\x00"
	env1  = "TZ=UTC\x00"
)

// random are the bytes that AT_RANDOM points to.
var random [2]uint64

// Auxiliary vector keys (getauxval(3)).
const (
	auxPageSize = 6
	auxRandom   = 25
	auxVDSO     = 33
)

func addressOf[T any](p *T) uint64 { return uint64(uintptr(unsafe.Pointer(p))) }

// stringAddress returns the address of a string constant in the image.
func stringAddress(s string) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.StringData(s)))) }

// buildStack lays out the initial stack of a program (System V ABI, AMD64
// supplement, 3.4.1) and returns the stack pointer.
func buildStack() uint64 {
	random[0] = nextRandom()
	random[1] = nextRandom()
	words := [...]uint64{
		1, stringAddress(argv0), 0,
		stringAddress(env0), stringAddress(env1), 0,
		auxPageSize, amd64.PageSize,
		auxRandom, addressOf(&random),
		auxVDSO, buildVDSO(),
		0, 0,
	}
	sp := (stackEnd(firstStack[:]) - uint64(len(words))*8) &^ 15
	for i, w := range words {
		*(*uint64)(pointer(sp + 8*uint64(i))) = w
	}
	return sp
}

// randomState is the state of a xorshift generator (Marsaglia 2003), mixed with
// the CPU's own random numbers at each use. The runtime seeds its hash functions
// and its generator from it.
var randomState uint64

func nextRandom() uint64 {
	randomState ^= amd64.Random()
	if randomState == 0 {
		randomState = 1
	}
	randomState ^= randomState << 13
	randomState ^= randomState >> 7
	randomState ^= randomState << 17
	return randomState
}
